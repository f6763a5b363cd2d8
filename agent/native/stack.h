/* The copy of a stopped thread's stack, taken while it stands still. */
#ifndef PST_NATIVE_STACK_H
#define PST_NATIVE_STACK_H

#include "modules.h"
#include "seize.h"

struct pst_stack_copy {
    struct pst_registers registers;
    uint64_t start; /* the stack pointer, rounded down */
    size_t len;
    /* A signal's handler may run on a stack of its own (sigaltstack): then what it interrupted,
     * copied too; len 0 without. */
    uint64_t below_start;
    size_t below_len;
    /* Not the stack that the thread began on, nor known to be a signal's: a coroutine's, whose
     * outermost call says nothing of who switched to it. */
    bool foreign;
    unsigned char *bytes; /* PST_MAX_NATIVE_STACK_BYTES, both pieces one behind the other */
};

struct pst_stack_owner {
    uint64_t thread_block; /* its pthread_t, 0 unknown */
    bool leader;           /* the first thread of its process: its pthread_t lies elsewhere */
};

/* With registers filled. 0 or -errno. */
int pst_stack_copy_take(struct pst_stack_copy *copy, const struct pst_modules *modules,
                        const struct pst_stack_owner *owner);
/* A word of either piece; false outside. *ret_past: outside and above one. */
bool pst_stack_copy_word(const struct pst_stack_copy *copy, uint64_t address, uint64_t *ret,
                         bool *ret_past);

#endif
