/* Both clocks, replaceable by tests. */
#include "base/clock.h"

#include <stddef.h>
#include <time.h>

static uint64_t read_clock(clockid_t id)
{
    struct timespec now;
    (void)clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * PST_NS_PER_S + (uint64_t)now.tv_nsec;
}

static uint64_t (*monotonic_source)(void);
static uint64_t (*realtime_source)(void);

uint64_t pst_clock_monotonic_ns(void)
{
    return monotonic_source ? monotonic_source() : read_clock(CLOCK_MONOTONIC);
}

uint64_t pst_clock_realtime_ns(void)
{
    return realtime_source ? realtime_source() : read_clock(CLOCK_REALTIME);
}

void pst_clock_set_source(uint64_t (*monotonic_ns)(void), uint64_t (*realtime_ns)(void))
{
    monotonic_source = monotonic_ns;
    realtime_source = realtime_ns;
}
