/* Writes man(7) macros; a hidden verb of the build calls it. */
#include "man.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/io.h"

struct writer {
    struct pst_buf *out;
    int error;
};

static void put_raw(struct writer *w, const char *text)
{
    if (w->error == 0)
        w->error = pst_buf_puts(w->out, text);
}

/* Text of a line: nothing of it is a request or an escape, a hyphen stays one that can be copied.
 */
static void put(struct writer *w, const char *text)
{
    bool start = w->out->len == 0 || w->out->data[w->out->len - 1] == '\n';

    if (start && (*text == '.' || *text == '\''))
        put_raw(w, "\\&");
    for (; *text && w->error == 0; text++)
        if (*text == '\\')
            put_raw(w, "\\e");
        else if (*text == '-')
            put_raw(w, "\\-");
        else
            w->error = pst_buf_append(w->out, text, 1);
}

static void put_upper(struct writer *w, const char *text)
{
    for (; *text && w->error == 0; text++) {
        char c = (char)toupper((unsigned char)*text);
        w->error = pst_buf_append(w->out, &c, 1);
    }
}

static void put_sentence(struct writer *w, const char *text)
{
    char first[2] = {(char)toupper((unsigned char)text[0]), 0};

    put(w, first);
    put(w, text + 1);
    put_raw(w, ".\n");
}

static void put_title(struct writer *w, const struct pst_command *command, const char *date)
{
    put_raw(w, ".TH PYSTROBE");
    if (command) {
        put_raw(w, "\\-");
        put_upper(w, command->name);
    }
    put_raw(w, " 1 ");
    put_raw(w, date);
    put_raw(w, " \"pystrobe " PST_VERSION "\" \"User Commands\"\n.SH NAME\npystrobe");
    if (command) {
        put_raw(w, "\\-");
        put(w, command->name);
    }
    put_raw(w, " \\- ");
    put(w, command ? command->summary : "profile running Python programs from outside");
    put_raw(w, "\n");
}

static void put_options(struct writer *w, const struct pst_option *table)
{
    put_raw(w, ".SH OPTIONS\n");
    for (const struct pst_option *row = table; row->kind != PST_OPTION_END; row++) {
        char letter[8] = "";

        if (row->hidden)
            continue;
        if (row->letter)
            (void)snprintf(letter, sizeof(letter), "-%c", row->letter);
        put_raw(w, ".TP\n\\fB");
        put(w, letter);
        put_raw(w, row->letter ? "\\fR, \\fB\\-\\-" : "\\-\\-");
        put(w, row->name);
        put_raw(w, row->argument ? "\\fR \\fI" : "");
        put(w, row->argument ? row->argument : "");
        put_raw(w, "\\fR\n");
        put_sentence(w, row->help);
        if (row->choices) {
            put_raw(w, "One of ");
            put(w, row->choices);
            put_raw(w, ".\n");
        }
    }
    put_raw(w, ".TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nExplain the command.\n");
}

static void put_exit_codes(struct writer *w)
{
    static const char *const codes[] = {"done", "failed", "usage or configuration",
                                        "not permitted"};

    put_raw(w, ".SH EXIT STATUS\n");
    for (int code = 0; code < 4; code++) {
        char text[24];

        (void)snprintf(text, sizeof(text), ".TP\n\\fB%d\\fR\n", code);
        put_raw(w, text);
        put_sentence(w, codes[code]);
    }
}

static void put_command(struct writer *w, const struct pst_command *command)
{
    put_raw(w, ".SH SYNOPSIS\n\\fBpystrobe ");
    put(w, command->name);
    put_raw(w, "\\fR [\\fIOPTION\\fR...] ");
    put(w, command->synopsis);
    put_raw(w, "\n.SH DESCRIPTION\n");
    put_sentence(w, command->summary);
    put_options(w, command->options);
    put_raw(w, ".SH EXAMPLE\n.nf\n");
    put(w, command->example);
    put_raw(w, "\n.fi\n");
    put_exit_codes(w);
    put_raw(w, ".SH SEE ALSO\n\\fBpystrobe\\fR(1)\n");
}

static void put_all(struct writer *w)
{
    put_raw(w, ".SH SYNOPSIS\n\\fBpystrobe\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR...]\n"
               ".SH DESCRIPTION\nProfiles running Python programs from outside, without stopping "
               "them.\nA command may be shortened to any prefix that only one of them has.\n"
               ".SH COMMANDS\n");
    for (const struct pst_command *row = pst_command_table; row->name; row++) {
        put_raw(w, ".TP\n\\fBpystrobe\\-");
        put(w, row->name);
        put_raw(w, "\\fR(1)\n");
        put_sentence(w, row->summary);
    }
    put_exit_codes(w);
}

int pst_man_page(struct pst_buf *out, const struct pst_command *command, const char *date)
{
    struct writer w = {out, 0};

    put_title(&w, command, date);
    if (command)
        put_command(&w, command);
    else
        put_all(&w);
    return w.error;
}

static int write_page(const char *folder, const struct pst_command *command, const char *date)
{
    struct pst_buf page, path;
    int rc;

    pst_buf_init(&page, PST_MAX_CONFIG_BYTES);
    pst_buf_init(&path, 4096);
    rc = pst_man_page(&page, command, date);
    if (rc == 0)
        rc = pst_buf_printf(&path, "%s/pystrobe%s%s.1", folder, command ? "-" : "",
                            command ? command->name : "");
    if (rc == 0)
        rc = pst_io_write_atomic(path.data, page.data, page.len, 0644);
    pst_buf_done(&page);
    pst_buf_done(&path);
    return rc;
}

int pst_man_write(const char *folder, const char *date)
{
    int rc = write_page(folder, NULL, date);
    struct pst_error error;

    for (const struct pst_command *row = pst_command_table; row->name && rc == 0; row++)
        rc = write_page(folder, row, date);
    if (rc == 0)
        return PST_EXIT_OK;
    (void)pst_error_set(&error, PST_EXIT_FAILED, folder, NULL, "%s", strerror(-rc));
    pst_error_print(stderr, &error);
    return PST_EXIT_FAILED;
}
