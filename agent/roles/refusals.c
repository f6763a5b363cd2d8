/* Remembers stalls by identity and by cgroup. */
#include "refusals.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/limits.h"

void pst_refusals_take(struct pst_refusals *refusals, const struct pst_control *record)
{
    if (record->kind == PST_CONTROL_ABANDONED)
        refusals->abandoned = record->value;
    else if (record->kind == PST_CONTROL_STALLED)
        refusals->stalls[refusals->stall_count++ % PST_REFUSALS_KEPT] = *record;
}

static uint64_t cgroup_hash(const struct pst_facts *facts)
{
    return XXH3_64bits(facts->cgroup.ptr, facts->cgroup.len) | 1;
}

static bool offending(const struct pst_refusals *refusals, uint64_t hash)
{
    for (size_t i = 0; i < PST_REFUSALS_KEPT; i++)
        if (refusals->cgroups[i] == hash)
            return true;
    return false;
}

bool pst_refusals_stalled(struct pst_refusals *refusals, const struct pst_facts *facts)
{
    bool found = false;

    for (size_t i = 0; i < PST_REFUSALS_KEPT && !found; i++) {
        const struct pst_control *stall = &refusals->stalls[i];
        if (stall->role == PST_ROLE_SAMPLE)
            found = stall->value == facts->id;
        else if (stall->role == PST_ROLE_SCAN)
            found = stall->value == (uint64_t)facts->pid && stall->extra == facts->start_ticks;
    }
    if (found && facts->cgroup.len > 0 && !offending(refusals, cgroup_hash(facts)))
        refusals->cgroups[refusals->cgroup_count++ % PST_REFUSALS_KEPT] = cgroup_hash(facts);
    return found;
}

bool pst_refusals_by_cgroup(const struct pst_refusals *refusals, const struct pst_facts *facts)
{
    return refusals->abandoned >= PST_MAX_ABANDONED_READERS && facts->cgroup.len > 0 &&
           offending(refusals, cgroup_hash(facts));
}
