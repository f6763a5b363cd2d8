/* The snapshot as people read it. */
#include <stdlib.h>

#include "base/buf.h"
#include "base/limits.h"
#include "dump.h"
#include "labels/mask.h"
#include "render/frame.h"
#include "session/packages.h"
#include "target/procfs.h"

struct pst_dump_task pst_dump_task(const struct pst_dump *dump, const struct pst_py_thread *thread)
{
    const struct pst_tid *tid = dump->tids ? pst_tids_by_own(dump->tids, thread->tid) : NULL;
    char name[64], text[1024];
    struct pst_stat stat;

    if (!dump->live) /* a core file's threads stand still, and have one number */
        return (struct pst_dump_task){thread->tid, false};
    if (!tid)
        return (struct pst_dump_task){0, true};
    (void)snprintf(name, sizeof(name), "task/%d/stat", (int)tid->tid);
    ssize_t len = pst_procfs_read(dump->facts->pid, name, text, sizeof(text));
    bool known = len > 0 && pst_stat_parse(text, (size_t)len, &stat) == 0;
    return (struct pst_dump_task){tid->tid, !known || stat.state == 'R'};
}

struct pst_str pst_dump_short_file(const struct pst_dump *dump, struct pst_str file)
{
    struct pst_frame_files files = {pst_packages_file, dump->packages};

    return dump->args->full_filenames ? file : pst_frame_file(&files, file);
}

static void put(FILE *out, struct pst_buf *buf, struct pst_str text)
{
    pst_buf_reset(buf);
    if (pst_buf_escaped(buf, text) == 0)
        (void)fwrite(buf->data ? buf->data : "", 1, buf->len, out);
}

static void put_header(FILE *out, struct pst_buf *buf, const struct pst_dump *dump)
{
    const struct pst_facts *facts = dump->facts;
    struct pst_buf command;
    char version[32];

    pst_buf_init(&command, 2 * PST_MAX_CMDLINE_BYTES);
    (void)pst_mask_arguments(facts->argv, &command);
    (void)fprintf(out, "%sProcess %d: ", dump->before ? dump->before : "", (int)facts->pid);
    put(out, buf, pst_buf_view(&command));
    (void)fprintf(out, "\nPython v%s",
                  pst_version_text(facts->runtime.hexversion, version, sizeof(version)));
    if (facts->second.hexversion)
        (void)fprintf(out, " and v%s",
                      pst_version_text(facts->second.hexversion, version, sizeof(version)));
    (void)fputs(pst_python_jit(dump->python) ? " with JIT (" : " (", out);
    put(out, buf, facts->exe);
    (void)fputs(pst_python_version_verified(&facts->runtime) ? ")\n" : ", unverified)\n", out);
    if (dump->parent != 0) {
        pst_dump_command(dump->parent, &command);
        (void)fprintf(out, "Parent Process %d: ", (int)dump->parent);
        put(out, buf, pst_buf_view(&command));
        (void)fputc('\n', out);
    }
    pst_buf_done(&command);
}

/* Values are printable text already; names are not. */
static void put_variables(FILE *out, struct pst_buf *buf, const struct pst_py_variables *variables)
{
    int heading = -1;

    if (variables->changed)
        (void)fputs("        Locals:\n            <changed while read>\n", out);
    for (size_t i = 0; i < variables->count; i++) {
        const struct pst_py_variable *variable = &variables->items[i];
        if (heading != (int)variable->argument)
            (void)fprintf(out, "        %s:\n", variable->argument ? "Arguments" : "Locals");
        heading = variable->argument;
        (void)fputs("            ", out);
        put(out, buf, pst_str(variable->name));
        (void)fprintf(out, ": %s\n", variable->text);
    }
}

static void put_code(FILE *out, struct pst_buf *buf, const struct pst_dump *dump, uint32_t id,
                     int32_t line)
{
    const struct pst_py_code *code = pst_python_code(dump->python, id);

    (void)fputs("    ", out);
    put(out, buf, code->qualname);
    (void)fputs(" (", out);
    put(out, buf, pst_dump_short_file(dump, code->filename));
    if (line > 0)
        (void)fprintf(out, ":%d", (int)line);
    (void)fputs(")\n", out);
}

static void put_frame(FILE *out, struct pst_buf *buf, const struct pst_dump *dump, size_t index)
{
    put_code(out, buf, dump, dump->sample.frames[index].code, dump->sample.frames[index].line);
    if (dump->variables)
        put_variables(out, buf, &dump->variables[index]);
}

static void put_native(FILE *out, struct pst_buf *buf, const struct pst_dump *dump,
                       const struct pst_native_frame *frame)
{
    struct pst_native_symbol symbol;

    if (frame->kind == PST_NATIVE_MARK) {
        (void)fprintf(out, "    %s\n", pst_native_mark_text((enum pst_native_mark)frame->id));
        return;
    }
    pst_dump_native_symbol(dump->native, frame->id, &symbol);
    bool whole = dump->args->full_filenames || symbol.line > 0;
    (void)fputs("    ", out);
    put(out, buf, symbol.name);
    (void)fputs(" (", out);
    put(out, buf, whole ? symbol.file : pst_str_basename(symbol.file));
    if (symbol.line > 0)
        (void)fprintf(out, ":%d", (int)symbol.line);
    (void)fputs(")\n", out);
}

/* Variables stand where the later reading found the thread unmoved. */
static void put_stack(FILE *out, struct pst_buf *buf, const struct pst_dump *dump,
                      const struct pst_py_thread *thread, const struct pst_dump_stack *stack)
{
    size_t python = 0;

    for (size_t i = 0; i < stack->count; i++) {
        const struct pst_native_frame *frame = &stack->frames[i];
        if (frame->kind != PST_NATIVE_PYTHON) {
            put_native(out, buf, dump, frame);
            continue;
        }
        int64_t index = pst_dump_native_index(dump, stack, thread, python++);
        if (index >= 0)
            put_frame(out, buf, dump, (size_t)index);
        else
            put_code(out, buf, dump, frame->id, frame->line);
    }
    if (stack->outcome == PST_NATIVE_OK || stack->outcome == PST_NATIVE_MISMATCH)
        return;
    (void)fprintf(out, "    [no native frames: %s", pst_native_outcome_meaning(stack->outcome));
    if (stack->outcome == PST_NATIVE_TRACED)
        (void)fprintf(out, ": %s", pst_dump_native_tracer(dump->native));
    (void)fputs("]\n", out);
}

/* A core file does not say what ran; who held the GIL lies in its memory. */
static void put_state(FILE *out, const struct pst_dump *dump, const struct pst_py_thread *thread,
                      const struct pst_dump_task *task)
{
    if (thread->has_gil)
        (void)fputs(dump->live ? " (active+gil)" : " (gil)", out);
    else if (dump->live)
        (void)fputs(task->active ? " (active)" : " (idle)", out);
}

static void put_thread(FILE *out, struct pst_buf *buf, const struct pst_dump *dump,
                       const struct pst_py_thread *thread)
{
    struct pst_dump_task task = pst_dump_task(dump, thread);
    struct pst_str name;

    (void)fprintf(out, "\nThread %d", (int)(task.tid ? task.tid : thread->tid));
    put_state(out, dump, thread, &task);
    if (pst_python_thread_name(dump->python, thread->tstate, &name)) {
        (void)fputs(": \"", out);
        put(out, buf, name);
        (void)fputc('"', out);
    }
    (void)fputc('\n', out);
    if (thread->verdict != PST_V_OK)
        (void)fprintf(out, "    [%s: %s]\n", pst_verdict_word(thread->verdict),
                      pst_verdict_meaning(thread->verdict));
    const struct pst_dump_stack *stack = pst_dump_native_stack(dump->native, thread);
    if (stack) {
        put_stack(out, buf, dump, thread, stack);
        return;
    }
    for (uint32_t i = 0; i < thread->frame_count; i++)
        put_frame(out, buf, dump, thread->first_frame + i);
    if (thread->truncated)
        (void)fputs("    [deeper: frames nearer the root were not read]\n", out);
}

/* CPython's list has the newest thread first; people start with the main thread. */
void pst_dump_text(FILE *out, const struct pst_dump *dump)
{
    struct pst_buf buf;

    pst_buf_init(&buf, 8 * PST_MAX_CMDLINE_BYTES);
    put_header(out, &buf, dump);
    for (size_t i = dump->sample.thread_count; i-- > 0;)
        put_thread(out, &buf, dump, &dump->sample.threads[i]);
    pst_buf_done(&buf);
}
