/* The native frames of a dump: each thread was stopped on its own, before the snapshot of Python's
 * frames that the rest of the dump shows. */
#ifndef PST_COMMANDS_DUMP_NATIVE_H
#define PST_COMMANDS_DUMP_NATIVE_H

#include "native/native.h"

struct pst_dump;
struct pst_dump_native;

/* Samples every thread with a thread state; dump has python, tids and sample. NULL when out of
 * memory: then there are no native frames. */
struct pst_dump_native *pst_dump_native_take(struct pst_dump *dump, struct pst_memory *memory);
struct pst_dump_native *pst_dump_native_free(struct pst_dump_native *native);

struct pst_dump_stack {
    enum pst_native_outcome outcome;
    const struct pst_native_frame *frames; /* leaf first, Python's among them */
    size_t count;
};
/* NULL when the thread has none: Python's frames alone are shown. */
const struct pst_dump_stack *pst_dump_native_stack(const struct pst_dump_native *native,
                                                   const struct pst_py_thread *thread);
void pst_dump_native_symbol(const struct pst_dump_native *native, uint32_t id,
                            struct pst_native_symbol *ret);
/* "PROGRAM (PID)" of another tracer that was in the way; empty. */
const char *pst_dump_native_tracer(const struct pst_dump_native *native);
/* Index into dump->sample.frames of the nth Python frame of a stack, counted from the leaf, when
 * both readings found the thread in the same frames; -1. */
int64_t pst_dump_native_index(const struct pst_dump *dump, const struct pst_dump_stack *stack,
                              const struct pst_py_thread *thread, size_t nth);

#endif
