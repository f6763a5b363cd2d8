/* The snapshot for programs: py-spy's array and keys, and ours beside them. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/limits.h"
#include "dump.h"

static json_t *text(struct pst_str value)
{
    json_t *string = json_stringn(value.ptr, value.len);
    struct pst_buf buf;

    if (string)
        return string;
    pst_buf_init(&buf, 4 * PST_MAX_STRING_BYTES); /* names may hold bytes that are no UTF-8 */
    if (pst_buf_utf8(&buf, value) == 0)
        string = json_stringn(buf.data ? buf.data : "", buf.len);
    pst_buf_done(&buf);
    return string;
}

static json_t *locals_of(const struct pst_dump *dump, size_t index)
{
    if (!dump->variables)
        return json_null();
    const struct pst_py_variables *variables = &dump->variables[index];
    json_t *list = json_array();
    for (size_t i = 0; i < variables->count; i++) {
        const struct pst_py_variable *variable = &variables->items[i];
        (void)json_array_append_new(
            list, json_pack("{s:o, s:I, s:b, s:o}", "name", text(pst_str(variable->name)), "addr",
                            (json_int_t)variable->address, "arg", (int)variable->argument, "repr",
                            text(pst_str(variable->text))));
    }
    return list;
}

static json_t *code_of(const struct pst_dump *dump, uint32_t id, int32_t line, bool entry,
                       json_t *locals)
{
    const struct pst_py_code *code = pst_python_code(dump->python, id);
    struct pst_str file = pst_dump_short_file(dump, code->filename);

    return json_pack("{s:o, s:o, s:n, s:o, s:i, s:o, s:b, s:b, s:o, s:i}", "name",
                     text(code->qualname), "filename", text(code->filename), "module",
                     "short_filename", text(file), "line", (int)line, "locals", locals, "is_entry",
                     (int)entry, "is_shim_entry", 0, "bare_name", text(code->name), "first_line",
                     (int)code->first_line);
}

static json_t *frame_of(const struct pst_dump *dump, size_t index)
{
    const struct pst_py_frame *frame = &dump->sample.frames[index];

    return code_of(dump, frame->code, frame->line, frame->entry, locals_of(dump, index));
}

static json_t *native_of(const struct pst_dump *dump, const struct pst_native_frame *frame)
{
    struct pst_native_symbol symbol = {.name = PST_STR(""), .system_name = PST_STR("")};

    if (frame->kind == PST_NATIVE_MARK)
        symbol.name = pst_str(pst_native_mark_text((enum pst_native_mark)frame->id));
    else
        pst_dump_native_symbol(dump->native, frame->id, &symbol);
    return json_pack("{s:o, s:o, s:o, s:o, s:i, s:n, s:b, s:b, s:o, s:i, s:b, s:o, s:o, s:I}",
                     "name", text(symbol.name), "filename", text(symbol.file), "module",
                     text(symbol.binary), "short_filename", text(pst_str_basename(symbol.file)),
                     "line", (int)symbol.line, "locals", "is_entry", 0, "is_shim_entry", 0,
                     "bare_name", text(symbol.name), "first_line", 0, "native", 1, "system_name",
                     text(symbol.system_name), "build_id", text(symbol.build_id), "address",
                     (json_int_t)symbol.address);
}

static json_t *stack_of(const struct pst_dump *dump, const struct pst_py_thread *thread,
                        const struct pst_dump_stack *stack)
{
    json_t *frames = json_array();
    size_t python = 0;

    for (size_t i = 0; i < stack->count; i++) {
        const struct pst_native_frame *frame = &stack->frames[i];
        json_t *item;
        if (frame->kind != PST_NATIVE_PYTHON) {
            item = native_of(dump, frame);
        } else {
            int64_t index = pst_dump_native_index(dump, stack, thread, python++);
            item = index >= 0 ? frame_of(dump, (size_t)index)
                              : code_of(dump, frame->id, frame->line, false, json_null());
        }
        (void)json_array_append_new(frames, item);
    }
    return frames;
}

static json_t *frames_of(const struct pst_dump *dump, const struct pst_py_thread *thread)
{
    const struct pst_dump_stack *stack = pst_dump_native_stack(dump->native, thread);
    json_t *frames;

    if (stack)
        return stack_of(dump, thread, stack);
    frames = json_array();
    for (uint32_t i = 0; i < thread->frame_count; i++)
        (void)json_array_append_new(frames, frame_of(dump, thread->first_frame + i));
    return frames;
}

/* Beside the frames, with --native: how they came out. */
static json_t *with_outcome(const struct pst_dump *dump, const struct pst_py_thread *thread,
                            json_t *row)
{
    const struct pst_dump_stack *stack = pst_dump_native_stack(dump->native, thread);

    if (!dump->native || !row)
        return row;
    (void)json_object_set_new(
        row, "native",
        json_string(pst_native_outcome_word(stack ? stack->outcome : PST_NATIVE_UNREADABLE)));
    if (stack && stack->outcome == PST_NATIVE_TRACED)
        (void)json_object_set_new(row, "traced_by",
                                  text(pst_str(pst_dump_native_tracer(dump->native))));
    return row;
}

/* py-spy's chain of parents; one link tells where a child belongs. */
static json_t *process_of(const struct pst_dump *dump)
{
    struct pst_buf command;

    if (dump->parent == 0)
        return json_null();
    pst_buf_init(&command, PST_MAX_CMDLINE_BYTES);
    pst_dump_command(dump->parent, &command);
    json_t *parent = json_pack("{s:i, s:o, s:n}", "pid", (int)dump->parent, "command_line",
                               text(pst_buf_view(&command)), "parent");
    pst_dump_command(dump->facts->pid, &command);
    json_t *process = json_pack("{s:i, s:o, s:o}", "pid", (int)dump->facts->pid, "command_line",
                                text(pst_buf_view(&command)), "parent", parent);
    pst_buf_done(&command);
    return process;
}

static json_t *thread_of(const struct pst_dump *dump, const struct pst_py_thread *thread)
{
    struct pst_dump_task task = pst_dump_task(dump, thread);
    struct pst_str name;
    char version[32];
    bool named = pst_python_thread_name(dump->python, thread->tstate, &name);
    json_t *os_id = task.tid ? json_integer(task.tid) : json_null();
    json_t *own_id = thread->tid ? json_integer(thread->tid) : json_null();

    (void)pst_version_text(dump->facts->runtime.hexversion, version, sizeof(version));
    return json_pack("{s:i, s:I, s:o, s:o, s:o, s:b, s:b, s:b, s:b, s:s, s:I, s:s, s:o, s:o}",
                     "pid", (int)dump->facts->pid, "thread_id", (json_int_t)thread->thread_id,
                     "thread_name", named ? text(name) : json_null(), "os_thread_id", os_id,
                     "ns_thread_id", own_id, "active", (int)(task.active || thread->has_gil),
                     "owns_gil", (int)thread->has_gil, "torn", (int)(thread->verdict != PST_V_OK),
                     "truncated", (int)thread->truncated, "verdict",
                     pst_verdict_word(thread->verdict), "interpreter",
                     (json_int_t)thread->interpreter, "python_version", version, "frames",
                     frames_of(dump, thread), "process_info", process_of(dump));
}

/* The lines between the brackets, so that the threads of several processes make one array. */
static int put_elements(FILE *out, const char *before, const json_t *threads)
{
    char *printed = json_dumps(threads, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    size_t len = printed ? strlen(printed) : 0;
    static const size_t bracket_and_newline = 2;

    if (printed && before)
        (void)fputs(before, out);
    if (len > 2 * bracket_and_newline)
        (void)fwrite(printed + bracket_and_newline, 1, len - 2 * bracket_and_newline, out);
    free(printed);
    return printed ? PST_EXIT_OK : PST_EXIT_FAILED;
}

int pst_dump_json(FILE *out, const struct pst_dump *dump)
{
    json_t *threads = json_array();
    int code = PST_EXIT_FAILED;

    for (size_t i = 0; i < dump->sample.thread_count; i++)
        (void)json_array_append_new(threads,
                                    with_outcome(dump, &dump->sample.threads[i],
                                                 thread_of(dump, &dump->sample.threads[i])));
    if (threads && json_array_size(threads) == dump->sample.thread_count)
        code = put_elements(out, dump->before, threads);
    json_decref(threads);
    return code;
}
