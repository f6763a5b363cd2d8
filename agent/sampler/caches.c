/* What is kept of code objects and their names, when memory is short. Read anew it is the same:
 * nothing but CPU is lost. Sampling thread. */
#include <malloc.h>

#include "all.h"
#include "base/clock.h"

enum {
    CODES_ROOM_BYTES = 32 << 20, /* of all targets, before it is halved for the first time */
    NAMES_LEAST_BYTES = 1 << 20,
};
static const uint64_t gap_ns = PST_NS_PER_S;

/* While caches are shrunk: twice what one window needs. To begin anew for less would have the same
 * names there twice. */
static bool names_grown(struct pst_sampler *sampler)
{
    if (sampler->shared.shrink == 0)
        return false;
    size_t bytes = pst_names_bytes(sampler->shared.names);
    if (sampler->names_needed == 0)
        sampler->names_needed = bytes > NAMES_LEAST_BYTES ? bytes : NAMES_LEAST_BYTES;
    return bytes > 2 * sampler->names_needed;
}

bool pst_sampler_names_due(struct pst_sampler *sampler)
{
    return sampler->renew_names || pst_names_full(sampler->shared.names) || names_grown(sampler);
}

/* Whoever has more than an equal part of the room begins anew: then all of them together fit. */
void pst_sampler_hold_caches(struct pst_sampler *sampler, uint64_t now_ns)
{
    size_t room = CODES_ROOM_BYTES >> sampler->shared.shrink, total = 0;
    if (sampler->shared.shrink == 0 || now_ns < sampler->caches_due_ns)
        return;
    sampler->caches_due_ns = now_ns + gap_ns;
    for (size_t i = 0; i < sampler->count; i++)
        if (sampler->targets[i]->python)
            total += pst_python_code_bytes(sampler->targets[i]->python);
    for (size_t i = 0; i < sampler->count && total > room; i++) {
        struct pst_sampled *target = sampler->targets[i];
        if (target->python && pst_python_code_bytes(target->python) > room / sampler->count)
            pst_sampled_forget_codes(target);
    }
}

void pst_sampler_shrink(struct pst_sampler *sampler, unsigned shrink)
{
    bool more = shrink > sampler->shared.shrink;
    sampler->shared.shrink = shrink < PST_SAMPLER_SHRINK_MAX ? shrink : PST_SAMPLER_SHRINK_MAX;
    if (!more)
        return;
    sampler->renew_names = true;
    for (size_t i = 0; i < sampler->count; i++)
        pst_sampled_forget_codes(sampler->targets[i]);
    /* What lies between blocks in use would stay with the process else. */
    (void)malloc_trim(0);
}
