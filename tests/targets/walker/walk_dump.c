/* walk_dump PID [COUNT]: samples COUNT times and prints the last sample as JSON, with counters. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "attach.h"

static json_t *text(struct pst_str value)
{
    return json_stringn(value.ptr, value.len);
}

static json_t *frames_of(const struct pst_python *python, const struct pst_py_sample *sample,
                         const struct pst_py_thread *thread)
{
    json_t *frames = json_array();

    for (uint32_t i = 0; i < thread->frame_count; i++) {
        const struct pst_py_frame *frame = &sample->frames[thread->first_frame + i];
        const struct pst_py_code *code = pst_python_code(python, frame->code);
        json_array_append_new(frames, json_pack("{s:o, s:o, s:o, s:i, s:i}", "name",
                                                text(code->name), "qualname", text(code->qualname),
                                                "file", text(code->filename), "line", frame->line,
                                                "first_line", code->first_line));
    }
    return frames;
}

static json_t *thread_of(struct pst_python *python, const struct pst_py_sample *sample,
                         const struct pst_py_thread *thread)
{
    struct pst_str name;
    json_t *object = json_pack(
        "{s:I, s:I, s:s, s:b, s:b, s:b, s:o}", "tid", (json_int_t)thread->tid, "interpreter",
        (json_int_t)thread->interpreter, "verdict", pst_verdict_word(thread->verdict), "gil",
        thread->has_gil, "attached", thread->attached, "trimmed", thread->trimmed, "frames",
        frames_of(python, sample, thread));

    if (pst_python_thread_name(python, thread->tstate, &name))
        json_object_set_new(object, "name", text(name));
    return object;
}

int main(int argc, char **argv)
{
    struct attached a;
    struct pst_py_sample sample;
    struct pst_py_stats stats;
    long count = argc > 2 ? atol(argv[2]) : 1;
    enum pst_verdict verdict = PST_V_OK;

    if (argc < 2)
        return 2;
    attach((pid_t)atol(argv[1]), &a);
    uint64_t before = pst_memory_calls(a.memory), last = before, half = before;
    for (long i = 0; i < count; i++) {
        last = pst_memory_calls(a.memory);
        if (i == count / 2)
            half = last;
        verdict = pst_python_sample(a.python, NULL, NULL, &sample);
    }
    uint64_t after = pst_memory_calls(a.memory);
    json_t *threads = json_array();
    for (size_t i = 0; i < sample.thread_count; i++)
        json_array_append_new(threads, thread_of(a.python, &sample, &sample.threads[i]));
    pst_python_stats(a.python, &stats);
    json_t *out =
        json_pack("{s:s, s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "verdict",
                  pst_verdict_word(verdict), "version", (json_int_t)pst_python_hexversion(a.python),
                  "threads", threads, "calls", (json_int_t)(after - before), "last_calls",
                  (json_int_t)(after - last), "late_calls", (json_int_t)(after - half), "stacks",
                  (json_int_t)stats.stacks, "retries", (json_int_t)stats.retries, "trimmed",
                  (json_int_t)stats.trimmed, "code_hits", (json_int_t)stats.code_hits,
                  "code_misses", (json_int_t)stats.code_misses);
    json_dumpf(out, stdout, JSON_INDENT(1));
    putchar('\n');
    json_decref(out);
    detach(&a);
    return verdict == PST_V_OK ? 0 : 1;
}
