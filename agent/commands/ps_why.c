/* What `ps --why` prints: all that is known of one process, and who decided it. */
#include <stdio.h>

#include "base/limits.h"
#include "labels/mask.h"
#include "ps.h"

static void line(struct pst_buf *out, const char *name, struct pst_str value)
{
    (void)pst_buf_printf(out, "%-12s ", name);
    pst_ps_put(out, value);
    (void)pst_buf_puts(out, "\n");
}

static void print_environment(const struct pst_facts *facts, struct pst_buf *out)
{
    struct pst_str rest = facts->env;

    (void)pst_buf_printf(out, "%-12s from %s\n", "environment",
                         pst_env_source_word(facts->env_source));
    while (rest.len > 0) {
        struct pst_buf masked __attribute__((cleanup(pst_buf_done)));
        size_t len = pst_str_find(rest, '\0');
        size_t step = len < rest.len ? len + 1 : len;
        pst_buf_init(&masked, PST_MAX_ENVIRON_BYTES);
        if (pst_mask_text((struct pst_str){rest.ptr, len}, &masked) == 0)
            line(out, "", pst_buf_view(&masked));
        rest = (struct pst_str){rest.ptr + step, rest.len - step};
    }
}

static void label_line(struct pst_buf *out, struct pst_str name, struct pst_str value)
{
    (void)pst_buf_printf(out, "  %.*s=\"", (int)name.len, name.ptr);
    (void)pst_buf_escaped(out, value);
    (void)pst_buf_puts(out, "\"\n");
}

static void print_labels(const struct pst_naming *naming, struct pst_buf *out)
{
    struct pst_str name, value;

    (void)pst_buf_puts(out, "labels found, which rules may use\n");
    for (size_t i = 0; i < pst_meta_count(naming->before); i++) {
        pst_meta_at(naming->before, i, &name, &value);
        label_line(out, name, value);
    }
    (void)pst_buf_puts(out, naming->after ? "labels sent\n" : "labels sent  none: dropped\n");
    for (size_t i = 0; naming->after && i < pst_labels_count(naming->after); i++) {
        pst_labels_at(naming->after, i, &name, &value);
        label_line(out, name, value);
    }
    (void)pst_buf_puts(out, "decided by\n");
    for (struct pst_str rest = pst_str(naming->why), part; pst_str_next(&rest, '\n', &part);)
        if (part.len > 0)
            (void)pst_buf_printf(out, "  %.*s\n", (int)part.len, part.ptr);
}

void pst_ps_print_why(const struct pst_ps_row *row)
{
    const struct pst_facts *facts = row->facts;
    struct pst_buf out __attribute__((cleanup(pst_buf_done)));
    struct pst_buf command __attribute__((cleanup(pst_buf_done)));
    struct pst_buf started __attribute__((cleanup(pst_buf_done)));
    char version[32], build[64];

    pst_buf_init(&out, 16 * PST_MAX_ENVIRON_BYTES);
    pst_buf_init(&command, 2 * PST_MAX_CMDLINE_BYTES);
    pst_buf_init(&started, 2 * PST_MAX_CMDLINE_BYTES);
    (void)pst_mask_arguments(facts->argv, &command);
    (void)pst_mask_arguments(facts->started_as, &started);
    pst_ps_build(row, build, sizeof(build));
    (void)pst_buf_printf(&out, "%-12s %d (in its own namespace %d), parent %d, uid %u\n", "pid",
                         (int)facts->pid, (int)facts->own_pid, (int)facts->ppid, facts->uid);
    (void)pst_buf_printf(&out, "%-12s %s: %s, %s\n", "state", row->state, row->reason,
                         pst_ps_meaning(row->reason));
    (void)pst_buf_printf(&out, "%-12s %s %s\n", "python",
                         pst_version_text(facts->runtime.hexversion, version, sizeof(version)),
                         build);
    line(&out, "executable", facts->exe);
    line(&out, "runtime in", facts->image);
    line(&out, "command", pst_buf_view(&command));
    if (started.len > 0)
        line(&out, "started as", pst_buf_view(&started));
    line(&out, "directory", facts->cwd);
    line(&out, "container", facts->container_id);
    print_environment(facts, &out);
    print_labels(&row->naming, &out);
    (void)fwrite(out.data, 1, out.len, stdout);
}
