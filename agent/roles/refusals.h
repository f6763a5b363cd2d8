/* Which targets the daemon leaves out of its plan because their memory did not answer: those that
 * the supervisor named, and, while too many readers are stuck, all that share a cgroup with one of
 * them. Pure state; the daemon's loop owns it. */
#ifndef PST_ROLES_REFUSALS_H
#define PST_ROLES_REFUSALS_H

#include "roles/roles.h"
#include "scan/facts.h"

enum { PST_REFUSALS_KEPT = 128 };

struct pst_refusals {
    struct pst_control stalls[PST_REFUSALS_KEPT]; /* the oldest goes first */
    uint64_t cgroups[PST_REFUSALS_KEPT];          /* hashes, 0: none */
    size_t stall_count, cgroup_count;
    uint64_t abandoned; /* readers that are stuck now */
};

/* Of kind STALLED or ABANDONED; others change nothing. A stall may be told before the facts of its
 * target, as to a daemon that starts again. */
void pst_refusals_take(struct pst_refusals *refusals, const struct pst_control *record);

/* True when this target stalled a reader; its cgroup then counts as offending. */
bool pst_refusals_stalled(struct pst_refusals *refusals, const struct pst_facts *facts);
/* True while PST_MAX_ABANDONED_READERS are stuck and the target's cgroup holds one that did it. */
bool pst_refusals_by_cgroup(const struct pst_refusals *refusals, const struct pst_facts *facts);

#endif
