/* Two CPython runtimes in one process (an application that embeds one and loads a library that
 * embeds another). Each is walked by an object of its own; this merges what they give, so that the
 * rest of the agent sees one target. A second runtime that fails costs its own threads only. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

struct pst_both {
    struct pst_py_thread *threads;
    struct pst_py_frame *frames;
    size_t thread_cap, frame_cap;
};

enum pst_verdict pst_python_attach_second(struct pst_python *python,
                                          const struct pst_runtime *runtime)
{
    struct pst_both *both = calloc(1, sizeof(*both));

    if (!both)
        return PST_V_NO_MEMORY;
    enum pst_verdict verdict = pst_python_attach(python->memory, runtime, &python->second);
    if (verdict == PST_V_OK)
        python->both = both;
    else
        free(both);
    return verdict;
}

void pst_second_free(struct pst_python *python)
{
    python->second = pst_python_free(python->second);
    if (python->both) {
        free(python->both->threads);
        free(python->both->frames);
    }
    free(python->both);
    python->both = NULL;
}

static bool reserve(struct pst_both *both, size_t threads, size_t frames)
{
    if (threads > both->thread_cap) {
        struct pst_py_thread *grown = realloc(both->threads, threads * sizeof(*grown));
        if (!grown)
            return false;
        both->threads = grown;
        both->thread_cap = threads;
    }
    if (frames > both->frame_cap) {
        struct pst_py_frame *grown = realloc(both->frames, frames * sizeof(*grown));
        if (!grown)
            return false;
        both->frames = grown;
        both->frame_cap = frames;
    }
    return true;
}

static void append(struct pst_both *both, const struct pst_py_sample *from, uint32_t odd,
                   struct pst_py_sample *to)
{
    for (size_t i = 0; i < from->thread_count; i++) {
        struct pst_py_thread *thread = &both->threads[to->thread_count + i];
        *thread = from->threads[i];
        thread->first_frame += (uint32_t)to->frame_count;
    }
    for (size_t i = 0; i < from->frame_count; i++) {
        struct pst_py_frame *frame = &both->frames[to->frame_count + i];
        *frame = from->frames[i];
        frame->code = frame->code * 2 + odd;
    }
    to->thread_count += from->thread_count;
    to->frame_count += from->frame_count;
    to->retries += from->retries;
    to->trimmed += from->trimmed;
}

void pst_second_add(struct pst_python *python, bool (*want)(void *context, pid_t tid),
                    void *context, struct pst_py_sample *sample)
{
    struct pst_both *both = python->both;
    struct pst_py_sample other, merged = {0};

    if (pst_python_sample(python->second, want, context, &other) != PST_V_OK)
        other = (struct pst_py_sample){0};
    if (!reserve(both, sample->thread_count + other.thread_count,
                 sample->frame_count + other.frame_count)) {
        *sample = (struct pst_py_sample){0}; /* ids of codes would mean others */
        return;
    }
    append(both, sample, 0, &merged);
    append(both, &other, 1, &merged);
    merged.threads = both->threads;
    merged.frames = both->frames;
    *sample = merged;
}
