/* Holding the agent to its CPU and memory budget: a pure policy of (state, measurement) -> what to
 * do less of. In order: wider intervals, no wall mode, fewer targets; back in reverse. */
#ifndef PST_PIPELINE_BUDGET_H
#define PST_PIPELINE_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

struct pst_budget {
    double rate_factor;    /* 1 down to 1/16: multiplies every target's rate */
    bool cpu_only;         /* modes other than cpu are off */
    double target_share;   /* 1 down to 1/16: share of targets kept, busiest first */
    unsigned calm_windows; /* in a row well below the limit */
};

void pst_budget_init(struct pst_budget *budget);

/* One measurement over a window: the agent's CPU as a ratio of one core and its memory, against
 * the limits. Returns the step taken as a counter's label ("interval", "cpu_only", "targets"), a
 * step back as "recover", NULL when nothing changes. */
const char *pst_budget_measure(struct pst_budget *budget, double cpu_ratio, double cpu_limit,
                               uint64_t memory_bytes, uint64_t memory_limit_bytes);

#endif
