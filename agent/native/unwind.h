/* From a copy of registers and stack to the addresses of the calls on it. Reads nothing of the
 * target but that copy and the unwind tables of its files. */
#ifndef PST_NATIVE_UNWIND_H
#define PST_NATIVE_UNWIND_H

#include "modules.h"
#include "stack.h"

enum pst_unwind_end {
    PST_END_WHOLE,     /* the outermost frame says that it is one */
    PST_END_TRUNCATED, /* past the copy, or too many frames */
    PST_END_JIT,       /* code that belongs to no file */
    PST_END_LOST,      /* no unwind table, or nonsense */
    PST_END_SWITCHED,  /* where a coroutine's stack begins; what called it lies on another */
};

struct pst_pc {
    uint64_t address; /* inside the instruction that was executed last */
    uint64_t sp;      /* where its frame begins; 0: unknown */
    uint32_t image;   /* PST_NO_IMAGE: a gap, see pst_unwind */
};

struct pst_unwinder;
/* modules is borrowed. */
struct pst_unwinder *pst_unwinder_new(struct pst_modules *modules);
struct pst_unwinder *pst_unwinder_free(struct pst_unwinder *unwinder);
/* A file without unwind tables (musl's libc) leaves a gap: the walk goes on at the next word of the
 * stack that is the return address of a call in a file which has them; an entry without image
 * stands for what lies between. Leaf first; the array is the unwinder's until its next call.
 * *ret_unknown: an address was met that is mapped nowhere as far as modules know. */
enum pst_unwind_end pst_unwind(struct pst_unwinder *unwinder, const struct pst_stack_copy *copy,
                               const struct pst_pc **ret_pcs, size_t *ret_count, bool *ret_unknown);

#endif
