/* One target: what happens while a thread of it is stopped, and what is made of it afterwards. */
#include "native/native.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/user.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "merge.h"
#include "modules.h"
#include "seize.h"
#include "stack.h"
#include "state.h"
#include "symbols.h"
#include "target/core.h"
#include "target/procfs.h"
#include "tracer.h"
#include "unwind.h"

enum {
    SAMPLE_READS = 100000,
    FRAMES = PST_MAX_FRAMES_WALKED,
    LATE_THREADS = 64, /* remembered */
    WAITS = 400,       /* of 5 ms each */
};

#define PST_NATIVE_OUTCOME(id, word, meaning) {word, meaning},
static const struct {
    const char *word, *meaning;
} outcomes[] = {
#include "native/outcome.def"
};
#undef PST_NATIVE_OUTCOME

struct pst_native {
    struct pst_tracer *tracer;
    pid_t pid;
    bool child; /* of ours */
    struct pst_memory *memory;
    struct pst_python *python;
    struct pst_modules modules;
    struct pst_unwinder *unwinder;
    struct pst_symbols *symbols;
    pid_t late[LATE_THREADS]; /* threads that did not stop in time when they were told to last */
    size_t late_next;

    struct pst_stack_copy copy;
    struct pst_place places[PST_MAX_NATIVE_FRAMES];
    struct pst_native_frame frames[FRAMES];
};

/* One thread's sample, as the tracing thread takes it. */
struct take {
    struct pst_native *native;
    pid_t tid, own_tid;
    bool running;
    int status;
    uint64_t stop_ns; /* 0: it was not stopped */
    enum pst_verdict verdict;
    struct pst_py_sample sample;
};

const char *pst_native_outcome_word(enum pst_native_outcome outcome)
{
    return outcomes[outcome].word;
}

const char *pst_native_outcome_meaning(enum pst_native_outcome outcome)
{
    return outcomes[outcome].meaning;
}

const char *pst_native_mark_text(enum pst_native_mark mark)
{
    static const char *const texts[PST_MARK_COUNT] = {
        [PST_MARK_TRUNCATED] = "[truncated]",
        [PST_MARK_JIT] = "[jit]",
        [PST_MARK_LOST] = "[no unwind data]",
        [PST_MARK_MISMATCH] = "[native frames do not match]",
        [PST_MARK_SWITCHED] = "[another stack]",
    };

    return texts[mark];
}

struct pst_native *pst_native_new(struct pst_tracer *tracer, pid_t pid, struct pst_memory *memory,
                                  struct pst_python *python, const struct pst_runtime *runtime)
{
    struct pst_native *native = calloc(1, sizeof(*native));
    struct pst_stat stat;

    if (!native)
        return NULL;
    native->tracer = tracer;
    native->pid = pid;
    native->memory = memory;
    native->python = python;
    native->child = pst_stat_read(pid, &stat) == 0 && stat.ppid == getpid();
    pst_modules_init(&native->modules, pid, memory, runtime, pst_tracer_elves(tracer));
    native->unwinder = pst_unwinder_new(&native->modules);
    native->symbols = pst_symbols_new(&native->modules, pst_tracer_functions(tracer));
    native->copy.bytes = malloc(PST_MAX_NATIVE_STACK_BYTES);
    if (!native->unwinder || !native->symbols || !native->copy.bytes)
        return pst_native_free(native);
    return native;
}

struct pst_native *pst_native_free(struct pst_native *native)
{
    if (!native)
        return NULL;
    pst_modules_done(&native->modules);
    pst_unwinder_free(native->unwinder);
    pst_symbols_free(native->symbols);
    free(native->copy.bytes);
    free(native);
    return NULL;
}

/* --- while the thread is stopped --- */

static const struct pst_py_thread *row_of(const struct take *take)
{
    const struct pst_py_thread *found = NULL;

    /* Legacy sub-interpreters: several thread states of one thread. */
    for (size_t i = 0; i < take->sample.thread_count; i++) {
        const struct pst_py_thread *row = &take->sample.threads[i];
        if (row->tid != take->own_tid)
            continue;
        if (!found || (row->has_gil && !found->has_gil) ||
            (row->has_gil == found->has_gil && row->frame_count > found->frame_count))
            found = row;
    }
    return found;
}

static void read_python(struct take *take)
{
    take->verdict = pst_python_sample_thread(take->native->python, take->own_tid, &take->sample);
}

/* What stands still: registers are there. */
static void read_still(struct take *take)
{
    struct pst_native *native = take->native;

    pst_memory_budget(native->memory, PST_MAX_TARGET_SAMPLE_BYTES, SAMPLE_READS);
    read_python(take);
    const struct pst_py_thread *row = row_of(take);
    pst_memory_budget(native->memory, PST_MAX_TARGET_SAMPLE_BYTES, SAMPLE_READS);
    struct pst_stack_owner owner = {row ? row->thread_id : 0, take->tid == native->pid};
    if (take->status == 0)
        take->status = pst_stack_copy_take(&native->copy, &native->modules, &owner);
}

/* Whether a filter may punish the call by which a wait goes on, and the program takes the wait's
 * end for what it is: Python repeats interrupted calls since 3.5 (PEP 475), before it raises an
 * error. */
static bool endangered(const struct take *take)
{
    enum { REPEATS = 0x03050000 };

    return pst_python_hexversion(take->native->python) >= REPEATS &&
           pst_thread_filtered(take->native->pid, take->tid);
}

/* As pst_seize_end, for a wait that would go on by a call which a filter may punish. */
static void end_stop(const struct take *take, struct pst_seized *stop,
                     const struct pst_registers *registers)
{
    if (registers->restarts && endangered(take))
        pst_seize_end_wait(stop);
    pst_seize_end(stop);
}

/* A thread that comes too late is let go as it is; but where a filter judges it, it is not until
 * its wait can be ended: unless it sleeps where nothing wakes it, that takes no longer than its
 * turn on a CPU does. */
static void let_go(const struct take *take, struct pst_seized *stop)
{
    pid_t pid = take->native->pid;
    struct pst_registers registers;
    int status = -ETIMEDOUT;

    if (!endangered(take))
        return;
    for (int i = 0; i < WAITS && status == -ETIMEDOUT; i++) {
        if (pst_thread_state(pid, take->tid) == 'D')
            return;
        status = pst_seize_wait(stop);
    }
    if (status < 0)
        return;
    (void)pst_seize_registers(stop, &registers);
    end_stop(take, stop, &registers);
}

/* In the tracing thread. False: only its end lets the thread go. */
static bool take_stopped(void *context)
{
    struct take *take = context;
    struct pst_native *native = take->native;
    struct pst_registers *registers = &native->copy.registers;
    struct pst_seized stop;
    uint64_t before_ns = pst_clock_monotonic_ns();

    take->status = pst_seize_begin(&stop, take->tid, native->child && take->tid == native->pid);
    if (take->status == -ETIMEDOUT)
        let_go(take, &stop);
    if (take->status < 0)
        return !stop.held;
    take->status = pst_seize_registers(&stop, registers);
    read_still(take);
    end_stop(take, &stop, registers);
    take->stop_ns = pst_clock_monotonic_ns() - before_ns;
    return !stop.held;
}

/* A thread that waits for what nothing interrupts (a disk, a child of vfork) would cost a wait for
 * its stop each time: it is told to stop again only once that wait is over. */
static bool still_late(struct pst_native *native, pid_t tid)
{
    for (size_t i = 0; i < LATE_THREADS; i++) {
        if (native->late[i] != tid)
            continue;
        if (pst_thread_state(native->pid, tid) == 'D')
            return true;
        native->late[i] = 0;
    }
    return false;
}

static void stop_and_take(struct take *take)
{
    struct pst_native *native = take->native;

    if (still_late(native, take->tid)) {
        take->status = -ETIMEDOUT;
        return;
    }
    if (pst_tracer_run(native->tracer, take_stopped, take) < 0)
        take->status = -EIO;
    if (take->status == -ETIMEDOUT)
        native->late[native->late_next++ % LATE_THREADS] = take->tid;
}

/* --- afterwards --- */

static enum pst_native_outcome outcome_of(struct take *take)
{
    struct pst_native *native = take->native;
    char tracer[64], state;

    switch (take->status) {
    case 0:
        return PST_NATIVE_OK;
    case -ETIMEDOUT:
        return PST_NATIVE_LATE;
    case -ESRCH:
        return PST_NATIVE_GONE;
    case -ENOSYS: /* a filter of system calls */
        return PST_NATIVE_REFUSED;
    case -EPERM: /* also what a thread answers that is about to end */
        if (pst_thread_tracer(native->pid, take->tid, tracer, sizeof(tracer))) {
            if (!tracer[0])
                return PST_NATIVE_LATE;
            pst_tracer_name(native->tracer, tracer);
            return PST_NATIVE_TRACED;
        }
        state = pst_thread_state(native->pid, take->tid);
        return state == 'Z' || state == 'X' ? PST_NATIVE_GONE : PST_NATIVE_REFUSED;
    default:
        return PST_NATIVE_UNREADABLE;
    }
}

static size_t python_alone(struct pst_native *native, const struct pst_py_frame *frames,
                           size_t count)
{
    if (count > FRAMES)
        count = FRAMES;
    for (size_t i = 0; i < count; i++)
        native->frames[i] =
            (struct pst_native_frame){PST_NATIVE_PYTHON, frames[i].code, frames[i].line};
    return count;
}

/* Symbols carry their line; frames name it again, so that a reader needs no look at the symbol. */
static void fill_lines(struct pst_native *native, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct pst_native_symbol symbol;
        if (native->frames[i].kind != PST_NATIVE_C)
            continue;
        pst_symbols_get(native->symbols, native->frames[i].id, &symbol);
        native->frames[i].line = symbol.line;
    }
}

/* The call in whose C frame the address lies, from a place on; count: none. Where a signal's
 * handler has a stack of its own, what it interrupted may lie below it. */
static size_t call_around(const struct pst_pc *pcs, size_t count, size_t from, uint64_t address)
{
    for (size_t i = from; i < count; i++) {
        uint64_t sp = pcs[i].sp, outer = i + 1 < count ? pcs[i + 1].sp : UINT64_MAX;
        bool goes_on = outer == 0 || (outer >= sp && outer <= address);
        if (sp != 0 && sp <= address && !goes_on)
            return i;
    }
    return count;
}

/* From 3.12 on each call of the evaluation loop keeps a shim in its C frame, which tells it apart
 * even where it has no name (stripped, split into parts). Both lists run from the leaf. */
static void mark_loops(struct pst_native *native, const struct pst_pc *pcs, size_t count,
                       const struct pst_py_frame *python, size_t python_count)
{
    size_t from = 0;

    for (size_t i = 0; i < python_count; i++) {
        size_t at = python[i].shim ? call_around(pcs, count, from, python[i].shim) : count;
        if (at == count)
            continue;
        from = at;
        if (native->places[at].python)
            native->places[at].kind = PST_PLACE_LOOP;
    }
}

static size_t merge(struct pst_native *native, const struct pst_py_frame *python, size_t count,
                    bool *ret_mismatch)
{
    struct pst_merge_input input = {.places = native->places,
                                    .python = python,
                                    .python_count = count,
                                    .symbols = native->symbols,
                                    .foreign = native->copy.foreign};
    const struct pst_pc *pcs;
    bool unknown;

    input.end = pst_unwind(native->unwinder, &native->copy, &pcs, &input.place_count, &unknown);
    if (unknown && pst_modules_refresh(&native->modules) == 0) {
        pst_symbols_forget_places(native->symbols);
        input.end = pst_unwind(native->unwinder, &native->copy, &pcs, &input.place_count, &unknown);
    }
    for (size_t i = 0; i < input.place_count; i++) {
        native->places[i] = (struct pst_place){.kind = PST_PLACE_GAP};
        pst_memory_step(native->memory);
        if (pcs[i].image != PST_NO_IMAGE)
            native->places[i] = pst_symbols_at(native->symbols, &pcs[i]);
    }
    mark_loops(native, pcs, input.place_count, python, count);
    size_t merged = pst_native_merge(&input, native->frames, FRAMES, ret_mismatch);
    fill_lines(native, merged);
    return merged;
}

void pst_native_settle(struct pst_native *native)
{
    pst_symbols_settle(native->symbols);
}

/* From what was read to frames. */
static void finish(struct take *take, struct pst_native_sample *ret)
{
    struct pst_native *native = take->native;
    bool mismatch = false;

    *ret = (struct pst_native_sample){.frames = native->frames};
    ret->outcome = outcome_of(take);
    ret->verdict = take->verdict;
    const struct pst_py_thread *row = row_of(take);
    ret->has_python = row != NULL;
    if (row)
        ret->py = *row;
    const struct pst_py_frame *frames = row ? take->sample.frames + row->first_frame : NULL;
    size_t count = row && row->verdict == PST_V_OK ? row->frame_count : 0;
    bool usable = !row || row->verdict == PST_V_OK;
    if (ret->outcome == PST_NATIVE_OK && take->verdict == PST_V_OK && usable)
        ret->count = merge(native, frames, count, &mismatch);
    else
        ret->count = python_alone(native, frames, count);
    if (mismatch)
        ret->outcome = PST_NATIVE_MISMATCH;
}

void pst_native_sample(struct pst_native *native, pid_t tid, pid_t own_tid, bool running,
                       struct pst_native_sample *ret)
{
    struct take take = {.native = native, .tid = tid, .own_tid = own_tid, .running = running};

    if (!native->modules.dwfl)
        (void)pst_modules_refresh(&native->modules);
    stop_and_take(&take);
    if (take.stop_ns)
        pst_tracer_count_stop(native->tracer, running, take.stop_ns);
    else
        read_python(&take); /* without a stop, as ever */
    finish(&take, ret);
    pst_tracer_count(native->tracer, ret->outcome);
}

/* Whoever wrote the core may have numbered threads as another pid namespace does than the process
 * itself: the thread pointer tells which one it is where registers include it. */
static int registers_in_core(struct pst_native *native, const struct pst_py_thread *thread)
{
    struct pst_core *core = pst_memory_core(native->memory);
    struct user_regs_struct registers;
    bool found = false;
    pid_t tid;

    for (size_t i = 0; pst_core_thread(core, i, &tid, &registers, sizeof(registers)) == 0; i++) {
#if defined(__x86_64__)
        bool pointed = thread->thread_id != 0 && registers.fs_base == thread->thread_id;
#else
        bool pointed = false;
#endif
        if (pointed || (tid == thread->tid && !found))
            pst_registers_take(&registers, &native->copy.registers);
        found |= pointed || tid == thread->tid;
        if (pointed)
            break;
    }
    return found ? 0 : -ESRCH;
}

void pst_native_sample_core(struct pst_native *native, const struct pst_py_thread *thread,
                            struct pst_native_sample *ret)
{
    struct take take = {.native = native, .tid = thread->tid, .own_tid = thread->tid};

    if (!native->modules.dwfl)
        (void)pst_modules_refresh(&native->modules);
    take.status = registers_in_core(native, thread);
    read_still(&take);
    pst_memory_budget(native->memory, PST_MAX_TARGET_SAMPLE_BYTES, SAMPLE_READS);
    finish(&take, ret);
}

void pst_native_symbol(const struct pst_native *native, uint32_t id, struct pst_native_symbol *ret)
{
    pst_symbols_get(native->symbols, id, ret);
}
