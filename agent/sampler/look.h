/* One look at a target, from the reading of its threads to the weights in its open window. look.c
 * reads, stacks.c makes stacks of what was read, weights.c says what they weigh, called.c asks for
 * the threads' names; turn.c decides whether there is a look at all. */
#ifndef PST_SAMPLER_LOOK_H
#define PST_SAMPLER_LOOK_H

#include "sampled.h"

/* What one look knows while it is applied. */
struct pst_look {
    struct pst_sampled *target;
    struct pst_py_sample sample;
    uint64_t now_ns;
    uint64_t raw_ns;     /* what a thread that runs weighs before its window closes */
    uint64_t counted_ns; /* wall time since the last turn, at most three intervals */
    uint64_t gap_ns;     /* what was beyond them */
    unsigned stands_for; /* so many turns, by the chance that it had to be one */
    bool sampled;        /* the walker was asked in this look */
};

/* Reads and weighs. False when the sampler has been taken over: nothing may be touched any more. */
bool pst_look_at(struct pst_look *look);

/* The stack that this look found for a thread, as an id of the open window. reuse says that the
 * stack may stand for the thread in later looks. 0 or -errno. Caller holds windows_lock, as with
 * all below. */
int pst_look_stack(struct pst_look *look, struct pst_os_thread *thread, uint32_t *ret_stack,
                   bool *ret_reuse);
void pst_look_count_failure(struct pst_sampled *target, enum pst_verdict verdict);
/* What the thread was seen doing gets the weights of this look in every mode. */
void pst_look_weigh(struct pst_look *look, struct pst_os_thread *thread);
/* The whole process could not be read: what ran is shown as unreadable, not left out. */
void pst_look_weigh_unread(struct pst_look *look, struct pst_os_thread *thread, uint32_t stack);

/* Takes windows_lock, unless the sampler has been taken over. */
bool pst_sampled_enter(struct pst_sampled *target);
void pst_sampled_leave(struct pst_sampled *target);

/* What sleeps for good may yet have to be called by its name: asked a few times more. */
bool pst_sampled_names_due(const struct pst_sampled *target);
/* Asks for the names that are due, some at a time. False as above. Without windows_lock. */
bool pst_sampled_ask_names(struct pst_sampled *target, uint64_t now_ns);

#endif
