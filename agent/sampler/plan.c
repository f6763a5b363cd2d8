/* A new plan: what is not in it any more leaves with its window, what stays goes on, what is new
 * begins. */
#include <errno.h>
#include <stdlib.h>

#include "all.h"
#include "base/clock.h"
#include "base/limits.h"

static const uint64_t first_window_ns = 5 * PST_NS_PER_S;
/* What the quiet ones cost together stays the same from here on. */
enum { MANY_TARGETS = 100, QUIET_ONE_IN = 4, QUIET_ONE_IN_MAX = 64 };

static int reserve_targets(struct pst_sampler *sampler, size_t count)
{
    if (count <= sampler->cap)
        return 0;
    struct pst_sampled **targets = realloc(sampler->targets, count * sizeof(struct pst_sampled *));
    if (!targets)
        return -ENOMEM;
    sampler->targets = targets;
    uint32_t *order = realloc(sampler->order, count * sizeof(*order));
    if (!order)
        return -ENOMEM;
    sampler->order = order;
    sampler->cap = count;
    return 0;
}

static void retire(struct pst_sampler *sampler, size_t at, uint64_t now_ns)
{
    struct pst_sampled *target = sampler->targets[at];
    pst_sampler_close_target(sampler, target, now_ns, false);
    pst_sampled_free(target);
    sampler->targets[at] = sampler->targets[--sampler->count];
}

static bool same_process(const struct pst_sampler_target *a, const struct pst_sampler_target *b)
{
    return a->pid == b->pid && a->start_ticks == b->start_ticks;
}

static bool same_runtime(const struct pst_runtime *a, const struct pst_runtime *b)
{
    return a->hexversion == b->hexversion && a->runtime == b->runtime &&
           a->interp_head == b->interp_head && a->tstate_current == b->tstate_current;
}

/* A process that has loaded another runtime goes on under the same id: it is attached to anew, and
 * nothing of its window is lost. */
static void take_runtimes(struct pst_sampled *target, const struct pst_sampler_target *row,
                          uint64_t now_ns)
{
    if (same_runtime(&row->runtime, &target->plan.runtime) &&
        same_runtime(&row->second, &target->plan.second))
        return;
    if (!target->gone)
        pst_sampled_lost(target, PST_V_NOT_READY, now_ns);
    target->plan.runtime = row->runtime;
    target->plan.second = row->second;
}

static const struct pst_sampler_target *
find_row(const struct pst_map *rows, const struct pst_sampler_target *targets, uint64_t id)
{
    const uint32_t *at = pst_map_get(rows, &id);
    return at ? &targets[*at] : NULL;
}

/* Drops what is not planned any more, updates what is. */
static void update_known(struct pst_sampler *sampler, const struct pst_map *rows,
                         const struct pst_sampler_target *targets, uint64_t now_ns)
{
    for (size_t i = 0; i < sampler->count;) {
        struct pst_sampled *target = sampler->targets[i];
        const struct pst_sampler_target *row = find_row(rows, targets, target->plan.id);
        if (!row || !same_process(row, &target->plan)) {
            retire(sampler, i, now_ns);
            continue;
        }
        /* What was used under the old modes is not to be shared out under the new ones. */
        if (target->plan.modes != row->modes)
            pst_sampler_close_target(sampler, target, now_ns, true);
        take_runtimes(target, row, now_ns);
        target->plan.hz = row->hz;
        target->plan.modes = row->modes;
        target->plan.window_ns = row->window_ns;
        target->plan.max_frames = row->max_frames;
        target->plan.class_names = row->class_names;
        if (target->python)
            pst_python_name_classes(target->python, row->class_names);
        i++;
    }
}

static int add_new(struct pst_sampler *sampler, const struct pst_sampler_target *targets,
                   size_t count)
{
    pst_map_clear(sampler->by_id);
    void *value;
    for (size_t i = 0; i < sampler->count; i++)
        if (pst_map_put(sampler->by_id, &sampler->targets[i]->plan.id, &value, NULL) == 0)
            *(uint32_t *)value = (uint32_t)i;
    for (size_t i = 0; i < count; i++) {
        bool fresh;
        int r = pst_map_put(sampler->by_id, &targets[i].id, &value, &fresh);
        if (r < 0)
            return r;
        if (!fresh)
            continue;
        struct pst_sampled *target = pst_sampled_new(&sampler->shared, &targets[i]);
        if (!target)
            return -ENOMEM;
        *(uint32_t *)value = (uint32_t)sampler->count;
        sampler->targets[sampler->count++] = target;
    }
    return 0;
}

static unsigned quiet_one_in(size_t targets)
{
    unsigned one_in = QUIET_ONE_IN;
    for (size_t many = MANY_TARGETS; targets > many && one_in < QUIET_ONE_IN_MAX; many *= 4)
        one_in *= 4;
    return one_in;
}

static int replace_plan(struct pst_sampler *sampler, const struct pst_map *rows,
                        const struct pst_sampler_target *targets, size_t count, uint64_t now_ns)
{
    update_known(sampler, rows, targets, now_ns);
    int r = reserve_targets(sampler, sampler->count + count);
    if (r == 0)
        r = add_new(sampler, targets, count);
    sampler->shared.quiet_one_in = quiet_one_in(sampler->count);
    uint64_t window_ns = 0;
    for (size_t i = 0; i < sampler->count; i++)
        if (window_ns == 0 || sampler->targets[i]->plan.window_ns < window_ns)
            window_ns = sampler->targets[i]->plan.window_ns;
    if (sampler->window_ns == 0 && window_ns)
        sampler->window_end_ns =
            now_ns + (window_ns < first_window_ns ? window_ns : first_window_ns);
    if (window_ns)
        sampler->window_ns = window_ns;
    pst_sampler_regroup(sampler, now_ns);
    return r;
}

int pst_sampler_plan(struct pst_sampler *sampler, const struct pst_sampler_target *targets,
                     size_t count)
{
    struct pst_map *rows = pst_map_new(sizeof(uint64_t), sizeof(uint32_t), PST_MAX_TARGETS);
    if (!rows)
        return -ENOMEM;
    int r = 0;
    for (size_t i = 0; i < count && r == 0; i++) {
        void *value;
        r = pst_map_put(rows, &targets[i].id, &value, NULL);
        if (r == 0)
            *(uint32_t *)value = (uint32_t)i;
    }
    pst_sampler_lock(sampler);
    int replaced = replace_plan(sampler, rows, targets, count, pst_clock_monotonic_ns());
    pst_sampler_unlock(sampler);
    pst_map_free(rows);
    return r < 0 ? r : replaced;
}
