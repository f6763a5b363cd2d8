/* What is remembered of an item between two attempts to deliver it. Zeroed before the first; lives
 * with the item in its queue, since the next attempt may be another thread's. */
#ifndef PST_EXPORTERS_PROGRESS_H
#define PST_EXPORTERS_PROGRESS_H

#include <stdint.h>

struct pst_export_progress {
    uint32_t samples_done;     /* of the profile as it is sent: these are not sent again */
    uint32_t doubtful;         /* answers that may or may not pass */
    uint32_t generation;       /* of the configuration that both are about */
    uint64_t first_failure_ns; /* CLOCK_MONOTONIC; 0: none yet */
};

#endif
