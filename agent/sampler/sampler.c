/* All targets together: one wake-up serves every target of a rate, in shuffled order; windows
 * close together and leave through the queue. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/map.h"
#include "queue.h"
#include "sampled.h"
#include "schedule.h"
#include "target/procfs.h"

enum {
    MAX_GROUPS = 64,
    MAX_SLOTS = 4,        /* parts of one rate's targets, each with a deadline of its own */
    CLOSES_PER_TICK = 64, /* so that closing never delays a tick by more than a few ms */
    MAX_QUEUED = 256,     /* closed windows waiting: closing goes on when they have left */
    MAX_HELD = 1024,      /* with those of ended targets; past it only their state is told */
    ATTACHES_PER_TICK = 8,
};
static const uint64_t slot_work_ns = 2 * PST_NS_PER_MS;
static const uint64_t first_window_ns = 5 * PST_NS_PER_S;
static const uint64_t idle_wait_ns = 100 * PST_NS_PER_MS; /* nothing is planned */
static const uint64_t stall_ns = PST_NS_PER_S;

/* Targets of one rate and slot: they share deadlines. */
struct group {
    double hz;
    unsigned slot;
    struct pst_schedule schedule;
    uint64_t work_ns; /* smoothed duration of a tick */
    bool used;
};

struct pst_sampler {
    struct pst_sampler_hooks hooks;
    struct pst_shared shared;
    struct pst_sampled **targets;
    size_t count, cap;
    struct pst_map *by_id; /* id -> index, rebuilt with the plan */
    uint32_t *order;       /* scratch for shuffling */
    struct group groups[MAX_GROUPS];
    unsigned slots; /* of every rate */

    uint64_t sequence, window_ns, window_end_ns;
    bool closing; /* some targets' windows of this sequence are still open */
    struct pst_closed_queue queue;
    pthread_cond_t arrived;
    _Atomic uint64_t wakeups, overruns;
    _Atomic pid_t sampling_tid;

    /* Shipping thread: what it last saw of the watch. */
    uint64_t seen_sequence, seen_since_ns;
};

static int make_brackets(struct pst_shared *shared)
{
    const struct {
        const char *text;
        uint32_t *id;
    } brackets[] = {
        {"[torn]", &shared->torn},
        {"[deeper]", &shared->deeper},
        {"[unreadable]", &shared->unreadable},
        {"[not observed]", &shared->not_observed},
        {"[cpu not observed]", &shared->cpu_not_observed},
        {"[ended threads]", &shared->ended_threads},
        {"[no Python frame]", &shared->no_python_frame},
        {"[names overflow]", &shared->overflow},
    };
    for (size_t i = 0; i < sizeof(brackets) / sizeof(brackets[0]); i++) {
        int r = pst_names_synthetic(shared->names, pst_str(brackets[i].text), brackets[i].id);
        if (r < 0)
            return r;
    }
    return 0;
}

struct pst_sampler *pst_sampler_new(const struct pst_sampler_hooks *hooks)
{
    struct pst_sampler *sampler = calloc(1, sizeof(*sampler));
    if (!sampler)
        return NULL;
    sampler->hooks = *hooks;
    sampler->slots = 1;
    pst_closed_queue_init(&sampler->queue);
    (void)pthread_mutex_init(&sampler->shared.windows_lock, NULL);
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&sampler->arrived, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    sampler->shared.random.state = pst_random_seed() ^ pst_clock_monotonic_ns();
    sampler->shared.names = pst_names_new();
    sampler->shared.scratch = pst_py_scratch_new();
    sampler->by_id = pst_map_new(sizeof(uint64_t), sizeof(uint32_t), PST_MAX_TARGETS);
    if (!sampler->shared.names || !sampler->shared.scratch || !sampler->by_id ||
        make_brackets(&sampler->shared) < 0)
        return pst_sampler_free(sampler);
    return sampler;
}

struct pst_sampler *pst_sampler_free(struct pst_sampler *sampler)
{
    if (!sampler)
        return NULL;
    for (size_t i = 0; i < sampler->count; i++)
        pst_sampled_free(sampler->targets[i]);
    struct pst_closed *entry;
    while ((entry = pst_closed_queue_pop(&sampler->queue)))
        pst_closed_free(entry);
    free(sampler->targets);
    free(sampler->order);
    pst_map_free(sampler->by_id);
    pst_names_free(sampler->shared.names);
    pst_py_scratch_free(sampler->shared.scratch);
    pst_tracer_free(sampler->shared.tracer);
    (void)pthread_cond_destroy(&sampler->arrived);
    (void)pthread_mutex_destroy(&sampler->shared.windows_lock);
    free(sampler);
    return NULL;
}

/* The sampling thread lost its windows to the shipping thread, which ends this process next. */
static void stop_for_good(void)
{
    for (;;)
        (void)pause();
}

/* The books of stops are the sampling thread's: once it has been left behind, nobody reads them. */
static void tell_native(struct pst_sampler *sampler, const struct pst_sampled *target,
                        struct pst_closed *entry)
{
    struct pst_native_stats stats;

    entry->native = target->plan.native;
    if (!entry->native || !sampler->shared.tracer || sampler->shared.abandoned)
        return;
    pst_tracer_stats(sampler->shared.tracer, &stats);
    entry->stop_ns = stats.running_ns ? stats.running_ns : stats.sleeping_ns;
    if (stats.stops == 0 && stats.outcomes[PST_NATIVE_REFUSED] > 0)
        pst_log_warn("no_native", "the kernel refuses ptrace: there are no native frames");
}

/* windows_lock held. */
static void enqueue(struct pst_sampler *sampler, struct pst_sampled *target,
                    struct pst_window *window, struct pst_names *names,
                    const struct pst_sampler_window *stats)
{
    struct pst_closed *entry = calloc(1, sizeof(*entry));
    if (!entry) {
        pst_window_free(window);
        pst_names_free(names);
        return;
    }
    entry->stats = *stats;
    entry->stats.sequence = sampler->sequence;
    entry->window = window;
    entry->names = names;
    if (window && sampler->queue.count >= MAX_HELD) {
        entry->window = pst_window_free(window);
        entry->stats.verdicts[PST_V_NO_MEMORY]++;
    }
    entry->pid = target->plan.pid;
    entry->modes = target->plan.modes;
    tell_native(sampler, target, entry);
    pst_closed_queue_push(&sampler->queue, entry);
    (void)pthread_cond_signal(&sampler->arrived);
}

/* windows_lock held. */
static void close_target(struct pst_sampler *sampler, struct pst_sampled *target, uint64_t now_ns,
                         bool reopen)
{
    struct pst_sampler_window stats;
    struct pst_names *names = target->names ? pst_names_ref(target->names) : NULL;
    struct pst_window *window = pst_sampled_close(target, now_ns, reopen, &stats);
    enqueue(sampler, target, window, names, &stats);
    target->closing = false;
}

static void enqueue_end(struct pst_sampler *sampler)
{
    struct pst_closed *entry = calloc(1, sizeof(*entry));
    if (!entry)
        return;
    entry->end = true;
    entry->stats.sequence = sampler->sequence++;
    pst_closed_queue_push(&sampler->queue, entry);
    (void)pthread_cond_signal(&sampler->arrived);
}

static void lock_windows(struct pst_sampler *sampler)
{
    pthread_mutex_lock(&sampler->shared.windows_lock);
    if (!sampler->shared.abandoned)
        return;
    pthread_mutex_unlock(&sampler->shared.windows_lock);
    stop_for_good();
}

static void unlock_windows(struct pst_sampler *sampler)
{
    pthread_mutex_unlock(&sampler->shared.windows_lock);
}

/* Window length with a jitter of a tenth, so that a fleet does not push all at once. */
static uint64_t jittered(struct pst_sampler *sampler, uint64_t window_ns)
{
    uint64_t tenth = window_ns / 10;
    return window_ns - tenth / 2 + pst_random_below(&sampler->shared.random, tenth + 1);
}

static unsigned group_of(struct pst_sampler *sampler, double hz, unsigned slot, uint64_t now_ns)
{
    unsigned spare = MAX_GROUPS, nearest = 0;
    for (unsigned i = 0; i < MAX_GROUPS; i++) {
        struct group *group = &sampler->groups[i];
        if (!group->used) {
            spare = spare == MAX_GROUPS ? i : spare;
            continue;
        }
        if (group->hz == hz && group->slot == slot)
            return i;
        if (fabs(group->hz - hz) < fabs(sampler->groups[nearest].hz - hz))
            nearest = i;
    }
    if (spare == MAX_GROUPS)
        return nearest;
    struct group *group = &sampler->groups[spare];
    *group = (struct group){.hz = hz, .slot = slot, .used = true};
    pst_schedule_start(&group->schedule, (uint64_t)((double)PST_NS_PER_S / hz), now_ns,
                       &sampler->shared.random);
    return spare;
}

static bool is_needed(const struct pst_sampler *sampler, const struct group *group)
{
    for (size_t i = 0; i < sampler->count; i++)
        if (sampler->targets[i]->plan.hz == group->hz &&
            sampler->targets[i]->plan.id % sampler->slots == group->slot)
            return true;
    return false;
}

/* Rates of the plan before make room first. */
static void regroup(struct pst_sampler *sampler, uint64_t now_ns)
{
    bool needed[MAX_GROUPS] = {false};
    for (unsigned i = 0; i < MAX_GROUPS; i++)
        sampler->groups[i].used =
            sampler->groups[i].used && is_needed(sampler, &sampler->groups[i]);
    for (size_t i = 0; i < sampler->count; i++) {
        struct pst_sampled *target = sampler->targets[i];
        target->group = group_of(sampler, target->plan.hz,
                                 (unsigned)(target->plan.id % sampler->slots), now_ns);
        needed[target->group] = true;
    }
    for (unsigned i = 0; i < MAX_GROUPS; i++)
        sampler->groups[i].used = needed[i];
}

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
    close_target(sampler, target, now_ns, false);
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
            close_target(sampler, target, now_ns, true);
        take_runtimes(target, row, now_ns);
        target->plan.hz = row->hz;
        target->plan.modes = row->modes;
        target->plan.window_ns = row->window_ns;
        target->plan.max_frames = row->max_frames;
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

static int replace_plan(struct pst_sampler *sampler, const struct pst_map *rows,
                        const struct pst_sampler_target *targets, size_t count, uint64_t now_ns)
{
    update_known(sampler, rows, targets, now_ns);
    int r = reserve_targets(sampler, sampler->count + count);
    if (r == 0)
        r = add_new(sampler, targets, count);
    uint64_t window_ns = 0;
    for (size_t i = 0; i < sampler->count; i++)
        if (window_ns == 0 || sampler->targets[i]->plan.window_ns < window_ns)
            window_ns = sampler->targets[i]->plan.window_ns;
    if (sampler->window_ns == 0 && window_ns)
        sampler->window_end_ns =
            now_ns + (window_ns < first_window_ns ? window_ns : first_window_ns);
    if (window_ns)
        sampler->window_ns = window_ns;
    regroup(sampler, now_ns);
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
    lock_windows(sampler);
    int replaced = replace_plan(sampler, rows, targets, count, pst_clock_monotonic_ns());
    unlock_windows(sampler);
    pst_map_free(rows);
    return r < 0 ? r : replaced;
}

/* Random order within a tick: whoever comes late in it does so for every target alike. */
static size_t shuffled(struct pst_sampler *sampler, unsigned group)
{
    size_t count = 0;
    for (size_t i = 0; i < sampler->count; i++)
        if (sampler->targets[i]->group == group)
            sampler->order[count++] = (uint32_t)i;
    for (size_t i = count; i > 1; i--) {
        size_t j = pst_random_below(&sampler->shared.random, i);
        uint32_t kept = sampler->order[i - 1];
        sampler->order[i - 1] = sampler->order[j];
        sampler->order[j] = kept;
    }
    return count;
}

static void serve_group(struct pst_sampler *sampler, unsigned index, uint64_t now_ns)
{
    struct group *group = &sampler->groups[index];
    size_t count = shuffled(sampler, index);
    unsigned attaches = 0;
    for (size_t i = 0; i < count; i++) {
        struct pst_sampled *target = sampler->targets[sampler->order[i]];
        if (pst_sampled_attach_due(target, now_ns) && attaches++ >= ATTACHES_PER_TICK)
            continue;
        if (!pst_sampled_attach(target, now_ns))
            continue;
        if (!pst_sampled_turn(target, pst_clock_monotonic_ns(), group->schedule.period_ns))
            stop_for_good();
    }
    uint64_t end_ns = pst_clock_monotonic_ns();
    group->work_ns = (group->work_ns * 7 + (end_ns - now_ns)) / 8;
    uint64_t skipped = pst_schedule_advance(&group->schedule, end_ns, &sampler->shared.random);
    if (skipped == 0)
        return;
    atomic_fetch_add(&sampler->overruns, skipped);
    lock_windows(sampler);
    for (size_t i = 0; i < count; i++)
        sampler->targets[sampler->order[i]]->stats.late += skipped;
    unlock_windows(sampler);
}

/* A tick longer than 2 ms delays its last targets: their rate's targets are spread over more
 * deadlines, at most four. */
static void adapt_slots(struct pst_sampler *sampler, uint64_t now_ns)
{
    uint64_t most = 0;
    for (unsigned i = 0; i < MAX_GROUPS; i++)
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
    for (unsigned i = 0; i < MAX_GROUPS; i++)
        sampler->groups[i].used = false;
    regroup(sampler, now_ns);
}

/* Windows of ended processes leave at once, not with the others. */
static void retire_gone(struct pst_sampler *sampler, uint64_t now_ns)
{
    bool any = false;
    for (size_t i = 0; i < sampler->count; i++)
        any = any || (sampler->targets[i]->gone && !sampler->targets[i]->reported);
    if (!any)
        return;
    lock_windows(sampler);
    for (size_t i = 0; i < sampler->count; i++) {
        struct pst_sampled *target = sampler->targets[i];
        if (!target->gone || target->reported)
            continue;
        close_target(sampler, target, now_ns, false);
        target->reported = true;
    }
    unlock_windows(sampler);
}

static void close_some(struct pst_sampler *sampler, uint64_t now_ns)
{
    unsigned closed = 0;
    bool left = false;
    lock_windows(sampler);
    for (size_t i = 0; i < sampler->count; i++) {
        struct pst_sampled *target = sampler->targets[i];
        if (!target->closing)
            continue;
        if (closed >= CLOSES_PER_TICK || sampler->queue.count >= MAX_QUEUED) {
            left = true;
            break;
        }
        close_target(sampler, target, now_ns, true);
        closed++;
    }
    if (!left) {
        sampler->closing = false;
        enqueue_end(sampler);
        adapt_slots(sampler, now_ns);
    }
    unlock_windows(sampler);
}

/* Windows that are open keep the old names until they have been shipped. */
static void renew_names(struct pst_sampler *sampler)
{
    struct pst_names *old = sampler->shared.names, *fresh;
    if (!pst_names_full(old) || !(fresh = pst_names_new()))
        return;
    lock_windows(sampler);
    sampler->shared.names = fresh;
    if (make_brackets(&sampler->shared) < 0)
        sampler->shared.names = old;
    pst_names_free(sampler->shared.names == old ? fresh : old);
    unlock_windows(sampler);
}

static void turn_window(struct pst_sampler *sampler, uint64_t now_ns)
{
    if (!sampler->closing && sampler->window_ns && now_ns >= sampler->window_end_ns) {
        renew_names(sampler);
        sampler->closing = true;
        sampler->window_end_ns = now_ns + jittered(sampler, sampler->window_ns);
        for (size_t i = 0; i < sampler->count; i++)
            sampler->targets[i]->closing = !sampler->targets[i]->reported;
    }
    if (sampler->closing)
        close_some(sampler, now_ns);
}

static uint64_t next_deadline(const struct pst_sampler *sampler, uint64_t now_ns)
{
    uint64_t next = now_ns + idle_wait_ns;
    for (unsigned i = 0; i < MAX_GROUPS; i++)
        if (sampler->groups[i].used && sampler->groups[i].schedule.deadline_ns < next)
            next = sampler->groups[i].schedule.deadline_ns;
    return next;
}

uint64_t pst_sampler_tick(struct pst_sampler *sampler, uint64_t now_ns)
{
    atomic_fetch_add(&sampler->wakeups, 1);
    atomic_store(&sampler->sampling_tid, gettid());
    for (unsigned i = 0; i < MAX_GROUPS; i++)
        if (sampler->groups[i].used && sampler->groups[i].schedule.deadline_ns <= now_ns)
            serve_group(sampler, i, now_ns);
    now_ns = pst_clock_monotonic_ns();
    retire_gone(sampler, now_ns);
    turn_window(sampler, now_ns);
    return next_deadline(sampler, now_ns);
}

void pst_sampler_finish(struct pst_sampler *sampler)
{
    lock_windows(sampler);
    uint64_t now_ns = pst_clock_monotonic_ns();
    for (size_t i = 0; i < sampler->count; i++)
        if (!sampler->targets[i]->reported)
            close_target(sampler, sampler->targets[i], now_ns, false);
    enqueue_end(sampler);
    unlock_windows(sampler);
}

static struct pst_closed *wait_closed(struct pst_sampler *sampler, int timeout_ms)
{
    uint64_t wait_ms = timeout_ms > 0 ? (uint64_t)timeout_ms : 0;
    uint64_t until = pst_clock_monotonic_ns() + wait_ms * PST_NS_PER_MS;
    struct timespec deadline = {(time_t)(until / PST_NS_PER_S),
                                (__syscall_slong_t)(until % PST_NS_PER_S)};
    pthread_mutex_lock(&sampler->shared.windows_lock);
    struct pst_closed *entry = pst_closed_queue_pop(&sampler->queue);
    if (!entry && timeout_ms > 0) {
        (void)pthread_cond_timedwait(&sampler->arrived, &sampler->shared.windows_lock, &deadline);
        entry = pst_closed_queue_pop(&sampler->queue);
    }
    pthread_mutex_unlock(&sampler->shared.windows_lock);
    return entry;
}

static int add_native(struct pst_buf *text, const struct pst_closed *entry)
{
    if (!entry->native)
        return 0;
    return pst_buf_printf(text, "; threads were stopped for native frames, median %" PRIu64 " us",
                          entry->stop_ns / 1000);
}

/* What a reader needs to judge the profile; stands in it as a comment. */
static void add_comment(struct pst_profile *profile, const struct pst_closed *entry)
{
    const struct pst_sampler_window *w = &entry->stats;
    struct pst_buf text;
    pst_buf_init(&text, 512);
    if (pst_buf_printf(&text,
                       "pystrobe " PST_VERSION " pid %d: asked %.4g Hz, achieved %.4g Hz, "
                       "%" PRIu64 " samples, %" PRIu64 " late, %" PRIu64 " torn, %" PRIu64
                       " failed, %" PRIu64 " trimmed, %" PRIu64 " retried%s%s",
                       entry->pid, w->hz, w->achieved_hz, w->samples, w->late, w->torn, w->failed,
                       w->trimmed, w->retries,
                       pst_profile_meta(profile).mode == PST_MODE_GIL
                           ? "; holding the GIL is an estimate from samples"
                           : "",
                       w->jit ? "; JIT: lines are those last stored" : "") == 0 &&
        add_native(&text, entry) == 0)
        (void)pst_profile_add_comment(profile, pst_buf_view(&text));
    pst_buf_done(&text);
}

static void ship_one(struct pst_sampler *sampler, struct pst_closed *entry)
{
    struct pst_profile *profiles[PST_MODE_COUNT] = {NULL};
    for (int mode = 0; entry->window && mode < PST_MODE_COUNT; mode++) {
        if (!(entry->modes & (1U << mode)))
            continue;
        if (pst_window_profile(entry->window, (enum pst_mode)mode, entry->names, entry->pid,
                               &profiles[mode]) < 0)
            entry->stats.verdicts[PST_V_NO_MEMORY]++;
        if (profiles[mode]) {
            struct pst_profile_meta meta = {
                .mode = (enum pst_mode)mode,
                .time_ns = entry->stats.time_ns,
                .duration_ns = entry->stats.duration_ns,
                .period_ns = (int64_t)((double)PST_NS_PER_S / entry->stats.hz),
            };
            pst_profile_set_meta(profiles[mode], &meta);
            add_comment(profiles[mode], entry);
        }
    }
    if (entry->window)
        entry->stats.verdicts[PST_V_NO_MEMORY] += pst_window_overflow(entry->window);
    sampler->hooks.window(sampler->hooks.context, &entry->stats, profiles);
    for (int mode = 0; mode < PST_MODE_COUNT; mode++)
        pst_profile_free(profiles[mode]);
}

size_t pst_sampler_ship(struct pst_sampler *sampler, int timeout_ms)
{
    size_t shipped = 0;
    struct pst_closed *entry;
    while ((entry = wait_closed(sampler, shipped ? 0 : timeout_ms))) {
        if (entry->end && sampler->hooks.window_end)
            sampler->hooks.window_end(sampler->hooks.context, entry->stats.sequence);
        else if (!entry->end)
            ship_one(sampler, entry);
        pst_closed_free(entry);
        shipped++;
    }
    return shipped;
}

bool pst_sampler_stalled(struct pst_sampler *sampler, uint64_t now_ns, uint64_t *ret_target)
{
    uint64_t sequence = atomic_load(&sampler->shared.watch_sequence);
    bool inside = sequence & 1; /* odd between the start and the end of a read */
    if (!inside || sequence != sampler->seen_sequence) {
        sampler->seen_sequence = sequence;
        sampler->seen_since_ns = now_ns;
        return false;
    }
    *ret_target = atomic_load(&sampler->shared.watch_target);
    /* On a crowded machine a thread may wait a second for a CPU in the middle of a read. */
    return now_ns - sampler->seen_since_ns >= stall_ns &&
           pst_procfs_sleeps(atomic_load(&sampler->sampling_tid));
}

void pst_sampler_take_over(struct pst_sampler *sampler)
{
    pthread_mutex_lock(&sampler->shared.windows_lock);
    sampler->shared.abandoned = true;
    uint64_t now_ns = pst_clock_monotonic_ns();
    for (size_t i = 0; i < sampler->count; i++)
        if (!sampler->targets[i]->reported)
            close_target(sampler, sampler->targets[i], now_ns, false);
    enqueue_end(sampler);
    pthread_mutex_unlock(&sampler->shared.windows_lock);
}

void pst_sampler_totals(const struct pst_sampler *sampler, struct pst_sampler_totals *ret)
{
    const struct pst_shared *shared = &sampler->shared;
    *ret = (struct pst_sampler_totals){
        .wakeups = atomic_load(&sampler->wakeups),
        .looks = atomic_load(&shared->looks),
        .idle_looks = atomic_load(&shared->idle_looks),
        .stacks = atomic_load(&shared->stacks),
        .reused = atomic_load(&shared->reused),
        .overruns = atomic_load(&sampler->overruns),
        .attach_failures = atomic_load(&shared->attach_failures),
        .read_calls = atomic_load(&shared->read_calls),
    };
}

void pst_sampler_native_stats(const struct pst_sampler *sampler, struct pst_native_stats *ret)
{
    *ret = (struct pst_native_stats){0};
    if (sampler->shared.tracer)
        pst_tracer_stats(sampler->shared.tracer, ret);
}
