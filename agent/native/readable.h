/* Names as people write them. Symbols are the target's: any bytes, any length. */
#ifndef PST_NATIVE_READABLE_H
#define PST_NATIVE_READABLE_H

#include <stddef.h>

#include "base/buf.h"

/* C++ and Rust. One that is longer than PST_MAX_DEMANGLED_BYTES is cut and ends in "…". False when
 * it is neither. */
bool pst_demangle(const char *symbol, struct pst_buf *out);

/* Cython: "__pyx_pw_3mod_5Class_7method" is "method". A view of the symbol; false when it is none
 * of Cython's functions. */
bool pst_cython_name(struct pst_str symbol, struct pst_str *ret_name);
/* Whether it is the wrapper that Python calls, in front of the function itself. */
bool pst_cython_wrapper(struct pst_str symbol);

#endif
