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
#include "symbols.h"
#include "target/core.h"
#include "target/procfs.h"
#include "tracer.h"
#include "unwind.h"

enum {
    PAGE = 4096,
    PROBED_PAGES = 16,   /* of a stack that no mapping is known for */
    THREAD_BLOCK = 4096, /* what glibc and musl keep above a thread's stack, at its pthread_t */
    SAMPLE_READS = 100000,
    FRAMES = PST_MAX_FRAMES_WALKED,
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
    pst_modules_init(&native->modules, pid, memory, runtime);
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

static bool want_one(void *context, pid_t own_tid)
{
    return own_tid == ((const struct take *)context)->own_tid;
}

/* Where no mapping is known (a stack that is new), page by page as far as it goes. */
static int copy_probing(struct pst_native *native)
{
    struct pst_stack_copy *copy = &native->copy;
    struct pst_piece pieces[PROBED_PAGES];
    uint64_t at = copy->start;
    size_t done = 0, len = 0;

    for (size_t i = 0; i < PROBED_PAGES; i++) {
        uint64_t end = (at | (PAGE - 1)) + 1;
        pieces[i] = (struct pst_piece){at, copy->bytes + (at - copy->start), end - at};
        at = end;
    }
    int status = pst_memory_readv(native->memory, pieces, PROBED_PAGES, &done);
    if (status == 0)
        done = PROBED_PAGES;
    for (size_t i = 0; i < done; i++)
        len += pieces[i].len;
    copy->len = len;
    return len > 0 ? 0 : status;
}

/* The stack ends where its mapping does, or where the C library keeps what belongs to the thread:
 * stacks of several threads may lie in one mapping. */
static uint64_t stack_end(const struct pst_native *native, const struct pst_region *region,
                          uint64_t thread_block)
{
    uint64_t end = region->end, most = native->copy.start + PST_MAX_NATIVE_STACK_BYTES;

    if (thread_block > native->copy.start && thread_block < end)
        end = thread_block + THREAD_BLOCK < end ? thread_block + THREAD_BLOCK : end;
    return end < most ? end : most;
}

static int copy_stack(struct pst_native *native, uint64_t thread_block)
{
    struct pst_stack_copy *copy = &native->copy;

    copy->start = copy->registers.sp & ~(uint64_t)7;
    const struct pst_region *region = pst_modules_find(&native->modules, copy->start);
    if (!region || !region->readable)
        return copy_probing(native);
    uint64_t end = stack_end(native, region, thread_block);
    copy->len = end > copy->start ? (size_t)(end - copy->start) : 0;
    int status = pst_memory_read(native->memory, copy->start, copy->bytes, copy->len);
    return status == -EFAULT ? copy_probing(native) : status;
}

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
    take->verdict = pst_python_sample(take->native->python, want_one, take, &take->sample);
}

/* What stands still: registers are there. */
static void read_still(struct take *take)
{
    struct pst_native *native = take->native;

    pst_memory_budget(native->memory, PST_MAX_TARGET_SAMPLE_BYTES, SAMPLE_READS);
    read_python(take);
    const struct pst_py_thread *row = row_of(take);
    pst_memory_budget(native->memory, PST_MAX_TARGET_SAMPLE_BYTES, SAMPLE_READS);
    if (take->status == 0)
        take->status = copy_stack(native, row ? row->thread_id : 0);
}

/* In the tracing thread. False: only its end lets the thread go. */
static bool take_stopped(void *context)
{
    struct take *take = context;
    struct pst_native *native = take->native;
    struct pst_seized stop;
    uint64_t before_ns = pst_clock_monotonic_ns();

    take->status = pst_seize_begin(&stop, take->tid, native->child);
    if (take->status < 0)
        return take->status != -ETIMEDOUT;
    take->status = pst_seize_registers(&stop, &native->copy.registers);
    read_still(take);
    pst_seize_end(&stop);
    take->stop_ns = pst_clock_monotonic_ns() - before_ns;
    return true;
}

/* --- afterwards --- */

static pid_t tracer_of(const struct pst_native *native, pid_t tid)
{
    static const char key[] = "TracerPid:";
    char name[64], text[4096];
    uint64_t pid;

    (void)snprintf(name, sizeof(name), "task/%d/status", (int)tid);
    if (pst_procfs_read(native->pid, name, text, sizeof(text)) < 0)
        return 0;
    const char *line = strstr(text, key);
    if (!line)
        return 0;
    struct pst_str value = pst_str(line + sizeof(key) - 1);
    value.len = pst_str_find(value, '\n');
    return pst_str_u64(pst_str_trim(value), 10, INT32_MAX, &pid) < 0 ? 0 : (pid_t)pid;
}

/* Who holds it already. */
static bool name_tracer(struct pst_native *native, pid_t tid)
{
    char comm[32], name[64];
    pid_t tracer = tracer_of(native, tid);

    if (tracer <= 0)
        return false;
    ssize_t len = pst_procfs_read(tracer, "comm", comm, sizeof(comm));
    while (len > 0 && comm[len - 1] == '\n')
        comm[--len] = 0;
    (void)snprintf(name, sizeof(name), "%s (%d)", len > 0 ? comm : "process", (int)tracer);
    pst_tracer_name(native->tracer, name);
    return true;
}

static bool is_ending(const struct pst_native *native, pid_t tid)
{
    char name[64], text[1024];
    struct pst_stat stat;

    (void)snprintf(name, sizeof(name), "task/%d/stat", (int)tid);
    ssize_t len = pst_procfs_read(native->pid, name, text, sizeof(text));
    return len <= 0 || pst_stat_parse(text, (size_t)len, &stat) < 0 || stat.state == 'Z' ||
           stat.state == 'X';
}

static enum pst_native_outcome outcome_of(struct take *take)
{
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
        if (name_tracer(take->native, take->tid))
            return PST_NATIVE_TRACED;
        return is_ending(take->native, take->tid) ? PST_NATIVE_GONE : PST_NATIVE_REFUSED;
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

/* From 3.12 on each call of the evaluation loop keeps a shim in its C frame, which tells it apart
 * even where it has no name (stripped, split into parts). Both lists run from the leaf. */
static void mark_loops(struct pst_native *native, const struct pst_pc *pcs, size_t count,
                       const struct pst_py_frame *python, size_t python_count)
{
    size_t at = 0;

    for (size_t i = 0; i < python_count; i++) {
        uint64_t shim = python[i].shim;
        if (shim == 0)
            continue;
        while (at + 1 < count && (pcs[at + 1].sp == 0 || pcs[at + 1].sp <= shim))
            at++;
        if (at < count && pcs[at].sp != 0 && pcs[at].sp <= shim && native->places[at].python)
            native->places[at].kind = PST_PLACE_LOOP;
    }
}

static size_t merge(struct pst_native *native, const struct pst_py_frame *python, size_t count,
                    bool *ret_mismatch)
{
    struct pst_merge_input input = {.places = native->places,
                                    .python = python,
                                    .python_count = count,
                                    .symbols = native->symbols};
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
    int status = pst_tracer_run(native->tracer, take_stopped, &take);
    if (status < 0)
        take.status = -EIO;
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
