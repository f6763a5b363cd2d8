/* One look at one target: which of its threads ran, what they were doing, whether it still is who
 * it was. */
#include <errno.h>

#include "base/clock.h"
#include "base/limits.h"
#include "look.h"

enum {
    ASLEEP_LOOK_ONE_IN = 8,
    FAILURES_BEFORE_LOST = 3,
    THREAD_BUDGET_BYTES = 256 << 10,
    MAX_BUDGET_BYTES = 64 << 20,
};

bool pst_sampled_wants(const struct pst_sampled *target, const struct pst_os_thread *thread)
{
    if (thread->running)
        return true;
    /* For cpu alone a sleeping thread is read only now and then, to know where it sleeps. */
    if ((target->plan.modes & ~(1U << PST_MODE_CPU)) == 0)
        return thread->moved && thread->asleep_due;
    if (thread->fresh || thread->moved || thread->was_running)
        return true;
    return thread->tstate != 0 && thread->stack == PST_NO_STACK;
}

static bool want_tid(void *context, pid_t inner)
{
    struct pst_sampled *target = context;
    struct pst_os_thread *thread = pst_os_threads_find(target->threads, inner);
    if (!thread)
        return false;
    thread->asked = pst_sampled_wants(target, thread);
    return thread->asked;
}

static void on_ended(void *context, struct pst_os_thread *thread)
{
    pst_sampled_thread_ended(context, thread);
}

/* Of several thread states of one OS thread (legacy sub-interpreters) the one that runs counts. */
static bool better(const struct pst_py_thread *a, const struct pst_py_thread *b)
{
    if (a->has_gil != b->has_gil)
        return a->has_gil;
    if (a->attached != b->attached)
        return a->attached;
    return a->frame_count > 0 && b->frame_count == 0;
}

/* Ties the sample's thread states to OS threads. Returns how many found theirs. */
static size_t tie_threads(struct pst_look *look)
{
    struct pst_sampled *target = look->target;
    size_t tied = 0;
    for (size_t i = 0; i < pst_os_threads_count(target->threads); i++)
        pst_os_threads_at(target->threads, i)->py = -1;
    for (size_t i = 0; i < look->sample.thread_count; i++) {
        const struct pst_py_thread *py = &look->sample.threads[i];
        struct pst_os_thread *thread =
            py->tid ? pst_os_threads_find(target->threads, py->tid) : NULL;
        if (!thread)
            continue;
        tied++;
        if (thread->py < 0 || better(py, &look->sample.threads[thread->py]))
            thread->py = (int32_t)i;
    }
    for (size_t i = 0; i < pst_os_threads_count(target->threads); i++) {
        struct pst_os_thread *thread = pst_os_threads_at(target->threads, i);
        uint64_t tstate = thread->py < 0 ? 0 : look->sample.threads[thread->py].tstate;
        if (tstate != thread->tstate) {
            thread->tstate = tstate;
            thread->stack = PST_NO_STACK;
            /* What it was called it keeps until it is called otherwise: a thread that ends has no
             * thread state in its last moments. */
            thread->name_due_ns = 0;
            thread->nameless = 0;
        }
    }
    return tied;
}

static void nothing_pending(struct pst_sampled *target)
{
    target->pending_ns = 0;
    target->pending_gap_ns = 0;
    target->pending_turns = 0;
    target->known_ns = 0;
    target->known_turns = 0;
}

static void apply(struct pst_look *look)
{
    struct pst_sampled *target = look->target;
    if (look->sampled) {
        size_t tied = tie_threads(look);
        target->stats.retries += look->sample.retries;
        target->stats.trimmed += look->sample.trimmed;
        /* After fork the child's thread list still is its parent's until it has cleaned it. */
        if (tied == 0 && look->sample.thread_count > 0)
            target->stats.verdicts[PST_V_FORKING]++;
    }
    for (size_t i = 0; i < pst_os_threads_count(target->threads); i++)
        pst_look_weigh(look, pst_os_threads_at(target->threads, i));
    target->stats.threads = (uint32_t)pst_os_threads_count(target->threads);
    nothing_pending(target);
}

static void apply_failure(struct pst_look *look, enum pst_verdict verdict)
{
    struct pst_sampled *target = look->target;
    uint32_t stack;
    pst_look_count_failure(target, verdict);
    if (pst_sampled_bracket(target, target->shared->unreadable, &stack) < 0)
        return;
    for (size_t i = 0; i < pst_os_threads_count(target->threads); i++)
        pst_look_weigh_unread(look, pst_os_threads_at(target->threads, i), stack);
    nothing_pending(target);
}

bool pst_sampled_enter(struct pst_sampled *target)
{
    pthread_mutex_lock(&target->shared->windows_lock);
    if (!target->shared->abandoned)
        return true;
    pthread_mutex_unlock(&target->shared->windows_lock);
    return false;
}

void pst_sampled_leave(struct pst_sampled *target)
{
    pthread_mutex_unlock(&target->shared->windows_lock);
}

static bool open_window(struct pst_sampled *target, uint64_t now_ns)
{
    if (target->window)
        return true;
    target->window = pst_window_new();
    if (!target->window)
        return false;
    if (target->plan.times)
        pst_window_keep_times(target->window);
    pst_window_at(target->window, now_ns);
    (void)pst_sampled_take_names(target);
    target->window_start_ns = now_ns;
    target->stats.time_ns = (int64_t)pst_clock_realtime_ns();
    target->window_clock_ns =
        target->plan.born_observed && target->cpu_base_ns == 0 && target->accounted_ns == 0
            ? 0
            : target->clock_ns;
    return true;
}

/* Asks the walker. False when nothing needed asking. */
static bool read_stacks(struct pst_look *look, enum pst_verdict *ret_verdict)
{
    struct pst_sampled *target = look->target;
    size_t count = pst_os_threads_count(target->threads);
    bool any = false;
    for (size_t i = 0; i < count && !any; i++)
        any = pst_sampled_wants(target, pst_os_threads_at(target->threads, i));
    if (!any)
        return false;
    size_t budget = PST_MAX_SAMPLE_BYTES + count * THREAD_BUDGET_BYTES;
    pst_memory_budget(target->memory, budget < MAX_BUDGET_BYTES ? budget : MAX_BUDGET_BYTES,
                      PST_MAX_SAMPLE_READS + 64 * count);
    atomic_store(&target->shared->watch_target, target->plan.id);
    uint64_t calls = pst_memory_calls(target->memory);
    *ret_verdict = target->native
                       ? pst_native_look_read(target->native, &look->sample)
                       : pst_python_sample(target->python, want_tid, target, &look->sample);
    atomic_fetch_add(&target->shared->read_calls, pst_memory_calls(target->memory) - calls);
    return true;
}

/* exec changes neither pid nor pidfd nor start time, and a program linked to fixed addresses comes
 * back where it was. */
static bool same_program(struct pst_sampled *target)
{
    uint64_t words[2], address = target->plan.random_address;
    if (address == 0)
        return true;
    /* What a look has read, however much, says nothing about the program. */
    pst_memory_budget(target->memory, sizeof(words), 1);
    if (pst_memory_read(target->memory, address, words, sizeof(words)) < 0)
        return false;
    return (words[0] ^ words[1] ^ address) == target->plan.random_mix;
}

/* windows_lock held. */
static void after_failure(struct pst_sampled *target, enum pst_verdict verdict, uint64_t now_ns)
{
    target->failures++;
    if (verdict == PST_V_GONE || target->failures >= FAILURES_BEFORE_LOST)
        pst_sampled_lost(target, verdict, now_ns);
}

/* What was read, weighed. windows_lock held. */
static void take_look(struct pst_look *look, enum pst_verdict verdict)
{
    struct pst_sampled *target = look->target;
    target->last_look_ns = look->now_ns;
    pst_window_at(target->window, look->now_ns);
    if (verdict == PST_V_OK) {
        apply(look);
        target->failures = 0;
        target->verdict = PST_V_OK;
        target->look_clock_ns = target->clock_ns;
        return;
    }
    target->look_clock_ns = 0;
    apply_failure(look, verdict);
    after_failure(target, verdict, look->now_ns);
}

static void measure(struct pst_sampled *target, bool fresh_alone)
{
    for (size_t i = 0; i < pst_os_threads_count(target->threads); i++) {
        struct pst_os_thread *thread = pst_os_threads_at(target->threads, i);
        if (fresh_alone && !thread->fresh)
            continue;
        pst_os_thread_measure(target->threads, thread);
        thread->asked = false;
        thread->asleep_due = thread->asleep[0] == PST_NO_STACK ||
                             pst_random_below(&target->shared->random, ASLEEP_LOOK_ONE_IN) == 0;
    }
}

/* False when the sampler has been taken over. */
static bool list_threads(struct pst_sampled *target, int *ret_error)
{
    if (!pst_sampled_enter(target))
        return false;
    *ret_error = pst_os_threads_refresh(target->threads, on_ended, target);
    if (*ret_error == -ESRCH)
        target->gone = true;
    pst_sampled_leave(target);
    return true;
}

/* False as above. */
static bool measure_threads(struct pst_sampled *target, int *ret_error)
{
    if (!list_threads(target, ret_error))
        return false;
    if (*ret_error < 0)
        return true;
    measure(target, false);
    if (!pst_os_threads_replaced(target->threads))
        return true;
    if (!list_threads(target, ret_error))
        return false;
    if (*ret_error == 0)
        measure(target, true);
    return true;
}

bool pst_look_at(struct pst_look *look)
{
    struct pst_sampled *target = look->target;
    int r;
    if (!pst_sampled_enter(target))
        return false;
    bool open = open_window(target, look->now_ns);
    if (open && target->rejoined)
        pst_sampled_rejoin(target);
    target->rejoined = target->rejoined && !open;
    pst_sampled_leave(target);
    if (!open)
        return true;
    if (!measure_threads(target, &r))
        return false;
    if (r < 0)
        return true;
    enum pst_verdict verdict = PST_V_OK;
    look->sampled = read_stacks(look, &verdict);
    bool same = !look->sampled || same_program(target);
    if (!pst_sampled_enter(target))
        return false;
    /* Read while it lived, or not at all: a pid that changed hands has another pidfd. */
    if (!same || pst_procref_verify(&target->ref) < 0)
        target->gone = true;
    else
        take_look(look, verdict);
    pst_sampled_leave(target);
    if (target->gone || verdict != PST_V_OK || (!look->sampled && !pst_sampled_names_due(target)))
        return true;
    return pst_sampled_ask_names(target, look->now_ns);
}
