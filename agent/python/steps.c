/* A set of fingerprints with a small count in their lowest bits: two bits of 64 do not make a
 * collision likely. Of each group the one that was proven least gives way. */
#include "steps.h"

#include <stdlib.h>
#include <string.h>

enum {
    GROUPS = 256,
    WAYS = 4,
    COUNT_MASK = 3,
    /* A read that is torn in every copy alike was met four times in a million samples, each time at
     * one of the same two steps (3.8, `deep`): in time any number of them comes together. Three do
     * so before counts are halved once in some 100,000 times. */
    PROOFS = 3,
    SAMPLES_HALVED = 16384,
};

struct pst_steps {
    uint64_t epoch;
    uint32_t samples; /* since counts were halved */
    uint64_t slots[GROUPS][WAYS];
};

struct pst_steps *pst_steps_new(void)
{
    return calloc(1, sizeof(struct pst_steps));
}

struct pst_steps *pst_steps_free(struct pst_steps *steps)
{
    free(steps);
    return NULL;
}

void pst_steps_epoch(struct pst_steps *steps, uint64_t epoch)
{
    if (steps->epoch == epoch)
        return;
    memset(steps->slots, 0, sizeof(steps->slots));
    steps->epoch = epoch;
}

static void halve(struct pst_steps *steps)
{
    for (unsigned i = 0; i < GROUPS * WAYS; i++) {
        uint64_t *slot = &steps->slots[i / WAYS][i % WAYS];
        uint64_t left = (*slot & COUNT_MASK) / 2;
        *slot = left ? (*slot & ~(uint64_t)COUNT_MASK) | left : 0;
    }
}

void pst_steps_sample(struct pst_steps *steps)
{
    if (++steps->samples < SAMPLES_HALVED)
        return;
    steps->samples = 0;
    halve(steps);
}

static uint64_t mixed(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

static uint64_t fingerprint(const struct pst_step *step)
{
    uint64_t hash = mixed(mixed(mixed(0, step->caller), step->instr), step->callee);

    return hash & ~(uint64_t)COUNT_MASK;
}

static const uint64_t *find(const struct pst_steps *steps, uint64_t print)
{
    const uint64_t *group = steps->slots[print >> 56];

    for (unsigned i = 0; i < WAYS; i++) {
        if (group[i] != 0 && (group[i] & ~(uint64_t)COUNT_MASK) == print)
            return &group[i];
    }
    return NULL;
}

static void count(struct pst_steps *steps, const struct pst_step *step, unsigned by)
{
    uint64_t print = fingerprint(step), *group = steps->slots[print >> 56], *least = group;
    const uint64_t *known = find(steps, print);

    if (known) {
        uint64_t *slot = group + (known - group);
        uint64_t now = (*slot & COUNT_MASK) + by;
        *slot = print | (now < COUNT_MASK ? now : COUNT_MASK);
        return;
    }
    for (unsigned i = 1; i < WAYS; i++) {
        if ((group[i] & COUNT_MASK) < (*least & COUNT_MASK))
            least = &group[i];
    }
    /* What stands longer than others wears off, or a full group would learn nothing more. */
    for (unsigned i = 0; i < WAYS && (*least & COUNT_MASK) >= PROOFS; i++)
        group[i]--;
    *least = print | by;
}

void pst_steps_seen(struct pst_steps *steps, const struct pst_step *step)
{
    count(steps, step, 1);
}

void pst_steps_prove(struct pst_steps *steps, const struct pst_step *step)
{
    count(steps, step, COUNT_MASK);
}

bool pst_steps_proven(const struct pst_steps *steps, const struct pst_step *step)
{
    const uint64_t *slot = find(steps, fingerprint(step));

    return slot && (*slot & COUNT_MASK) >= PROOFS;
}
