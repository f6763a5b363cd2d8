/* Which targets share a deadline: those of one rate, spread over a few slots where a tick would
 * take too long. */
#include <math.h>

#include "all.h"
#include "base/clock.h"

enum { MAX_SLOTS = 4 }; /* parts of one rate's targets, each with a deadline of its own */
static const uint64_t slot_work_ns = 2 * PST_NS_PER_MS;

static unsigned group_of(struct pst_sampler *sampler, double hz, unsigned slot, uint64_t now_ns)
{
    unsigned spare = PST_SAMPLER_GROUPS, nearest = 0;
    for (unsigned i = 0; i < PST_SAMPLER_GROUPS; i++) {
        struct pst_group *group = &sampler->groups[i];
        if (!group->used) {
            spare = spare == PST_SAMPLER_GROUPS ? i : spare;
            continue;
        }
        if (group->hz == hz && group->slot == slot)
            return i;
        if (fabs(group->hz - hz) < fabs(sampler->groups[nearest].hz - hz))
            nearest = i;
    }
    if (spare == PST_SAMPLER_GROUPS)
        return nearest;
    struct pst_group *group = &sampler->groups[spare];
    *group = (struct pst_group){.hz = hz, .slot = slot, .used = true};
    pst_schedule_start(&group->schedule, (uint64_t)((double)PST_NS_PER_S / hz), now_ns,
                       &sampler->shared.random);
    return spare;
}

static bool is_needed(const struct pst_sampler *sampler, const struct pst_group *group)
{
    for (size_t i = 0; i < sampler->count; i++)
        if (sampler->targets[i]->plan.hz == group->hz &&
            sampler->targets[i]->plan.id % sampler->slots == group->slot)
            return true;
    return false;
}

/* Rates of the plan before make room first. */
void pst_sampler_regroup(struct pst_sampler *sampler, uint64_t now_ns)
{
    bool needed[PST_SAMPLER_GROUPS] = {false};
    for (unsigned i = 0; i < PST_SAMPLER_GROUPS; i++)
        sampler->groups[i].used =
            sampler->groups[i].used && is_needed(sampler, &sampler->groups[i]);
    for (size_t i = 0; i < sampler->count; i++) {
        struct pst_sampled *target = sampler->targets[i];
        target->group = group_of(sampler, target->plan.hz,
                                 (unsigned)(target->plan.id % sampler->slots), now_ns);
        needed[target->group] = true;
    }
    for (unsigned i = 0; i < PST_SAMPLER_GROUPS; i++)
        sampler->groups[i].used = needed[i];
}

void pst_sampler_adapt_slots(struct pst_sampler *sampler, uint64_t now_ns)
{
    uint64_t most = 0;
    for (unsigned i = 0; i < PST_SAMPLER_GROUPS; i++)
        if (sampler->groups[i].used && sampler->groups[i].work_ns > most)
            most = sampler->groups[i].work_ns;
    unsigned slots = sampler->slots;
    if (most > slot_work_ns && slots < MAX_SLOTS)
        slots++;
    else if (most * 4 < slot_work_ns && slots > 1)
        slots--;
    if (slots == sampler->slots)
        return;
    sampler->slots = slots;
    for (unsigned i = 0; i < PST_SAMPLER_GROUPS; i++)
        sampler->groups[i].used = false;
    pst_sampler_regroup(sampler, now_ns);
}
