/* A list in the order of arrival. Windows of one target must not be merged into one profile, so
 * each goes out by itself. */
#include "pipeline/hold.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/metrics.h"

struct held {
    struct held *next;
    uint64_t target;
    struct pst_profile_meta meta;
    int64_t samples, value_ns;
    size_t body_bytes;
    char body[];
};

struct pst_hold {
    struct held *first, **last;
    size_t count, bytes;
};

struct pst_hold *pst_hold_new(void)
{
    struct pst_hold *hold = calloc(1, sizeof(*hold));
    if (hold)
        hold->last = &hold->first;
    return hold;
}

struct pst_hold *pst_hold_free(struct pst_hold *hold)
{
    while (hold && hold->first) {
        struct held *held = hold->first;
        hold->first = held->next;
        free(held);
    }
    free(hold);
    return NULL;
}

int pst_hold_add(struct pst_hold *hold, uint64_t target, const struct pst_profile_meta *meta,
                 int64_t samples, int64_t value_ns, const void *body, size_t body_bytes)
{
    if (body_bytes > PST_MAX_HELD_BYTES - hold->bytes)
        return -ENOSPC;
    struct held *held = malloc(sizeof(*held) + body_bytes);
    if (!held)
        return -ENOMEM;
    *held = (struct held){.target = target,
                          .meta = *meta,
                          .samples = samples,
                          .value_ns = value_ns,
                          .body_bytes = body_bytes};
    memcpy(held->body, body, body_bytes);
    *hold->last = held;
    hold->last = &held->next;
    hold->count++;
    hold->bytes += body_bytes;
    return 0;
}

size_t pst_hold_count(const struct pst_hold *hold)
{
    return hold->count;
}

static void emit(const struct held *held, const struct pst_labels *labels, struct pst_merge *merge)
{
    int r = pst_merge_add(merge, labels, &held->meta, held->samples, held->value_ns, held->body,
                          held->body_bytes);
    if (r < 0)
        pst_metric_add(PST_METRIC_DROPPED_SAMPLES, r == -ENOMEM ? "no_memory" : "invalid", NULL,
                       (double)held->samples);
    pst_merge_flush(merge);
}

void pst_hold_release(struct pst_hold *hold, struct pst_merge *merge,
                      int (*decide)(void *context, uint64_t target,
                                    const struct pst_labels **ret_labels),
                      void *context)
{
    struct held **at = &hold->first;
    while (*at) {
        struct held *held = *at;
        const struct pst_labels *labels = NULL;
        int verdict = decide(context, held->target, &labels);
        if (verdict == 0) {
            at = &held->next;
            continue;
        }
        if (verdict > 0)
            emit(held, labels, merge);
        *at = held->next;
        hold->count--;
        hold->bytes -= held->body_bytes;
        free(held);
    }
    hold->last = at;
}
