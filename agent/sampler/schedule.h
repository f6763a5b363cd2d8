/* When to sample: pure decisions of (state, now, random). One instant drawn uniformly inside each
 * period, so that every phase of periodic work is equally likely; missed periods are skipped and
 * counted, never caught up. */
#ifndef PST_SAMPLER_SCHEDULE_H
#define PST_SAMPLER_SCHEDULE_H

#include <stdint.h>

#include "base/random.h"

struct pst_schedule {
    uint64_t period_ns;
    uint64_t start_ns;    /* beginning of the current period */
    uint64_t deadline_ns; /* instant inside it */
};

/* The first period begins at now. */
void pst_schedule_start(struct pst_schedule *schedule, uint64_t period_ns, uint64_t now_ns,
                        struct pst_random *random);
/* The current deadline was served: draws the next one after now. Returns the periods skipped. */
uint64_t pst_schedule_advance(struct pst_schedule *schedule, uint64_t now_ns,
                              struct pst_random *random);

#endif
