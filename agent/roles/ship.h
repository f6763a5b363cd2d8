/* From a closed window to a message: encodes, seals, sends. Shipping thread of the sample reader.
 */
#ifndef PST_ROLES_SHIP_H
#define PST_ROLES_SHIP_H

#include <stdatomic.h>

#include "base/buf.h"
#include "roles/link.h"
#include "usage.h"

struct pst_ship {
    int link;
    struct pst_buf message, body;
    struct pst_sampler *sampler;
    _Atomic uint64_t plan_generation;
    _Atomic unsigned shrink; /* that of the plan */
    uint64_t unsent_windows;
    uint64_t sequence, told_ns; /* of the last report */
    unsigned told_shrink;
    struct pst_usage_growth growth;
};

void pst_ship_init(struct pst_ship *ship, int link);
void pst_ship_done(struct pst_ship *ship);

/* Hooks of struct pst_sampler_hooks with a struct pst_ship as context. */
void pst_ship_window(void *context, const struct pst_sampler_window *window,
                     struct pst_profile *const profiles[PST_MODE_COUNT]);
void pst_ship_window_end(void *context, uint64_t sequence);
/* Says what the reader uses when that was said some seconds ago (windows may be an hour long), when
 * it has grown since, and when caches have been shrunk as the plan wants. */
void pst_ship_usage(struct pst_ship *ship, uint64_t now_ns);

#endif
