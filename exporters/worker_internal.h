/* What the files of a worker share: worker.c is its face to others, lane.c its threads, outcome.c
 * what a verdict changes. */
#ifndef PST_EXPORTERS_WORKER_INTERNAL_H
#define PST_EXPORTERS_WORKER_INTERNAL_H

#include <pthread.h>

#include "base/limits.h"
#include "gate.h"
#include "worker.h"

enum pst_lane_state { PST_LANE_UNUSED, PST_LANE_RUNNING, PST_LANE_ENDED };

/* One thread with an exporter instance of its own. */
struct pst_lane {
    struct pst_worker *worker;
    pthread_t thread;
    enum pst_lane_state state;    /* ENDED: to be joined */
    struct pst_instance instance; /* used without the lock by the thread, swapped by it alone */
    unsigned generation;          /* of the instance */
};

struct pst_worker {
    char name[PST_CONFIG_NAME_BYTES];
    struct pst_queue *queue;

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t wake;  /* for the lanes */
    pthread_cond_t ended; /* by the last lane */
    struct pst_lane lanes[PST_MAX_EXPORT_LANES];
    unsigned running, idle,
        under_way; /* lanes; idle ones wait, under_way ones have or take an item */
    struct pst_gate gate;
    struct pst_random random;
    /* What lanes make their instances from; its exporter is for the first lane that asks. */
    struct pst_instance next;
    unsigned generation; /* grows with each replacement */
    uint64_t changes;    /* grows with whatever may give a waiting lane work */
    bool finishing;
    const char *finish_reason;
    uint64_t finish_ns; /* CLOCK_MONOTONIC */
    uint64_t last_log_ns;
    const char *last_reason;
    const char *drop_reason; /* of what the queue dropped last */
    uint64_t drops_untold, drops_told_ns;
    struct pst_exporter_status status;
};

/* ---- lane.c ---- */
/* Under the lock: starts one more lane unless all that may run do. False when no thread is had. */
bool pst_lane_start(struct pst_worker *worker);
/* Under the lock: one waiting lane has a reason to look again. */
void pst_lane_wake(struct pst_worker *worker);
/* Under the lock: an item may wait that no lane comes for: wakes one, or starts one. */
void pst_lane_call(struct pst_worker *worker);
/* 0, or ETIMEDOUT; at_ns on CLOCK_MONOTONIC. */
int pst_worker_wait_until(struct pst_worker *worker, pthread_cond_t *condition, uint64_t at_ns);
void pst_worker_show_queue(struct pst_worker *worker);

/* ---- outcome.c ---- */
void pst_outcome_dropped(struct pst_worker *worker, size_t body_bytes, const char *reason);
/* The same for what the queue dropped, which no verdict has told of: with a line in the log. */
void pst_outcome_queue_dropped(struct pst_worker *worker, size_t body_bytes, const char *reason);
/* Tells of the drops that have had no line yet. */
void pst_outcome_tell_drops(struct pst_worker *worker);
/* Applies the verdict on an attempt that began at started_ns and gives the entry back to the queue.
 * settings are those of the instance that made the attempt. */
void pst_outcome_apply(struct pst_worker *worker, const struct pst_config_exporter *settings,
                       struct pst_queue_entry *entry, const struct pst_export_verdict *verdict,
                       uint64_t started_ns);

#endif
