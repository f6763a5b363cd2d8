/* When to try again: a pure function of settings, history and chance. */
#ifndef PST_EXPORTERS_RETRY_H
#define PST_EXPORTERS_RETRY_H

#include <stdint.h>

#include "base/random.h"
#include "exporters/exporter.h"

struct pst_retry_policy {
    uint64_t initial_ns, max_ns; /* 0: 1 s and 60 s */
    uint64_t max_elapsed_ns;     /* 0: as long as the queue keeps the item */
};

/* The delay before the next attempt after `failures` (>= 1) in a row. Full jitter: uniform in (0,
 * min(max, initial * 2^(failures - 1))]. What the server asked for (after_ns) is waited out, up to
 * 300 s, with up to a tenth more so that many agents do not come back at once. */
uint64_t pst_retry_delay_ns(const struct pst_retry_policy *policy, unsigned failures,
                            uint64_t after_ns, struct pst_random *random);

/* Whether an item that failed first at first_ns has used up its time. */
bool pst_retry_exhausted(const struct pst_retry_policy *policy, uint64_t first_ns, uint64_t now_ns);

#endif
