/* Sorts the samples by (pid, thread id, thread name, stack) and cuts them into groups. */
#include "groups.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "render/owner.h"

static int compare_text(struct pst_str a, struct pst_str b)
{
    int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);

    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_owners(const struct pst_owner *a, const struct pst_owner *b)
{
    if (a->pid != b->pid)
        return a->pid < b->pid ? -1 : 1;
    if (a->tid != b->tid)
        return a->tid < b->tid ? -1 : 1;
    return compare_text(a->name, b->name);
}

static int compare_stacks(const struct pst_profile *profile, uint32_t left, uint32_t right)
{
    struct pst_profile_sample a, b;

    pst_profile_sample(profile, left, &a);
    pst_profile_sample(profile, right, &b);
    for (size_t i = 1; i <= a.depth && i <= b.depth; i++) {
        uint32_t of_a = a.locations[a.depth - i], of_b = b.locations[b.depth - i];

        if (of_a != of_b)
            return of_a < of_b ? -1 : 1;
    }
    return (a.depth > b.depth) - (a.depth < b.depth);
}

struct sorting {
    const struct pst_profile *profile;
    const struct pst_owner *owners;
};

static int by_owner(const void *left, const void *right, void *context)
{
    const struct sorting *sorting = context;
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    const struct pst_owner *of_a = &sorting->owners[a], *of_b = &sorting->owners[b];
    int order = compare_owners(of_a, of_b);

    if (order == 0)
        order = (of_a->start_ns > of_b->start_ns) - (of_a->start_ns < of_b->start_ns);
    if (order == 0 && of_a->start_ns == INT64_MAX)
        order = compare_stacks(sorting->profile, a, b);
    return order ? order : (a > b) - (a < b);
}

static void cut(struct pst_groups *groups, const struct pst_profile *profile,
                const struct pst_owner *owners)
{
    uint32_t count = pst_profile_sample_count(profile);

    for (uint32_t i = 0; i < count; i++) {
        const struct pst_owner *owner = &owners[groups->order[i]];
        struct pst_group *group = &groups->items[groups->count ? groups->count - 1 : 0];
        struct pst_profile_sample sample;

        if (i == 0 || compare_owners(owner, &owners[groups->order[i - 1]]) != 0) {
            group = &groups->items[groups->count++];
            *group = (struct pst_group){
                .pid = owner->pid,
                .tid = owner->tid,
                .name = owner->name,
                .samples = groups->order + i,
            };
        }
        pst_profile_sample(profile, groups->order[i], &sample);
        group->count++;
        group->value_ns += sample.value_ns;
        group->weight_samples += sample.samples;
    }
}

int pst_groups_new(const struct pst_profile *profile, struct pst_groups **ret)
{
    uint32_t count = pst_profile_sample_count(profile);
    pst_autofree struct pst_owner *owners = calloc((size_t)count + 1, sizeof(*owners));
    struct pst_groups *groups = calloc(1, sizeof(*groups));
    struct sorting sorting = {profile, owners};

    if (groups) {
        groups->items = calloc((size_t)count + 1, sizeof(*groups->items));
        groups->order = calloc((size_t)count + 1, sizeof(*groups->order));
    }
    if (!owners || !groups || !groups->items || !groups->order) {
        pst_groups_free(groups);
        return -ENOMEM;
    }
    groups->begin_ns = INT64_MAX;
    groups->slack_ns = 2 * pst_profile_meta(profile).period_ns;
    for (uint32_t i = 0; i < count; i++) {
        owners[i] = pst_owner_of(profile, i);
        if (owners[i].start_ns < groups->begin_ns)
            groups->begin_ns = owners[i].start_ns;
        groups->order[i] = i;
    }
    qsort_r(groups->order, count, sizeof(*groups->order), by_owner, &sorting);
    cut(groups, profile, owners);
    *ret = groups;
    return 0;
}

int64_t pst_groups_start(const struct pst_groups *groups, const struct pst_profile *profile,
                         uint32_t sample, int64_t at_ns)
{
    int64_t start_ns = pst_owner_of(profile, sample).start_ns;

    if (start_ns == INT64_MAX)
        return at_ns;
    start_ns -= groups->begin_ns;
    return start_ns > at_ns && start_ns - at_ns > groups->slack_ns ? start_ns : at_ns;
}

struct pst_groups *pst_groups_free(struct pst_groups *groups)
{
    if (groups) {
        free(groups->items);
        free(groups->order);
    }
    free(groups);
    return NULL;
}
