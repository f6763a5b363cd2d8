/* One target under sampling: its process, its walker, its threads, its open window. */
#ifndef PST_SAMPLER_SAMPLED_H
#define PST_SAMPLER_SAMPLED_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/random.h"
#include "names.h"
#include "native_look.h"
#include "sampler/sampler.h"
#include "threads.h"
#include "window.h"

/* What all targets of one sampler share. */
struct pst_shared {
    struct pst_names *names;
    struct pst_py_scratch *scratch; /* one sample at a time: one buffer for every walker */
    pthread_mutex_t windows_lock;   /* open windows and the queue of closed ones */
    bool abandoned;                 /* under windows_lock: the shipping thread has taken over */
    _Atomic uint64_t watch_sequence;
    _Atomic uint64_t watch_target;
    struct pst_random random;
    struct pst_tracer *tracer; /* made with the first target that wants native frames */
    unsigned quiet_one_in;     /* turns of a quiet target that is looked at; a power of two */
    unsigned shrink;           /* how often the room of caches has been halved; 0: not */
    uint32_t torn, deeper, unreadable, not_observed, cpu_not_observed, ended_threads,
        no_python_frame, overflow; /* function ids of bracketed frames */
    _Atomic uint64_t looks, idle_looks, stacks, reused, attach_failures, read_calls;
    /* What windows will say once they are closed, for who watches a recording meanwhile. */
    _Atomic uint64_t samples[PST_MODE_COUNT], turns, turns_ns, torn_count, failed_count;
};

struct pst_sampled {
    struct pst_sampler_target plan;
    struct pst_shared *shared;
    struct pst_procref ref;
    struct pst_memory *memory;
    struct pst_python *python;
    struct pst_os_threads *threads;
    struct pst_native_look *native; /* NULL: Python frames alone */
    enum pst_verdict verdict;       /* why it is not attached; PST_V_OK when it is */
    bool gone;
    uint64_t next_attach_ns, first_attach_ns;
    uint64_t second_due_ns; /* when the process's other runtime is tried (again) */
    unsigned attach_tries;
    unsigned failures; /* looks in a row in which the whole process could not be read */

    uint32_t *functions; /* code id -> function id + 1 */
    uint32_t function_cap;
    struct pst_wframe *scratch; /* frames of one stack while it is translated */
    size_t scratch_cap;

    /* Clock of its turns. */
    uint64_t last_turn_ns, last_look_ns;
    uint64_t clock_ns, clock_moved_ns;   /* its CPU clock, and when that was last seen to move */
    uint64_t step_ns, step_clock_ns;     /* since when what it uses is counted, and from where */
    bool quiet;                          /* it used next to nothing in the step before, and since */
    uint64_t look_clock_ns;              /* that clock at the last look that read all well; or 0 */
    uint64_t pending_ns, pending_gap_ns; /* wall time not yet given to stacks */
    uint32_t pending_turns;
    uint64_t known_ns; /* of pending_ns: nothing had run yet when it had passed */
    uint32_t known_turns;

    /* The open window. */
    struct pst_window *window;
    struct pst_names *names; /* whose ids it and functions hold; owned */
    struct pst_sampler_window stats;
    struct pst_py_stats py_base;
    uint64_t window_start_ns;
    uint64_t cpu_base_ns;     /* process clock when accounting began */
    uint64_t accounted_ns;    /* CPU given to windows since */
    uint64_t window_clock_ns; /* process clock when the window opened */
    unsigned group;           /* schedule it belongs to */
    bool reported;            /* gone, and its last window has left */
    bool closing;             /* its window of the current sequence is still to be closed */
    bool counting;            /* its clock has a base: attached now, or before */
    bool clocked;             /* its clock has been read without one */
    bool rejoined;            /* attached again: what it used meanwhile is still to be told */
};

struct pst_sampled *pst_sampled_new(struct pst_shared *shared,
                                    const struct pst_sampler_target *plan);
struct pst_sampled *pst_sampled_free(struct pst_sampled *target);

/* Attaches when it is time to. True when it may be looked at. */
bool pst_sampled_attach(struct pst_sampled *target, uint64_t now_ns);
/* Not attached, and time to try (again). */
bool pst_sampled_attach_due(const struct pst_sampled *target, uint64_t now_ns);
/* The walker lost the process: attach again later, or never when it is gone. Caller holds
 * windows_lock. */
void pst_sampled_lost(struct pst_sampled *target, enum pst_verdict verdict, uint64_t now_ns);
/* What is known of its code objects is read anew when it is needed. Between two turns. */
void pst_sampled_forget_codes(struct pst_sampled *target);
/* Gives the CPU that the threads have used so far to the open window: they are about to be
 * forgotten. Caller holds windows_lock. */
void pst_sampled_settle(struct pst_sampled *target);
/* CPU of the time between two attachments, before the threads are listed again. Caller holds
 * windows_lock; the window is open. */
void pst_sampled_rejoin(struct pst_sampled *target);
/* Of a target that no look has counted: what it uses unseen. */
void pst_sampled_read_clock(struct pst_sampled *target);
/* CPU of a thread that has ended goes to what it was seen doing. Caller holds windows_lock. */
void pst_sampled_thread_ended(struct pst_sampled *target, struct pst_os_thread *thread);
/* Slot of the thread in the open window; PST_NO_STACK when there is no room. */
uint32_t pst_sampled_slot(struct pst_sampled *target, struct pst_os_thread *thread);
/* Time of the mode that stands as it is, and how many samples saw it; nothing when the plan does
 * not have the mode. */
void pst_sampled_add(struct pst_sampled *target, struct pst_os_thread *thread, enum pst_mode mode,
                     uint32_t stack, uint64_t ns, uint32_t count);
/* A window that opens takes the names that are current. True when these are others than before:
 * ids of the last window mean nothing in it. */
bool pst_sampled_take_names(struct pst_sampled *target);
/* Function id of a code of this target; the names' overflow frame when there is no room. */
uint32_t pst_sampled_function(struct pst_sampled *target, uint32_t code);
/* Cuts a stack in the middle, in place, to what the plan keeps of it. The new count. */
size_t pst_sampled_cut(struct pst_sampled *target, struct pst_wframe *frames, size_t count);
/* The same of "[native thread] NAME". */
uint32_t pst_sampled_native_name(struct pst_sampled *target, const struct pst_os_thread *thread);
/* Whether this look reads the thread's stack. */
bool pst_sampled_wants(const struct pst_sampled *target, const struct pst_os_thread *thread);
/* Stack of one bracketed frame. */
int pst_sampled_bracket(struct pst_sampled *target, uint32_t function, uint32_t *ret_stack);

/* One turn: idle ones cost a clock read, others a look. Returns false when the sampler has been
 * taken over: the caller must not touch anything any more. */
bool pst_sampled_turn(struct pst_sampled *target, uint64_t now_ns, uint64_t period_ns);

/* Takes the open window out, with its final weights, and opens the next one when reopen. The
 * caller holds windows_lock; reads the kernel's clocks, never the target's memory. */
struct pst_window *pst_sampled_close(struct pst_sampled *target, uint64_t now_ns, bool reopen,
                                     struct pst_sampler_window *ret_stats);

#endif
