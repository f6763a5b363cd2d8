/* Making and ending a target: identity first, then memory, then the walker. */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "sampled.h"

enum {
    ATTACH_BYTES = 64 << 20, /* attach reads whole data segments when symbols are stripped */
    ATTACH_READS = 200000,
};

struct pst_sampled *pst_sampled_new(struct pst_shared *shared,
                                    const struct pst_sampler_target *plan)
{
    struct pst_sampled *target = calloc(1, sizeof(*target));
    if (!target)
        return NULL;
    target->plan = *plan;
    target->shared = shared;
    target->ref.pidfd = -1;
    target->verdict = PST_V_NOT_READY;
    return target;
}

static void forget_functions(struct pst_sampled *target)
{
    free(target->functions);
    target->functions = NULL;
    target->function_cap = 0;
}

void pst_sampled_forget_codes(struct pst_sampled *target)
{
    if (!target->python)
        return;
    pst_python_forget_codes(target->python);
    forget_functions(target); /* by the ids that have just ended */
}

static void detach(struct pst_sampled *target)
{
    target->native = pst_native_look_free(target->native);
    target->python = pst_python_free(target->python);
    target->memory = pst_memory_free(target->memory);
    target->threads = pst_os_threads_free(target->threads);
    pst_procref_done(&target->ref);
    forget_functions(target);
    /* Attached again, its CPU counts from then on: what it used before has been accounted. */
    if (target->last_turn_ns)
        target->plan.born_observed = false;
    target->last_turn_ns = 0;
    target->last_look_ns = 0;
    target->look_clock_ns = 0;
    target->step_ns = 0;
    target->quiet = false;
    target->failures = 0;
}

struct pst_sampled *pst_sampled_free(struct pst_sampled *target)
{
    if (!target)
        return NULL;
    detach(target);
    pst_window_free(target->window);
    pst_names_free(target->names);
    free(target->scratch);
    free(target);
    return NULL;
}

static enum pst_verdict verdict_of(int error)
{
    return error == -ESRCH                       ? PST_V_GONE
           : error == -EPERM || error == -EACCES ? PST_V_DENIED
                                                 : PST_V_NO_MEMORY;
}

/* The other runtime may be without a stack to prove its layout by when the first has one. */
static void attach_second(struct pst_sampled *target, uint64_t now_ns)
{
    bool there = target->plan.second.hexversion != 0;

    target->second_due_ns = UINT64_MAX;
    if (there && pst_python_attach_second(target->python, &target->plan.second) != PST_V_OK)
        target->second_due_ns = now_ns + PST_NS_PER_S;
}

static enum pst_verdict try_attach(struct pst_sampled *target)
{
    int r = pst_procref_open(target->plan.pid, &target->ref);
    if (r < 0) {
        target->ref.pidfd = -1;
        return verdict_of(r);
    }
    if (target->ref.start_ticks != target->plan.start_ticks)
        return PST_V_GONE;
    target->memory = pst_memory_new(&target->ref);
    if (!target->memory)
        return PST_V_NO_MEMORY;
    pst_memory_watch(target->memory, &target->shared->watch_sequence);
    pst_memory_budget(target->memory, ATTACH_BYTES, ATTACH_READS);
    atomic_store(&target->shared->watch_target, target->plan.id);
    enum pst_verdict verdict =
        pst_python_attach(target->memory, &target->plan.runtime, &target->python);
    if (verdict != PST_V_OK)
        return pst_procref_verify(&target->ref) < 0 ? PST_V_GONE : verdict;
    attach_second(target, pst_clock_monotonic_ns());
    r = pst_os_threads_new(target->plan.pid, target->plan.born_observed, &target->threads);
    if (r < 0)
        return verdict_of(r);
    if (target->plan.native && !(target->native = pst_native_look_new(target)))
        return PST_V_NO_MEMORY;
    return PST_V_OK;
}

/* An interpreter that is starting or a child that has just forked is tried each tick for a second,
 * since that is when it becomes readable; what cannot change soon is asked rarely. */
static uint64_t attach_delay_ns(const struct pst_sampled *target, uint64_t now_ns)
{
    bool patient = target->verdict == PST_V_DENIED || target->verdict == PST_V_VERSION ||
                   target->verdict == PST_V_LAYOUT || target->verdict == PST_V_PRE_RELEASE;
    if (patient)
        return 30 * PST_NS_PER_S;
    uint64_t age_ns = now_ns - target->first_attach_ns;
    return age_ns < PST_NS_PER_S        ? 0
           : age_ns < 30 * PST_NS_PER_S ? PST_NS_PER_S
                                        : 10 * PST_NS_PER_S;
}

bool pst_sampled_attach_due(const struct pst_sampled *target, uint64_t now_ns)
{
    return !target->python && !target->gone && now_ns >= target->next_attach_ns;
}

void pst_sampled_read_clock(struct pst_sampled *target)
{
    struct pst_procref ref;
    uint64_t clock_ns;
    if (target->counting || target->gone || pst_procref_open(target->plan.pid, &ref) < 0)
        return;
    bool same = ref.start_ticks == target->plan.start_ticks &&
                pst_process_cpu_ns(target->plan.pid, &clock_ns) == 0;
    pst_procref_done(&ref);
    if (!same)
        return;
    if (!target->clocked && !target->plan.born_observed)
        target->window_clock_ns = clock_ns;
    target->clocked = true;
    target->clock_ns = clock_ns;
}

/* An attachment is no sample yet: the verdict of a target that was lost stands until a look at it
 * has succeeded. */
static void settle_attempt(struct pst_sampled *target, enum pst_verdict verdict, uint64_t now_ns)
{
    target->stats.verdicts[verdict]++;
    if (verdict == PST_V_OK) {
        pst_python_use_scratch(target->python, target->shared->scratch);
        pst_python_name_classes(target->python, target->plan.class_names);
        pst_python_stats(target->python, &target->py_base);
        return;
    }
    target->verdict = verdict;
    target->gone = verdict == PST_V_GONE;
    atomic_fetch_add(&target->shared->attach_failures, 1);
    detach(target);
    pst_sampled_read_clock(target);
    target->next_attach_ns = now_ns + attach_delay_ns(target, now_ns);
}

/* With a second runtime every id and every kept stack means another: all begins anew. */
static void retry_second(struct pst_sampled *target, uint64_t now_ns)
{
    pst_memory_budget(target->memory, ATTACH_BYTES, ATTACH_READS);
    atomic_store(&target->shared->watch_target, target->plan.id);
    attach_second(target, now_ns);
    if (target->second_due_ns != UINT64_MAX)
        return;
    pthread_mutex_lock(&target->shared->windows_lock);
    if (!target->shared->abandoned)
        pst_sampled_lost(target, PST_V_NOT_READY, now_ns);
    pthread_mutex_unlock(&target->shared->windows_lock);
}

bool pst_sampled_attach(struct pst_sampled *target, uint64_t now_ns)
{
    if (target->python && now_ns >= target->second_due_ns)
        retry_second(target, now_ns);
    if (target->python)
        return true;
    if (!pst_sampled_attach_due(target, now_ns))
        return false;
    if (target->attach_tries++ == 0)
        target->first_attach_ns = now_ns;
    enum pst_verdict verdict = try_attach(target);
    pthread_mutex_lock(&target->shared->windows_lock);
    bool attached = verdict == PST_V_OK && !target->shared->abandoned;
    if (!target->shared->abandoned)
        settle_attempt(target, verdict, now_ns);
    pthread_mutex_unlock(&target->shared->windows_lock);
    return attached;
}

void pst_sampled_lost(struct pst_sampled *target, enum pst_verdict verdict, uint64_t now_ns)
{
    target->verdict = verdict;
    target->gone = verdict == PST_V_GONE;
    target->attach_tries = 0;
    pst_sampled_settle(target);
    detach(target);
    target->next_attach_ns = now_ns;
}
