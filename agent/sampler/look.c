/* One turn of one target: is it idle, which of its threads ran, what were they doing, what does
 * that weigh. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"
#include "sampled.h"

enum {
    IDLE_LOOK_ONE_IN = 16,
    QUIET_TURN_ONE_IN = 4,
    ASLEEP_LOOK_ONE_IN = 8,
    MAX_INTERVALS = 3, /* what one sample may weigh of its target's current intervals */
    ROOT_FRAMES = 64,  /* kept nearest the root when a stack is shortened */
    FAILURES_BEFORE_LOST = 3,
    NAMES_PER_LOOK = 16,
    NAME_DOUBLINGS = 10, /* up to 25 s between two questions */
    NAMELESS_AT_ONCE = 40,
    NAMELESS_ASLEEP = 5,
    NAMELESS_MAX = NAMELESS_AT_ONCE + NAME_DOUBLINGS,
    THREAD_BUDGET_BYTES = 256 << 10,
    MAX_BUDGET_BYTES = 64 << 20,
};
/* A CPU clock of another process moves only at the kernel's tick or at a switch: unmoved for this
 * long, nothing of it was on a CPU. */
static const uint64_t idle_after_ns = PST_NS_PER_S;
/* Of a process that uses less than this in a second (a worker that wakes up to see whether there is
 * work), the agent lets three turns in four pass, drawn by chance without looking at it: the fourth
 * weighs four times. On a host with hundreds of them the turns are what costs. */
static const uint64_t quiet_cpu_ns = PST_NS_PER_MS / 2;

/* A thread that starts has its name a moment later, and a table of threads that is being written
 * cannot be read: asked again soon, then ever more seldom. Where the process itself has only begun,
 * its first thread has a name once it has imported threading. */
static const uint64_t name_kept_ns = 15 * PST_NS_PER_S, first_name_gap_ns = 25 * PST_NS_PER_MS;

/* What one look knows while it is applied. */
struct look {
    struct pst_sampled *target;
    struct pst_py_sample sample;
    uint64_t now_ns, raw_ns, counted_ns, gap_ns;
    bool sampled; /* the walker was asked in this look */
    bool idle;
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

uint32_t pst_sampled_slot(struct pst_sampled *target, struct pst_os_thread *thread)
{
    if (thread->slot == PST_NO_STACK &&
        pst_window_thread(target->window, thread->tid, &thread->slot) < 0)
        thread->slot = PST_NO_STACK;
    return thread->slot;
}

int pst_sampled_bracket(struct pst_sampled *target, uint32_t function, uint32_t *ret_stack)
{
    struct pst_wframe frame = {function, 0};
    return pst_window_stack(target->window, &frame, 1, ret_stack);
}

/* Function id of a code of this target; the names' overflow frame when there is no room. */
uint32_t pst_sampled_function(struct pst_sampled *target, uint32_t code)
{
    if (code >= target->function_cap) {
        uint32_t cap = target->function_cap ? target->function_cap * 2 : 256;
        while (cap <= code)
            cap *= 2;
        uint32_t *functions = realloc(target->functions, cap * sizeof(*functions));
        if (!functions)
            return target->shared->overflow;
        memset(functions + target->function_cap, 0,
               (cap - target->function_cap) * sizeof(*functions));
        target->functions = functions;
        target->function_cap = cap;
    }
    if (target->functions[code] == 0) {
        const struct pst_py_code *known = pst_python_code(target->python, code);
        struct pst_name name = {.name = known->qualname,
                                .system_name = known->name,
                                .filename = known->filename,
                                .first_line = known->first_line};
        uint32_t id;
        if (pst_names_function(target->names, &name, &id) < 0)
            return target->shared->overflow;
        target->functions[code] = id + 1;
    }
    return target->functions[code] - 1;
}

static bool reserve_scratch(struct pst_sampled *target, size_t frames)
{
    if (frames <= target->scratch_cap)
        return true;
    struct pst_wframe *scratch = realloc(target->scratch, frames * sizeof(*scratch));
    if (!scratch)
        return false;
    target->scratch = scratch;
    target->scratch_cap = frames;
    return true;
}

static void put_frames(struct pst_sampled *target, size_t at, const struct pst_py_frame *frames,
                       size_t count)
{
    for (size_t i = 0; i < count; i++)
        target->scratch[at + i] =
            (struct pst_wframe){pst_sampled_function(target, frames[i].code), frames[i].line};
}

static struct pst_wframe left_out(struct pst_sampled *target, size_t count)
{
    struct pst_buf text;
    uint32_t marker = target->shared->overflow;
    pst_buf_init(&text, 64);
    if (pst_buf_printf(&text, "[… %zu frames]", count) == 0)
        (void)pst_names_synthetic(target->names, pst_buf_view(&text), &marker);
    pst_buf_done(&text);
    return (struct pst_wframe){marker, 0};
}

size_t pst_sampled_cut(struct pst_sampled *target, struct pst_wframe *frames, size_t count)
{
    size_t keep = target->plan.full_frames ? SIZE_MAX : target->plan.max_frames;
    if (count <= keep)
        return count;
    size_t root = keep > 2 * ROOT_FRAMES ? ROOT_FRAMES : keep / 2;
    size_t leaf = keep - root;
    frames[leaf] = left_out(target, count - keep);
    memmove(frames + leaf + 1, frames + count - root, root * sizeof(*frames));
    return keep + 1;
}

/* Stack id of a sampled thread: frames leaf first; too deep ones keep both ends. Of a truncated
 * one nothing is known but that there is more. */
static int stack_of(struct pst_sampled *target, const struct pst_py_frame *frames, size_t count,
                    bool truncated, uint32_t *ret_stack)
{
    size_t keep = target->plan.full_frames ? SIZE_MAX : target->plan.max_frames;
    size_t used = count <= keep ? count : keep + 1;
    if (!reserve_scratch(target, used + 1))
        return -ENOMEM;
    if (count <= keep) {
        put_frames(target, 0, frames, count);
    } else {
        size_t root = keep > 2 * ROOT_FRAMES ? ROOT_FRAMES : keep / 2;
        size_t leaf = keep - root;
        put_frames(target, 0, frames, leaf);
        target->scratch[leaf] = left_out(target, count - keep);
        put_frames(target, leaf + 1, frames + count - root, root);
    }
    if (truncated)
        target->scratch[used++] = (struct pst_wframe){target->shared->deeper, 0};
    return pst_window_stack(target->window, target->scratch, used, ret_stack);
}

uint32_t pst_sampled_native_name(struct pst_sampled *target, const struct pst_os_thread *thread)
{
    struct pst_buf text;
    uint32_t function = target->shared->overflow;
    pst_buf_init(&text, 256);
    (void)pst_buf_puts(&text, "[native thread] ");
    (void)pst_buf_utf8(&text, pst_str(thread->comm));
    (void)pst_names_synthetic(target->names, pst_buf_view(&text), &function);
    pst_buf_done(&text);
    return function;
}

static int native_stack(struct look *look, const struct pst_os_thread *thread, uint32_t *ret_stack)
{
    struct pst_sampled *target = look->target;
    if (target->native && look->sampled && pst_native_look_has(target->native, thread))
        return pst_native_look_stack(target->native, thread, ret_stack);
    return pst_sampled_bracket(target, pst_sampled_native_name(target, thread), ret_stack);
}

static void count_failure(struct pst_sampled *target, enum pst_verdict verdict)
{
    target->stats.verdicts[verdict]++;
    if (verdict == PST_V_TORN || verdict == PST_V_TRUNCATED)
        target->stats.torn++;
    else
        target->stats.failed++;
}

/* The stack that this look found for a thread, as an id of the open window. reuse says that the
 * stack may stand for the thread in later looks. */
static int stack_now(struct look *look, struct pst_os_thread *thread, uint32_t *ret_stack,
                     bool *ret_reuse)
{
    struct pst_sampled *target = look->target;
    *ret_reuse = false;
    if (thread->py < 0)
        return native_stack(look, thread, ret_stack);
    const struct pst_py_thread *py = &look->sample.threads[thread->py];
    if (py->verdict != PST_V_OK) {
        count_failure(target, py->verdict);
        bool torn = py->verdict == PST_V_TORN || py->verdict == PST_V_TRUNCATED;
        return pst_sampled_bracket(target, torn ? target->shared->torn : target->shared->unreadable,
                                   ret_stack);
    }
    *ret_reuse = true;
    if (target->native && pst_native_look_has(target->native, thread))
        return pst_native_look_stack(target->native, thread, ret_stack);
    if (py->frame_count == 0)
        return pst_sampled_bracket(target, target->shared->no_python_frame, ret_stack);
    return stack_of(target, look->sample.frames + py->first_frame, py->frame_count, py->truncated,
                    ret_stack);
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
static size_t tie_threads(struct look *look)
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

static void add_timed(struct pst_sampled *target, struct pst_os_thread *thread, enum pst_mode mode,
                      uint32_t stack, uint64_t ns, uint32_t count)
{
    uint32_t slot = pst_sampled_slot(target, thread);
    if (slot != PST_NO_STACK && (target->plan.modes & (1U << mode)))
        pst_window_add(target->window, slot, stack, mode, ns, count);
}

static void add_cpu(struct look *look, struct pst_os_thread *thread, uint32_t stack)
{
    struct pst_sampled *target = look->target;
    uint32_t slot = pst_sampled_slot(target, thread);
    if (slot == PST_NO_STACK || !(target->plan.modes & (1U << PST_MODE_CPU)))
        return;
    pst_window_add_raw_cpu(target->window, slot, stack, look->raw_ns ? look->raw_ns : 1, 1);
    target->stats.samples++;
}

/* CPU used while nobody looked stands under its own frame instead of inflating what was seen. */
static void set_gap_aside(struct look *look, struct pst_os_thread *thread)
{
    struct pst_sampled *target = look->target;
    uint32_t stack;
    if (look->gap_ns == 0 || thread->fresh ||
        pst_sampled_bracket(target, target->shared->not_observed, &stack) < 0)
        return;
    uint64_t whole = look->counted_ns + look->gap_ns;
    uint64_t cpu = (uint64_t)((unsigned __int128)thread->step_ns * look->gap_ns / whole);
    if (cpu && (target->plan.modes & (1U << PST_MODE_CPU))) {
        add_timed(target, thread, PST_MODE_CPU, stack, cpu, 0);
        thread->accounted_ns += cpu;
        target->accounted_ns += cpu;
    }
    if (thread->tstate)
        add_timed(target, thread, PST_MODE_WALL, stack, look->gap_ns, 0);
}

/* Wall time of this look: what passed in idle turns belongs to the stack of before, the last
 * interval to the one seen now. */
static void add_wall(struct look *look, struct pst_os_thread *thread, uint32_t before, uint32_t now)
{
    struct pst_sampled *target = look->target;
    if (thread->fresh || thread->tstate == 0)
        return;
    uint64_t idle_ns = target->pending_ns - look->counted_ns;
    uint32_t idle_turns = target->pending_turns - 1;
    if (idle_ns)
        add_timed(target, thread, PST_MODE_WALL, before == PST_NO_STACK ? now : before, idle_ns,
                  idle_turns);
    /* Half of the interval belongs to the stack at its beginning: charged to its end alone, work in
     * step with the period would weigh by the phase it falls into, since an early instant in a
     * period makes the interval before it short and the one after it long. */
    uint64_t half_ns = look->counted_ns / 2;
    add_timed(target, thread, PST_MODE_WALL,
              thread->charged == PST_NO_STACK ? now : thread->charged, half_ns, 0);
    add_timed(target, thread, PST_MODE_WALL, now, look->counted_ns - half_ns, 1);
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

static void apply_thread(struct look *look, struct pst_os_thread *thread)
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
        if (stack_now(look, thread, &stack, &reuse) < 0)
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
        add_timed(target, thread, PST_MODE_GIL, stack, look->counted_ns, 1);
}

static void apply(struct look *look)
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
        apply_thread(look, pst_os_threads_at(target->threads, i));
    target->stats.threads = (uint32_t)pst_os_threads_count(target->threads);
    target->pending_ns = 0;
    target->pending_gap_ns = 0;
    target->pending_turns = 0;
}

/* The whole process could not be read: what ran is shown as unreadable, not left out. */
static void apply_failure(struct look *look, enum pst_verdict verdict)
{
    struct pst_sampled *target = look->target;
    uint32_t stack;
    count_failure(target, verdict);
    if (pst_sampled_bracket(target, target->shared->unreadable, &stack) < 0)
        return;
    for (size_t i = 0; i < pst_os_threads_count(target->threads); i++) {
        struct pst_os_thread *thread = pst_os_threads_at(target->threads, i);
        set_gap_aside(look, thread);
        if (thread->running && !thread->fresh)
            add_cpu(look, thread, stack);
        add_wall(look, thread, thread->stack, stack);
        thread->charged = stack;
    }
    target->pending_ns = 0;
    target->pending_gap_ns = 0;
    target->pending_turns = 0;
}

static bool enter(struct pst_sampled *target)
{
    pthread_mutex_lock(&target->shared->windows_lock);
    if (!target->shared->abandoned)
        return true;
    pthread_mutex_unlock(&target->shared->windows_lock);
    return false;
}

static void leave(struct pst_sampled *target)
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
static bool read_stacks(struct look *look, enum pst_verdict *ret_verdict)
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

static uint64_t name_gap_ns(const struct pst_sampled *target, const struct pst_os_thread *thread)
{
    unsigned at_once = target->plan.born_observed ? NAMELESS_AT_ONCE : 0;
    unsigned doublings = thread->nameless < at_once ? 0 : thread->nameless - at_once;

    return first_name_gap_ns << (doublings < NAME_DOUBLINGS ? doublings : NAME_DOUBLINGS);
}

/* What sleeps for good may yet have to be called by its name: asked a few times more. */
static bool names_are_due(const struct pst_sampled *target)
{
    unsigned tries = target->plan.born_observed ? NAMELESS_AT_ONCE : NAMELESS_ASLEEP;

    for (size_t i = 0; target->threads && i < pst_os_threads_count(target->threads); i++) {
        const struct pst_os_thread *thread = pst_os_threads_at(target->threads, i);

        if (thread->tstate != 0 && thread->nameless > 0 && thread->nameless < tries)
            return true;
    }
    return false;
}

static bool refresh_names(struct pst_sampled *target, uint64_t now_ns)
{
    unsigned asked = 0;
    for (size_t i = 0; i < pst_os_threads_count(target->threads) && asked < NAMES_PER_LOOK; i++) {
        struct pst_os_thread *thread = pst_os_threads_at(target->threads, i);
        if (thread->tstate == 0 || now_ns < thread->name_due_ns)
            continue;
        asked++;
        struct pst_str name;
        bool known = pst_python_thread_name(target->python, thread->tstate, &name);
        if (!enter(target))
            return false;
        thread->name_due_ns = now_ns + (known ? name_kept_ns : name_gap_ns(target, thread));
        if (!known && thread->nameless < NAMELESS_MAX)
            thread->nameless++;
        if (known) {
            size_t len = name.len < sizeof(thread->name) - 1 ? name.len : sizeof(thread->name) - 1;
            memcpy(thread->name, name.ptr, len);
            thread->name[len] = 0;
            thread->nameless = 0;
        }
        leave(target);
    }
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
static void take_look(struct look *look, enum pst_verdict verdict)
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

static void measure(struct pst_sampled *target)
{
    for (size_t i = 0; i < pst_os_threads_count(target->threads); i++) {
        struct pst_os_thread *thread = pst_os_threads_at(target->threads, i);
        pst_os_thread_measure(target->threads, thread);
        thread->asked = false;
        thread->asleep_due = thread->asleep[0] == PST_NO_STACK ||
                             pst_random_below(&target->shared->random, ASLEEP_LOOK_ONE_IN) == 0;
    }
}

static bool look_at(struct look *look)
{
    struct pst_sampled *target = look->target;
    if (!enter(target))
        return false;
    bool open = open_window(target, look->now_ns);
    if (open && target->rejoined)
        pst_sampled_rejoin(target);
    target->rejoined = target->rejoined && !open;
    int r = pst_os_threads_refresh(target->threads, on_ended, target);
    if (r == -ESRCH)
        target->gone = true;
    leave(target);
    if (r < 0 || !open)
        return true;
    measure(target);
    enum pst_verdict verdict = PST_V_OK;
    look->sampled = read_stacks(look, &verdict);
    bool same = !look->sampled || same_program(target);
    if (!enter(target))
        return false;
    /* Read while it lived, or not at all: a pid that changed hands has another pidfd. */
    if (!same || pst_procref_verify(&target->ref) < 0)
        target->gone = true;
    else
        take_look(look, verdict);
    leave(target);
    if (target->gone || verdict != PST_V_OK || (!look->sampled && !names_are_due(target)))
        return true;
    return refresh_names(target, look->now_ns);
}

static void start_counting(struct pst_sampled *target, uint64_t clock_ns)
{
    target->rejoined = target->counting;
    if (!target->counting)
        target->cpu_base_ns = target->plan.born_observed ? 0 : clock_ns;
    target->counting = true;
}

/* Nothing of it has run since the last look: what stood then stands now, for whoever looks next. */
static bool is_still(struct pst_sampled *target)
{
    if (target->look_clock_ns == 0 || target->look_clock_ns != target->clock_ns ||
        !target->threads || !target->window || target->rejoined)
        return false;
    for (size_t i = 0; i < pst_os_threads_count(target->threads); i++)
        if (pst_sampled_wants(target, pst_os_threads_at(target->threads, i)))
            return false;
    return pst_os_threads_still(target->threads);
}

static void note_clock(struct pst_sampled *target, uint64_t clock, uint64_t now_ns)
{
    uint64_t used = clock - target->step_clock_ns, passed = now_ns - target->step_ns;
    bool whole = passed >= PST_NS_PER_S;
    if (target->step_ns == 0) {
        target->quiet = false;
    } else if (whole) {
        target->quiet = used / quiet_cpu_ns <= passed / PST_NS_PER_S - 1;
    } else if (used >= quiet_cpu_ns) {
        target->quiet = false;
    }
    if (whole || target->step_ns == 0) {
        target->step_ns = now_ns;
        target->step_clock_ns = clock;
    }
}

/* By chance, how many turns this one stands for; 0 when it is not looked at. */
static unsigned draw(struct pst_sampled *target, unsigned one_in)
{
    return pst_random_below(&target->shared->random, one_in) == 0 ? one_in : 0;
}

static void begin_turn(struct pst_sampled *target, uint64_t now_ns, uint64_t counted_ns,
                       uint64_t elapsed_ns)
{
    target->last_turn_ns = now_ns;
    target->stats.ticks++;
    target->pending_ns += counted_ns;
    target->pending_gap_ns += elapsed_ns - counted_ns;
    target->pending_turns++;
}

static bool pass(struct pst_sampled *target)
{
    atomic_fetch_add_explicit(&target->shared->idle_looks, 1, memory_order_relaxed);
    return true;
}

bool pst_sampled_turn(struct pst_sampled *target, uint64_t now_ns, uint64_t period_ns)
{
    bool first = target->last_turn_ns == 0;
    uint64_t elapsed = first ? 0 : now_ns - target->last_turn_ns;
    uint64_t most = MAX_INTERVALS * period_ns;
    uint64_t counted = elapsed < most ? elapsed : most;
    uint64_t clock;
    bool thin = target->plan.thin && target->quiet;
    unsigned stands_for = thin ? draw(target, QUIET_TURN_ONE_IN) : 1;
    if (stands_for == 0) {
        begin_turn(target, now_ns, counted, elapsed);
        return pass(target);
    }
    if (pst_process_cpu_ns(target->plan.pid, &clock) < 0) {
        target->gone = true;
        return true;
    }
    begin_turn(target, now_ns, counted, elapsed);
    if (first || clock != target->clock_ns) {
        target->clock_ns = clock;
        target->clock_moved_ns = now_ns;
    }
    note_clock(target, clock, now_ns);
    if (first)
        start_counting(target, clock);
    bool idle = now_ns - target->clock_moved_ns >= idle_after_ns;
    if (idle)
        stands_for *= draw(target, IDLE_LOOK_ONE_IN / stands_for);
    if (stands_for == 0 || (!idle && is_still(target)))
        return pass(target) && (!names_are_due(target) || refresh_names(target, now_ns));
    struct look look = {
        .target = target,
        .now_ns = now_ns,
        .idle = idle,
        .counted_ns = counted,
        .gap_ns = target->pending_gap_ns,
        /* Each period has one instant, drawn uniformly: every hit stands for one period, whatever
         * lies between two draws, and for more only when turns were missed. */
        .raw_ns = stands_for > 1             ? stands_for * period_ns
                  : counted <= 2 * period_ns ? period_ns
                                             : counted,
    };
    atomic_fetch_add_explicit(&target->shared->looks, 1, memory_order_relaxed);
    return look_at(&look);
}
