/* Scheduling samples and weighing them (design 2.4, 3.4): which target is looked at when, which of
 * its threads ran, what each stack weighs, and the windows that come out.
 *
 * Two threads use one object. The sampling thread calls plan, tick and finish; it alone reads
 * targets. The shipping thread calls ship, stalled and take_over; it never touches a target, so a
 * target whose memory does not answer cannot hold the windows of the others back. No lock is held
 * inside a remote read. */
#ifndef PST_SAMPLER_SAMPLER_H
#define PST_SAMPLER_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "native/native.h"
#include "profile/profile.h"
#include "python/python.h"
#include "target/runtime.h"

struct pst_sampler;

/* One row of the plan, with what the target table says of its id. */
struct pst_sampler_target {
    uint64_t id;
    pid_t pid;
    uint64_t start_ticks;
    /* Which program it runs: the two words of AT_RANDOM and their address xor to random_mix until
     * the next exec, even one that maps everything where it was. Address 0: not known. */
    uint64_t random_address, random_mix;
    struct pst_runtime runtime, second; /* hexversion 0 of the second: there is none */
    bool born_observed; /* child of a target that was being sampled: its CPU counts from zero */
    double hz;          /* 1..1000, or lower by budget */
    unsigned modes;     /* bit i: enum pst_mode i */
    uint64_t window_ns;
    unsigned max_frames;
    bool class_names; /* methods as CLASS.NAME on versions without qualified names */
    bool native;      /* C frames too: stops a thread for each sample of it */
    bool times;       /* record: samples say when they began, see pst_window_keep_times */
    bool thin;        /* the agent: quiet processes have their turn less often, and weigh more */
    bool full_frames; /* record: keep every frame up to PST_MAX_FRAMES_WALKED */
};

/* What a window says besides its stacks. Emitted once per target and window even when no profile
 * came of it, so that the target's state is known. */
struct pst_sampler_window {
    uint64_t target;
    uint64_t sequence; /* number of the window, the same for all targets that closed together */
    enum pst_verdict verdict; /* of the target: PST_V_OK while it can be read */
    bool gone;                /* the process ended: this is its last window */
    bool jit;                 /* code that CPython's JIT compiled was seen in it, or before */
    int64_t time_ns, duration_ns;
    double hz, achieved_hz;
    uint64_t ticks, late, samples, torn, failed, trimmed, retries;
    uint64_t cpu_ns; /* the process's CPU clock over the window */
    uint64_t verdicts[PST_VERDICT_COUNT];
    uint64_t code_hits, code_misses;
    uint32_t threads;
};

struct pst_sampler_hooks {
    void *context;
    /* Called on the shipping thread. profiles[mode] is NULL when the mode has none; they are the
     * sampler's and end with the call. */
    void (*window)(void *context, const struct pst_sampler_window *window,
                   struct pst_profile *const profiles[PST_MODE_COUNT]);
    /* Every target's window of this sequence has been handed over (shipping thread). */
    void (*window_end)(void *context, uint64_t sequence);
};

/* NULL when out of memory. */
struct pst_sampler *pst_sampler_new(const struct pst_sampler_hooks *hooks);
struct pst_sampler *pst_sampler_free(struct pst_sampler *sampler);

/* Replaces the whole plan: targets not named any more are closed and shipped, known ids keep their
 * state. Rows are copied. -ENOMEM keeps what fitted. Sampling thread. */
int pst_sampler_plan(struct pst_sampler *sampler, const struct pst_sampler_target *targets,
                     size_t count);

/* How often the room of caches is halved, 0..PST_SAMPLER_SHRINK_MAX: names, and code objects of all
 * targets together. More than before: what they hold is forgotten at once and read anew as it is
 * needed. Sampling thread. */
enum { PST_SAMPLER_SHRINK_MAX = 3 };
void pst_sampler_shrink(struct pst_sampler *sampler, unsigned shrink);

/* Does what is due at now_ns (CLOCK_MONOTONIC) and returns when to call again. Sampling thread. */
uint64_t pst_sampler_tick(struct pst_sampler *sampler, uint64_t now_ns);

/* Closes every window as it stands. Sampling thread; the shipping thread then ships them. */
void pst_sampler_finish(struct pst_sampler *sampler);

/* Builds profiles of the closed windows and calls the hooks. Waits up to timeout_ms for some to be
 * there; returns the number shipped. Shipping thread. */
size_t pst_sampler_ship(struct pst_sampler *sampler, int timeout_ms);

/* True when the sampling thread has been inside one remote read for longer than 1 s; says whose.
 * Any thread. */
bool pst_sampler_stalled(struct pst_sampler *sampler, uint64_t now_ns, uint64_t *ret_target);

/* After a stall: takes the open windows from the sampling thread, which will stop at its next step
 * and never return them, closes them for shipping. Shipping thread. */
void pst_sampler_take_over(struct pst_sampler *sampler);

/* Totals since start: for /metrics and the bench. Any thread. */
struct pst_sampler_totals {
    uint64_t wakeups, looks, idle_looks, stacks, reused, overruns, attach_failures;
    uint64_t read_calls; /* process_vm_readv */
};
void pst_sampler_totals(const struct pst_sampler *sampler, struct pst_sampler_totals *ret);

/* What all windows, the open ones too, hold of a mode so far; turns_ns: the time that the turns of
 * all targets cover. Any thread. */
struct pst_sampler_progress {
    uint64_t samples, turns, turns_ns, torn, failed;
};
void pst_sampler_progress(const struct pst_sampler *sampler, enum pst_mode mode,
                          struct pst_sampler_progress *ret);

/* What native frames cost and how they came out; after the sampling thread has ended. */
void pst_sampler_native_stats(const struct pst_sampler *sampler, struct pst_native_stats *ret);

#endif
