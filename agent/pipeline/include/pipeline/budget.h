/* Holding the agent to its CPU and memory budget: a pure policy of (state, measurement) -> what to
 * do less of. Of CPU, in order: wider intervals, no wall mode, fewer targets; of memory: smaller
 * caches before it is used up, then the same; back in reverse. */
#ifndef PST_PIPELINE_BUDGET_H
#define PST_PIPELINE_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

struct pst_budget {
    double rate_factor;    /* 1 down to 1/16: multiplies every target's rate */
    bool cpu_only;         /* modes other than cpu are off */
    double target_share;   /* 1 down to 1/16: share of targets kept, busiest first */
    unsigned shrink;       /* how often the room of caches is halved, up to PST_BUDGET_SHRINK_MAX */
    unsigned calm_windows; /* in a row well below the limit */
};
enum { PST_BUDGET_SHRINK_MAX = 3 };

void pst_budget_init(struct pst_budget *budget);

/* One measurement of memory, at any time, against the limit: "caches" when these are to be smaller
 * from now on, NULL when nothing changes. settled: the last such step has been taken and is
 * in the measurement; without it nothing is decided. */
const char *pst_budget_memory(struct pst_budget *budget, uint64_t memory_bytes,
                              uint64_t memory_limit_bytes, bool settled);

/* One measurement over a window: the agent's CPU as a ratio of one core and its memory, against
 * the limits. Returns the step taken as a counter's label ("interval", "cpu_only", "targets"), a
 * step back as "recover", NULL when nothing changes. Memory counts once no cache is left to be made
 * smaller. */
const char *pst_budget_measure(struct pst_budget *budget, double cpu_ratio, double cpu_limit,
                               uint64_t memory_bytes, uint64_t memory_limit_bytes);

#endif
