/* All targets together: what the parts of the sampler share. sampler.c ticks and closes windows,
 * plan.c takes plans, groups.c shares deadlines out, caches.c holds memory, ship.c hands closed
 * windows on. */
#ifndef PST_SAMPLER_ALL_H
#define PST_SAMPLER_ALL_H

#include <pthread.h>

#include "base/map.h"
#include "queue.h"
#include "sampled.h"
#include "schedule.h"

enum { PST_SAMPLER_GROUPS = 64 };

/* Targets of one rate and slot: they share deadlines. */
struct pst_group {
    double hz;
    unsigned slot;
    struct pst_schedule schedule;
    uint64_t work_ns; /* smoothed duration of a tick */
    bool used;
};

struct pst_sampler {
    struct pst_sampler_hooks hooks;
    struct pst_shared shared;
    struct pst_sampled **targets;
    size_t count, cap;
    struct pst_map *by_id; /* id -> index, rebuilt with the plan */
    uint32_t *order;       /* scratch for shuffling */
    struct pst_group groups[PST_SAMPLER_GROUPS];
    unsigned slots; /* of every rate */

    bool renew_names;    /* with the next window */
    size_t names_needed; /* by the first window of the names that are current; 0: not known */
    uint64_t caches_due_ns;

    uint64_t sequence, window_ns, window_end_ns;
    bool closing; /* some targets' windows of this sequence are still open */
    struct pst_closed_queue queue;
    pthread_cond_t arrived;
    _Atomic uint64_t wakeups, overruns;
    _Atomic pid_t sampling_tid;

    /* Shipping thread: what it last saw of the watch. */
    uint64_t seen_sequence, seen_since_ns;
};

/* sampler.c: guards windows, queue and targets. Locking never comes back to a sampling thread that
 * has been left behind. */
void pst_sampler_lock(struct pst_sampler *sampler);
void pst_sampler_unlock(struct pst_sampler *sampler);
/* Its window leaves through the queue. Caller holds the lock. */
void pst_sampler_close_target(struct pst_sampler *sampler, struct pst_sampled *target,
                              uint64_t now_ns, bool reopen);

/* groups.c: gives every target its group; the caller holds the lock. */
void pst_sampler_regroup(struct pst_sampler *sampler, uint64_t now_ns);
/* A tick longer than 2 ms delays its last targets: their rate's targets are spread over more
 * deadlines, at most four. */
void pst_sampler_adapt_slots(struct pst_sampler *sampler, uint64_t now_ns);

/* caches.c: while they are shrunk, code objects that take more than their room are forgotten. */
void pst_sampler_hold_caches(struct pst_sampler *sampler, uint64_t now_ns);
/* Whether the next window is to begin with new names. */
bool pst_sampler_names_due(struct pst_sampler *sampler);

#endif
