/* The sampling thread's side: one wake-up serves every target of a rate, in shuffled order; windows
 * close together and leave through the queue. */
#include <stdlib.h>
#include <unistd.h>

#include "all.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "target/procfs.h"

enum {
    CLOSES_PER_TICK = 64, /* so that closing never delays a tick by more than a few ms */
    MAX_QUEUED = 256,     /* closed windows waiting: closing goes on when they have left */
    MAX_HELD = 1024,      /* with those of ended targets; past it only their state is told */
    ATTACHES_PER_TICK = 8,
};
static const uint64_t idle_wait_ns = 100 * PST_NS_PER_MS; /* nothing is planned */
static const uint64_t stall_ns = PST_NS_PER_S;

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
void pst_sampler_close_target(struct pst_sampler *sampler, struct pst_sampled *target,
                              uint64_t now_ns, bool reopen)
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

void pst_sampler_lock(struct pst_sampler *sampler)
{
    pthread_mutex_lock(&sampler->shared.windows_lock);
    if (!sampler->shared.abandoned)
        return;
    pthread_mutex_unlock(&sampler->shared.windows_lock);
    stop_for_good();
}

void pst_sampler_unlock(struct pst_sampler *sampler)
{
    pthread_mutex_unlock(&sampler->shared.windows_lock);
}

/* Window length with a jitter of a tenth, so that a fleet does not push all at once. */
static uint64_t jittered(struct pst_sampler *sampler, uint64_t window_ns)
{
    uint64_t tenth = window_ns / 10;
    return window_ns - tenth / 2 + pst_random_below(&sampler->shared.random, tenth + 1);
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
    struct pst_group *group = &sampler->groups[index];
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
    pst_sampler_lock(sampler);
    for (size_t i = 0; i < count; i++)
        sampler->targets[sampler->order[i]]->stats.late += skipped;
    pst_sampler_unlock(sampler);
}

/* Windows of ended processes leave at once, not with the others. */
static void retire_gone(struct pst_sampler *sampler, uint64_t now_ns)
{
    bool any = false;
    for (size_t i = 0; i < sampler->count; i++)
        any = any || (sampler->targets[i]->gone && !sampler->targets[i]->reported);
    if (!any)
        return;
    pst_sampler_lock(sampler);
    for (size_t i = 0; i < sampler->count; i++) {
        struct pst_sampled *target = sampler->targets[i];
        if (!target->gone || target->reported)
            continue;
        pst_sampler_close_target(sampler, target, now_ns, false);
        target->reported = true;
    }
    pst_sampler_unlock(sampler);
}

static void close_some(struct pst_sampler *sampler, uint64_t now_ns)
{
    unsigned closed = 0;
    bool left = false;
    pst_sampler_lock(sampler);
    for (size_t i = 0; i < sampler->count; i++) {
        struct pst_sampled *target = sampler->targets[i];
        if (!target->closing)
            continue;
        if (closed >= CLOSES_PER_TICK || sampler->queue.count >= MAX_QUEUED) {
            left = true;
            break;
        }
        pst_sampler_close_target(sampler, target, now_ns, true);
        closed++;
    }
    if (!left) {
        sampler->closing = false;
        enqueue_end(sampler);
        pst_sampler_adapt_slots(sampler, now_ns);
    }
    pst_sampler_unlock(sampler);
}

/* Windows that are open keep the old names until they have been shipped. */
static void renew_names(struct pst_sampler *sampler)
{
    struct pst_names *old = sampler->shared.names, *fresh;
    if (!pst_sampler_names_due(sampler) || !(fresh = pst_names_new()))
        return;
    sampler->renew_names = false;
    sampler->names_needed = 0;
    pst_sampler_lock(sampler);
    sampler->shared.names = fresh;
    if (make_brackets(&sampler->shared) < 0)
        sampler->shared.names = old;
    pst_names_free(sampler->shared.names == old ? fresh : old);
    pst_sampler_unlock(sampler);
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
    for (unsigned i = 0; i < PST_SAMPLER_GROUPS; i++)
        if (sampler->groups[i].used && sampler->groups[i].schedule.deadline_ns < next)
            next = sampler->groups[i].schedule.deadline_ns;
    return next;
}

uint64_t pst_sampler_tick(struct pst_sampler *sampler, uint64_t now_ns)
{
    atomic_fetch_add(&sampler->wakeups, 1);
    atomic_store(&sampler->sampling_tid, gettid());
    for (unsigned i = 0; i < PST_SAMPLER_GROUPS; i++)
        if (sampler->groups[i].used && sampler->groups[i].schedule.deadline_ns <= now_ns)
            serve_group(sampler, i, now_ns);
    now_ns = pst_clock_monotonic_ns();
    retire_gone(sampler, now_ns);
    turn_window(sampler, now_ns);
    pst_sampler_hold_caches(sampler, now_ns);
    return next_deadline(sampler, now_ns);
}

void pst_sampler_finish(struct pst_sampler *sampler)
{
    pst_sampler_lock(sampler);
    uint64_t now_ns = pst_clock_monotonic_ns();
    for (size_t i = 0; i < sampler->count; i++)
        if (!sampler->targets[i]->reported)
            pst_sampler_close_target(sampler, sampler->targets[i], now_ns, false);
    enqueue_end(sampler);
    pst_sampler_unlock(sampler);
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
            pst_sampler_close_target(sampler, sampler->targets[i], now_ns, false);
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

void pst_sampler_progress(const struct pst_sampler *sampler, enum pst_mode mode,
                          struct pst_sampler_progress *ret)
{
    const struct pst_shared *shared = &sampler->shared;
    *ret = (struct pst_sampler_progress){
        .samples = atomic_load(&shared->samples[mode]),
        .turns = atomic_load(&shared->turns),
        .turns_ns = atomic_load(&shared->turns_ns),
        .torn = atomic_load(&shared->torn_count),
        .failed = atomic_load(&shared->failed_count),
    };
}

void pst_sampler_native_stats(const struct pst_sampler *sampler, struct pst_native_stats *ret)
{
    *ret = (struct pst_native_stats){0};
    if (sampler->shared.tracer)
        pst_tracer_stats(sampler->shared.tracer, ret);
}
