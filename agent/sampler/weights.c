/* What a thread's stack weighs, in each mode: only what ran weighs CPU, wall time is what passed,
 * the GIL's time is its holder's. */
#include <string.h>

#include "look.h"

static void add_cpu(struct pst_look *look, struct pst_os_thread *thread, uint32_t stack)
{
    struct pst_sampled *target = look->target;
    uint32_t slot = pst_sampled_slot(target, thread);
    if (slot == PST_NO_STACK || !(target->plan.modes & (1U << PST_MODE_CPU)))
        return;
    pst_window_add_raw_cpu(target->window, slot, stack, look->raw_ns ? look->raw_ns : 1, 1);
    atomic_fetch_add_explicit(&target->shared->samples[PST_MODE_CPU], 1, memory_order_relaxed);
    target->stats.samples++;
}

/* CPU used while nobody looked stands under its own frame instead of inflating what was seen. */
static void set_gap_aside(struct pst_look *look, struct pst_os_thread *thread)
{
    struct pst_sampled *target = look->target;
    uint32_t stack;
    if (look->gap_ns == 0 || thread->fresh ||
        pst_sampled_bracket(target, target->shared->not_observed, &stack) < 0)
        return;
    uint64_t whole = look->counted_ns + look->gap_ns;
    uint64_t cpu = (uint64_t)((unsigned __int128)thread->step_ns * look->gap_ns / whole);
    if (cpu && (target->plan.modes & (1U << PST_MODE_CPU))) {
        pst_sampled_add(target, thread, PST_MODE_CPU, stack, cpu, 0);
        thread->accounted_ns += cpu;
        target->accounted_ns += cpu;
    }
    if (thread->tstate)
        pst_sampled_add(target, thread, PST_MODE_WALL, stack, look->gap_ns, 0);
}

/* Wall time of this look: while nothing ran, it belongs to the stack of before. Of what has passed
 * since then, half belongs to the stack at its beginning and half to the one seen now: charged to
 * its end alone, work in step with the period would weigh by the phase it falls into, since an
 * early instant in a period makes the interval before it short and the one after it long; charged
 * to its beginning alone, work that draws the look to itself would lose what it took to notice. */
static void add_wall(struct pst_look *look, struct pst_os_thread *thread, uint32_t before,
                     uint32_t now)
{
    struct pst_sampled *target = look->target;
    if (thread->fresh || thread->tstate == 0)
        return;
    uint32_t charged = thread->charged == PST_NO_STACK ? now : thread->charged;
    uint64_t open_ns = target->pending_ns - target->known_ns, half_ns = open_ns / 2;
    uint32_t turns = target->pending_turns - target->known_turns;
    if (target->known_ns)
        pst_sampled_add(target, thread, PST_MODE_WALL, before == PST_NO_STACK ? now : before,
                        target->known_ns, target->known_turns);
    pst_sampled_add(target, thread, PST_MODE_WALL, charged, half_ns, turns / 2);
    pst_sampled_add(target, thread, PST_MODE_WALL, now, open_ns - half_ns, turns - turns / 2);
}

static bool sleeps_in(const struct pst_os_thread *thread, uint32_t stack)
{
    for (size_t i = 0; i < PST_ASLEEP_STACKS; i++)
        if (thread->asleep[i] == stack)
            return true;
    return false;
}

static void note_asleep(struct pst_os_thread *thread, uint32_t stack)
{
    if (sleeps_in(thread, stack))
        return;
    memmove(&thread->asleep[1], &thread->asleep[0],
            (PST_ASLEEP_STACKS - 1) * sizeof(thread->asleep[0]));
    thread->asleep[0] = stack;
}

/* Does this stack stand for CPU time? One in which the thread is known to sleep may have been read
 * after it had stopped running, or before it ran at all: woken, it waits for a CPU with the stack
 * of its sleep. Such a one counts only when the thread is on a CPU before and after, or when this
 * look is what took it off its CPU; where others compete for that CPU, this cannot be told. */
static bool counts_as_cpu(struct pst_sampled *target, struct pst_os_thread *thread, uint32_t stack)
{
    if (!thread->running || (thread->fresh && !thread->born_later))
        return false;
    if (!sleeps_in(thread, stack))
        return true;
    if (thread->on_cpu == PST_ON_OUR_CPU)
        return thread->just_preempted && thread->wait_step_ns * 4 < thread->step_ns;
    return thread->on_cpu == PST_ON_CPU &&
           pst_os_thread_on_cpu(target->threads, thread) == PST_ON_CPU;
}

void pst_look_weigh(struct pst_look *look, struct pst_os_thread *thread)
{
    struct pst_sampled *target = look->target;
    uint32_t before = thread->stack, stack = before;
    set_gap_aside(look, thread);
    bool reuse = true;
    bool native = thread->tstate == 0;
    if (native && !thread->running)
        return;
    /* A thread state that the walker was not asked about comes without frames: that says nothing
     * of the thread. */
    if (look->sampled && (native || thread->asked)) {
        if (pst_look_stack(look, thread, &stack, &reuse) < 0)
            return;
        atomic_fetch_add_explicit(&target->shared->stacks, 1, memory_order_relaxed);
    } else if (stack == PST_NO_STACK) {
        return;
    } else {
        atomic_fetch_add_explicit(&target->shared->reused, 1, memory_order_relaxed);
    }
    thread->stack = reuse ? stack : PST_NO_STACK;
    /* Who waits for a futex waits for the GIL more often than not, and does so wherever it runs. */
    if (thread->on_cpu == PST_OFF_CPU && reuse && !thread->in_futex)
        note_asleep(thread, stack);
    if (counts_as_cpu(target, thread, stack))
        add_cpu(look, thread, stack);
    add_wall(look, thread, before, stack);
    thread->charged = stack;
    bool holder = thread->py >= 0 && look->sampled && look->sample.threads[thread->py].has_gil;
    if (holder && !thread->fresh)
        pst_sampled_add(target, thread, PST_MODE_GIL, stack, look->stands_for * look->counted_ns,
                        1);
}

void pst_look_weigh_unread(struct pst_look *look, struct pst_os_thread *thread, uint32_t stack)
{
    set_gap_aside(look, thread);
    if (thread->running && !thread->fresh)
        add_cpu(look, thread, stack);
    add_wall(look, thread, thread->stack, stack);
    thread->charged = stack;
}
