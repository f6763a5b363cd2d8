/* Deadlines of a grid of periods, one uniform draw in each. */
#include "schedule.h"

void pst_schedule_start(struct pst_schedule *schedule, uint64_t period_ns, uint64_t now_ns,
                        struct pst_random *random)
{
    schedule->period_ns = period_ns ? period_ns : 1;
    schedule->start_ns = now_ns;
    schedule->deadline_ns = now_ns + pst_random_below(random, schedule->period_ns);
}

uint64_t pst_schedule_advance(struct pst_schedule *schedule, uint64_t now_ns,
                              struct pst_random *random)
{
    uint64_t skipped = 0;
    schedule->start_ns += schedule->period_ns;
    if (now_ns >= schedule->start_ns + schedule->period_ns) {
        skipped = (now_ns - schedule->start_ns) / schedule->period_ns;
        schedule->start_ns += skipped * schedule->period_ns;
    }
    schedule->deadline_ns = schedule->start_ns + pst_random_below(random, schedule->period_ns);
    return skipped;
}
