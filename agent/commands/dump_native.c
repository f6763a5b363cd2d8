/* `dump --native`: what the stops, or a core file, gave, kept by thread. */
#include "dump_native.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dump.h"

enum {
    TRIES = 5, /* a thread may be late on a machine that is busy */
    PAUSE_NS = 2000000,
};

struct taken {
    pid_t own_tid;
    struct pst_dump_stack stack;
};

struct pst_dump_native {
    struct pst_tracer *tracer;
    struct pst_native *native;
    struct taken *taken;
    size_t count;
    char tracer_name[64];
};

struct pst_dump_native *pst_dump_native_free(struct pst_dump_native *native)
{
    if (!native)
        return NULL;
    for (size_t i = 0; i < native->count; i++)
        free((void *)(uintptr_t)native->taken[i].stack.frames);
    free(native->taken);
    pst_native_free(native->native);
    pst_tracer_free(native->tracer);
    free(native);
    return NULL;
}

static int keep(struct pst_dump_native *native, pid_t own_tid,
                const struct pst_native_sample *sample)
{
    struct pst_native_frame *frames = malloc((sample->count + 1) * sizeof(*frames));

    if (!frames)
        return -ENOMEM;
    memcpy(frames, sample->frames, sample->count * sizeof(*frames));
    native->taken[native->count++] = (struct taken){
        own_tid, {.outcome = sample->outcome, .frames = frames, .count = sample->count}};
    return 0;
}

static int take_one(struct pst_dump_native *native, const struct pst_dump *dump,
                    const struct pst_py_thread *thread)
{
    struct pst_dump_task task = pst_dump_task(dump, thread);
    struct pst_native_sample sample;

    if (task.tid == 0)
        return 0;
    if (!dump->live)
        pst_native_sample_core(native->native, thread, &sample);
    for (int i = 0; i < TRIES && dump->live; i++) {
        pst_native_sample(native->native, task.tid, thread->tid, task.active, &sample);
        bool again = sample.outcome == PST_NATIVE_LATE || sample.outcome == PST_NATIVE_MISMATCH ||
                     sample.verdict != PST_V_OK;
        if (!again)
            break;
        (void)nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    }
    bool usable = sample.verdict == PST_V_OK && sample.has_python &&
                  sample.py.verdict == PST_V_OK && sample.outcome != PST_NATIVE_GONE;
    return usable ? keep(native, thread->tid, &sample) : 0;
}

/* The rows of the sample are overwritten by each stop: a copy of them is walked. */
static int take_all(struct pst_dump_native *native, const struct pst_dump *dump)
{
    size_t count = dump->sample.thread_count;
    struct pst_py_thread *rows = malloc((count + 1) * sizeof(*rows));
    int status = rows ? 0 : -ENOMEM;

    native->taken = calloc(count + 1, sizeof(*native->taken));
    if (!native->taken)
        status = -ENOMEM;
    if (rows && count > 0)
        memcpy(rows, dump->sample.threads, count * sizeof(*rows));
    for (size_t i = 0; i < count && status == 0; i++)
        status = take_one(native, dump, &rows[i]);
    free(rows);
    return status;
}

struct pst_dump_native *pst_dump_native_take(struct pst_dump *dump, struct pst_memory *memory)
{
    struct pst_dump_native *native = calloc(1, sizeof(*native));
    struct pst_native_stats stats;

    if (!native)
        return NULL;
    native->tracer = pst_tracer_new();
    if (native->tracer)
        native->native = pst_native_new(native->tracer, dump->facts->pid, memory, dump->python,
                                        &dump->facts->runtime);
    if (!native->native || take_all(native, dump) < 0)
        return pst_dump_native_free(native);
    pst_tracer_stats(native->tracer, &stats);
    (void)snprintf(native->tracer_name, sizeof(native->tracer_name), "%s", stats.tracer);
    return native;
}

const struct pst_dump_stack *pst_dump_native_stack(const struct pst_dump_native *native,
                                                   const struct pst_py_thread *thread)
{
    for (size_t i = 0; native && i < native->count; i++)
        if (native->taken[i].own_tid == thread->tid)
            return &native->taken[i].stack;
    return NULL;
}

void pst_dump_native_symbol(const struct pst_dump_native *native, uint32_t id,
                            struct pst_native_symbol *ret)
{
    pst_native_symbol(native->native, id, ret);
}

const char *pst_dump_native_tracer(const struct pst_dump_native *native)
{
    return native->tracer_name;
}

int64_t pst_dump_native_index(const struct pst_dump *dump, const struct pst_dump_stack *stack,
                              const struct pst_py_thread *thread, size_t nth)
{
    size_t python = 0;

    for (size_t i = 0; i < stack->count; i++) {
        if (stack->frames[i].kind != PST_NATIVE_PYTHON)
            continue;
        if (python >= thread->frame_count)
            return -1;
        const struct pst_py_frame *frame = &dump->sample.frames[thread->first_frame + python++];
        if (frame->code != stack->frames[i].id || frame->line != stack->frames[i].line)
            return -1;
    }
    return python == thread->frame_count ? (int64_t)(thread->first_frame + nth) : -1;
}
