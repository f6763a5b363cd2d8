/* Puts Python frames where the evaluation loop stands among native ones. Pure. */
#ifndef PST_NATIVE_MERGE_H
#define PST_NATIVE_MERGE_H

#include "native/native.h"
#include "symbols.h"
#include "unwind.h"

struct pst_merge_input {
    const struct pst_place *places; /* leaf first */
    size_t place_count;
    enum pst_unwind_end end;
    const struct pst_py_frame *python; /* leaf first */
    size_t python_count;
    const struct pst_symbols *symbols; /* NULL in tests: nothing repeats */
    bool foreign; /* the stack may be a coroutine's: there may be calls that it does not show */
};

/* Leaf first into dst, which holds `size`; what does not fit makes it Python's alone. Every Python
 * frame appears, in order. *ret_mismatch: native frames did not fit. Returns the count; size must
 * be at least python_count + 1. */
size_t pst_native_merge(const struct pst_merge_input *whole, struct pst_native_frame *dst,
                        size_t size, bool *ret_mismatch);

#endif
