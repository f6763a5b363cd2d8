/* Accounting: every CPU nanosecond of the process goes to a stack, to a bracketed frame, or is
 * carried to the next window; none twice. */
#include <stdlib.h>

#include "base/clock.h"
#include "sampled.h"

enum { CARRY_WINDOWS = 4 };

static void name_thread(struct pst_sampled *target, const struct pst_os_thread *thread)
{
    if (thread->slot == PST_NO_STACK)
        return;
    const char *name = thread->name[0] ? thread->name : thread->comm;
    pst_window_thread_name(target->window, thread->slot, pst_str(name));
}

void pst_sampled_thread_ended(struct pst_sampled *target, struct pst_os_thread *thread)
{
    if (thread->slot == PST_NO_STACK || !target->window)
        return;
    name_thread(target, thread);
    /* Without a cpu sample of its own its CPU stays in the process's remainder: [ended threads]. */
    if (!pst_window_has_cpu(target->window, thread->slot))
        return;
    uint64_t rest = thread->run_ns - thread->accounted_ns;
    pst_window_thread_cpu(target->window, thread->slot, rest);
    target->accounted_ns += rest;
}

static void settle_cpu(struct pst_sampled *target, struct pst_os_thread *thread, bool last)
{
    uint64_t used = thread->run_ns - thread->accounted_ns;
    if (used == 0) {
        thread->carry_windows = 0;
        return;
    }
    if (thread->slot != PST_NO_STACK && pst_window_has_cpu(target->window, thread->slot)) {
        pst_window_thread_cpu(target->window, thread->slot, used);
    } else {
        uint32_t stack;
        if (++thread->carry_windows < CARRY_WINDOWS && !last)
            return;
        uint32_t slot = pst_sampled_slot(target, thread);
        if (slot == PST_NO_STACK ||
            pst_sampled_bracket(target, target->shared->cpu_not_observed, &stack) < 0)
            return;
        pst_window_add(target->window, slot, stack, PST_MODE_CPU, used, 0);
    }
    thread->accounted_ns = thread->run_ns;
    thread->carry_windows = 0;
    target->accounted_ns += used;
}

/* What the process's clock has beyond its threads: they ended, with CPU that no sample stood for,
 * or, without an attachment, nobody looked. The process clock was read before its threads', so a
 * running thread never appears here. */
static void settle_rest(struct pst_sampled *target, uint64_t process_ns, uint32_t function)
{
    uint64_t carried = 0;
    for (size_t i = 0; target->threads && i < pst_os_threads_count(target->threads); i++) {
        const struct pst_os_thread *thread = pst_os_threads_at(target->threads, i);
        carried += thread->run_ns - thread->accounted_ns;
    }
    uint64_t total = process_ns - target->cpu_base_ns;
    uint64_t known = target->accounted_ns + carried;
    if (process_ns < target->cpu_base_ns || total <= known)
        return;
    uint32_t slot, stack;
    if (pst_window_thread(target->window, 0, &slot) < 0 ||
        pst_sampled_bracket(target, function, &stack) < 0)
        return;
    pst_window_add(target->window, slot, stack, PST_MODE_CPU, total - known, 0);
    target->accounted_ns += total - known;
}

/* Without the cpu mode nobody is owed what was used: switched on later, it counts from then on. */
static void forgive_cpu(struct pst_sampled *target, uint64_t process_ns)
{
    for (size_t i = 0; target->threads && i < pst_os_threads_count(target->threads); i++) {
        struct pst_os_thread *thread = pst_os_threads_at(target->threads, i);
        thread->accounted_ns = thread->run_ns;
        thread->carry_windows = 0;
    }
    if (process_ns > target->cpu_base_ns)
        target->accounted_ns = process_ns - target->cpu_base_ns;
}

static void flush_wall(struct pst_sampled *target, struct pst_os_thread *thread)
{
    if (thread->stack == PST_NO_STACK || thread->tstate == 0 || target->pending_ns == 0)
        return;
    pst_sampled_add(target, thread, PST_MODE_WALL, thread->stack, target->pending_ns,
                    target->pending_turns);
}

static void settle(struct pst_sampled *target, bool last)
{
    bool cpu = target->plan.modes & (1U << PST_MODE_CPU);
    uint64_t process_ns = target->clock_ns;
    if (pst_process_cpu_ns(target->plan.pid, &process_ns) == 0)
        target->clock_ns = process_ns;
    for (size_t i = 0; target->threads && i < pst_os_threads_count(target->threads); i++) {
        struct pst_os_thread *thread = pst_os_threads_at(target->threads, i);
        pst_os_thread_cpu(target->threads, thread);
        if (cpu)
            settle_cpu(target, thread, last);
        flush_wall(target, thread);
        name_thread(target, thread);
    }
    if (cpu)
        settle_rest(target, process_ns,
                    target->threads ? target->shared->ended_threads : target->shared->not_observed);
    else
        forgive_cpu(target, process_ns);
    target->pending_ns = 0;
    target->pending_gap_ns = 0;
    target->pending_turns = 0;
    target->known_ns = 0;
    target->known_turns = 0;
}

void pst_sampled_settle(struct pst_sampled *target)
{
    if (target->window)
        settle(target, true);
}

void pst_sampled_rejoin(struct pst_sampled *target)
{
    if (target->plan.modes & (1U << PST_MODE_CPU))
        settle_rest(target, target->clock_ns, target->shared->not_observed);
    else
        forgive_cpu(target, target->clock_ns);
}

bool pst_sampled_take_names(struct pst_sampled *target)
{
    if (target->names == target->shared->names)
        return false;
    pst_names_free(target->names);
    target->names = pst_names_ref(target->shared->names);
    free(target->functions);
    target->functions = NULL;
    target->function_cap = 0;
    return true;
}

/* The same stack as an id of the window that opens. */
static uint32_t carried(struct pst_sampled *target, const struct pst_window *from, uint32_t stack)
{
    size_t count;
    if (stack == PST_NO_STACK || !target->window || !from)
        return PST_NO_STACK;
    const struct pst_wframe *frames = pst_window_frames(from, stack, &count);
    return pst_window_stack(target->window, frames, count, &stack) < 0 ? PST_NO_STACK : stack;
}

/* Stacks of threads that sleep on are carried into the next window without reading them again;
 * from NULL: they cannot be. */
static void carry_stacks(struct pst_sampled *target, const struct pst_window *from)
{
    for (size_t i = 0; target->threads && i < pst_os_threads_count(target->threads); i++) {
        struct pst_os_thread *thread = pst_os_threads_at(target->threads, i);
        thread->slot = PST_NO_STACK;
        thread->stack = carried(target, from, thread->stack);
        thread->charged = carried(target, from, thread->charged);
        for (size_t k = 0; k < PST_ASLEEP_STACKS; k++)
            thread->asleep[k] = carried(target, from, thread->asleep[k]);
    }
}

static void fill_stats(struct pst_sampled *target, uint64_t now_ns)
{
    struct pst_sampler_window *stats = &target->stats;
    stats->target = target->plan.id;
    stats->verdict = target->verdict;
    stats->gone = target->gone;
    stats->hz = target->plan.hz;
    stats->duration_ns = target->window_start_ns ? (int64_t)(now_ns - target->window_start_ns) : 0;
    if (stats->duration_ns > 0)
        stats->achieved_hz =
            (double)stats->ticks * (double)PST_NS_PER_S / (double)stats->duration_ns;
    if (target->clock_ns > target->window_clock_ns)
        stats->cpu_ns = target->clock_ns - target->window_clock_ns;
    if (target->python) {
        struct pst_py_stats py;
        pst_python_stats(target->python, &py);
        stats->code_hits = py.code_hits - target->py_base.code_hits;
        stats->code_misses = py.code_misses - target->py_base.code_misses;
        target->py_base = py;
        stats->jit = pst_python_jit(target->python);
    }
}

struct pst_window *pst_sampled_close(struct pst_sampled *target, uint64_t now_ns, bool reopen,
                                     struct pst_sampler_window *ret_stats)
{
    struct pst_window *closed = target->window;
    if (closed)
        pst_window_at(closed, now_ns);
    if (closed)
        settle(target, !reopen);
    else
        pst_sampled_read_clock(target);
    fill_stats(target, now_ns);
    *ret_stats = target->stats;
    bool renamed = false;
    target->stats = (struct pst_sampler_window){0};
    target->window = NULL;
    target->window_start_ns = 0;
    if (closed && reopen) {
        target->window = pst_window_new();
        if (target->window && target->plan.times)
            pst_window_keep_times(target->window);
        if (target->window)
            pst_window_at(target->window, now_ns);
        renamed = pst_sampled_take_names(target);
        target->window_start_ns = now_ns;
        target->window_clock_ns = target->clock_ns;
        target->stats.time_ns = (int64_t)pst_clock_realtime_ns();
    }
    if (closed)
        carry_stacks(target, renamed ? NULL : closed);
    else
        target->window_clock_ns = target->clock_ns;
    return closed;
}
