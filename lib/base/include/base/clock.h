/* Time. Schedules and retries use the monotonic clock only; realtime is for stamps people read. */
#ifndef PST_BASE_CLOCK_H
#define PST_BASE_CLOCK_H

#include <stdint.h>

#define PST_NS_PER_S  1000000000ULL
#define PST_NS_PER_MS 1000000ULL

uint64_t pst_clock_monotonic_ns(void);
uint64_t pst_clock_realtime_ns(void);

/* Tests replace both clocks; NULL restores the kernel's. Not thread-safe: call before threads
 * start. */
void pst_clock_set_source(uint64_t (*monotonic_ns)(void), uint64_t (*realtime_ns)(void));

#endif
