/* One look at one target with native frames. What the stops gave is kept until the caller, who
 * holds the lock by then, turns it into stacks of the open window. */
#include "native_look.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/limits.h"
#include "sampled.h"

struct taken {
    uint32_t first, count; /* into frames */
};

struct pst_native_look {
    struct pst_sampled *target;
    struct pst_native *native;
    struct pst_py_thread *rows;
    size_t row_count, row_cap;
    struct pst_native_frame *frames;
    size_t frame_count, frame_cap;
    struct taken *taken; /* by place in the list of OS threads */
    size_t taken_count, taken_cap;
    struct pst_wframe stack[PST_MAX_FRAMES_WALKED];
};

struct pst_native_look *pst_native_look_new(struct pst_sampled *target)
{
    struct pst_shared *shared = target->shared;
    struct pst_native_look *look = calloc(1, sizeof(*look));

    if (!look)
        return NULL;
    look->target = target;
    if (!shared->tracer)
        shared->tracer = pst_tracer_new();
    if (shared->tracer)
        look->native = pst_native_new(shared->tracer, target->plan.pid, target->memory,
                                      target->python, &target->plan.runtime);
    return look->native ? look : pst_native_look_free(look);
}

struct pst_native_look *pst_native_look_free(struct pst_native_look *look)
{
    if (!look)
        return NULL;
    pst_native_free(look->native);
    free(look->rows);
    free(look->frames);
    free(look->taken);
    free(look);
    return NULL;
}

/* --- reading --- */

static bool want_none(void *context, pid_t tid)
{
    (void)context, (void)tid;
    return false;
}

static bool grow(void **items, size_t *cap, size_t wanted, size_t bytes)
{
    if (wanted <= *cap)
        return true;
    void *grown = realloc(*items, wanted * 2 * bytes);
    if (!grown)
        return false;
    *items = grown;
    *cap = wanted * 2;
    return true;
}

static bool keep_rows(struct pst_native_look *look, const struct pst_py_sample *sample)
{
    void *rows = look->rows;
    bool there = grow(&rows, &look->row_cap, sample->thread_count + 1, sizeof(*look->rows));

    look->rows = rows;
    if (!there)
        return false;
    if (sample->thread_count > 0)
        memcpy(look->rows, sample->threads, sample->thread_count * sizeof(*look->rows));
    look->row_count = sample->thread_count;
    return true;
}

static bool keep_frames(struct pst_native_look *look, size_t place,
                        const struct pst_native_sample *sample)
{
    void *frames = look->frames;
    bool there = grow(&frames, &look->frame_cap, look->frame_count + sample->count + 1,
                      sizeof(*look->frames));

    look->frames = frames;
    if (!there)
        return false;
    if (sample->count > 0)
        memcpy(look->frames + look->frame_count, sample->frames,
               sample->count * sizeof(*look->frames));
    look->taken[place] = (struct taken){(uint32_t)look->frame_count, (uint32_t)sample->count};
    look->frame_count += sample->count;
    return true;
}

/* The row that came with the stack is as old as the stack. */
static void replace_row(struct pst_native_look *look, const struct pst_py_thread *row)
{
    for (size_t i = 0; i < look->row_count; i++)
        if (look->rows[i].tstate == row->tstate)
            look->rows[i] = *row;
}

static bool take(struct pst_native_look *look, size_t place, struct pst_os_thread *thread)
{
    struct pst_native_sample sample;

    pst_memory_enter(look->target->memory);
    pst_native_sample(look->native, thread->tid, thread->inner, thread->on_cpu != PST_OFF_CPU,
                      &sample);
    pst_memory_leave(look->target->memory);
    if (sample.outcome == PST_NATIVE_GONE)
        return true;
    if (sample.has_python)
        replace_row(look, &sample.py);
    return keep_frames(look, place, &sample);
}

enum pst_verdict pst_native_look_read(struct pst_native_look *look, struct pst_py_sample *ret)
{
    struct pst_os_threads *threads = look->target->threads;
    size_t count = pst_os_threads_count(threads);
    void *taken = look->taken;
    bool there = grow(&taken, &look->taken_cap, count + 1, sizeof(*look->taken));
    struct pst_py_sample sample;

    look->taken = taken;
    look->frame_count = look->taken_count = 0;
    if (!there)
        return PST_V_NO_MEMORY;
    memset(look->taken, 0, count * sizeof(*look->taken));
    look->taken_count = count;
    enum pst_verdict verdict = pst_python_sample(look->target->python, want_none, NULL, &sample);
    if (verdict != PST_V_OK)
        return verdict;
    if (!keep_rows(look, &sample))
        return PST_V_NO_MEMORY;
    pst_native_settle(look->native);
    for (size_t i = 0; i < count; i++) {
        struct pst_os_thread *thread = pst_os_threads_at(threads, i);
        thread->asked = pst_sampled_wants(look->target, thread);
        if (thread->asked && !take(look, i, thread))
            return PST_V_NO_MEMORY;
    }
    *ret = (struct pst_py_sample){.threads = look->rows, .thread_count = look->row_count};
    return PST_V_OK;
}

/* --- translating --- */

static const struct taken *taken_of(const struct pst_native_look *look,
                                    const struct pst_os_thread *thread)
{
    for (size_t i = 0; i < look->taken_count; i++)
        if (pst_os_threads_at(look->target->threads, i) == thread)
            return &look->taken[i];
    return NULL;
}

bool pst_native_look_has(const struct pst_native_look *look, const struct pst_os_thread *thread)
{
    const struct taken *taken = taken_of(look, thread);

    return taken && taken->count > 0;
}

static uint32_t function_of(struct pst_native_look *look, const struct pst_native_frame *frame)
{
    struct pst_sampled *target = look->target;
    uint32_t id = target->shared->overflow;
    struct pst_native_symbol symbol;

    switch (frame->kind) {
    case PST_NATIVE_PYTHON:
        return pst_sampled_function(target, frame->id);
    case PST_NATIVE_MARK:
        (void)pst_names_synthetic(target->names, pst_str(pst_native_mark_text(frame->id)), &id);
        return id;
    default:
        pst_native_symbol(look->native, frame->id, &symbol);
        struct pst_name name = {.name = symbol.name,
                                .system_name = symbol.system_name,
                                .filename = symbol.file,
                                .binary = symbol.binary,
                                .build_id = symbol.build_id,
                                .address = symbol.address};
        (void)pst_names_function(target->names, &name, &id);
        return id;
    }
}

int pst_native_look_stack(struct pst_native_look *look, const struct pst_os_thread *thread,
                          uint32_t *ret_stack)
{
    const struct taken *taken = taken_of(look, thread);
    size_t count = taken ? taken->count : 0;

    if (count > PST_MAX_FRAMES_WALKED - 1)
        count = PST_MAX_FRAMES_WALKED - 1;
    for (size_t i = 0; i < count; i++) {
        const struct pst_native_frame *frame = &look->frames[taken->first + i];
        look->stack[i] = (struct pst_wframe){function_of(look, frame), frame->line};
    }
    count = pst_sampled_cut(look->target, look->stack, count);
    if (thread->py < 0) /* the thread's name stands below its frames */
        look->stack[count++] =
            (struct pst_wframe){pst_sampled_native_name(look->target, thread), 0};
    return pst_window_stack(look->target->window, look->stack, count, ret_stack);
}
