/* Every page about the commands: newcomer's page, --help, help COMMAND, docs/commands.md. All of
 * them come from commands.def and the options tables. */
#include <string.h>

#include "commands_internal.h"

#define NEWCOMER_ROWS 5

const struct pst_option pst_options_help[] = {PST_OPT_END};

static const char exit_codes[] =
    "Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 not permitted.\n";

void pst_help_option_heading(const struct pst_option *option, char *text, size_t size)
{
    char letter[8] = "    ";
    if (option->letter)
        (void)snprintf(letter, sizeof letter, "-%c, ", option->letter);
    (void)snprintf(text, size, "%s--%s%s%s", letter, option->name, option->argument ? " " : "",
                   option->argument ? option->argument : "");
}

static const struct pst_command *by_rank(int rank)
{
    for (const struct pst_command *row = pst_command_table; row->name; row++)
        if (row->rank == rank)
            return row;
    return NULL;
}

void pst_help_newcomer(FILE *out)
{
    const struct pst_command *row;
    int shown = 0;

    (void)fputs("pystrobe profiles running Python programs from outside, without stopping them.\n\n"
                "Start here:\n",
                out);
    for (int rank = 1; shown < NEWCOMER_ROWS && (row = by_rank(rank)) != NULL; rank++) {
        (void)fprintf(out, "  %-8s %s\n           $ %s\n", row->name, row->summary, row->example);
        shown++;
    }
    (void)fputs("\n`pystrobe --help` lists everything, `pystrobe help COMMAND` explains one.\n",
                out);
}

void pst_help_all(FILE *out)
{
    (void)fputs("Usage: pystrobe COMMAND [OPTION...]\n\nCommands:\n", out);
    for (const struct pst_command *row = pst_command_table; row->name; row++)
        (void)fprintf(out, "  %-12s%s%s%s%s\n", row->name, row->summary, row->alias[0] ? " (" : "",
                      row->alias, row->alias[0] ? ")" : "");
    (void)fputs("\nOptions:\n"
                "  -h, --help      this page; behind a command: its own\n"
                "  -V, --version   the version\n\n"
                "Commands may be shortened to any prefix that only one of them has.\n",
                out);
    (void)fputs(exit_codes, out);
}

static bool has_visible(const struct pst_option *table)
{
    for (; table->kind != PST_OPTION_END; table++)
        if (!table->hidden)
            return true;
    return false;
}

void pst_help_command(FILE *out, const struct pst_command *command)
{
    char heading[80];

    (void)fprintf(out, "Usage: pystrobe %s%s%s%s\n\n", command->name,
                  has_visible(command->options) ? " [OPTION...]" : "",
                  command->synopsis[0] ? " " : "", command->synopsis);
    (void)fprintf(out, "%c%s.\n\nOptions:\n", command->summary[0] - 'a' + 'A',
                  command->summary + 1);
    for (const struct pst_option *row = command->options; row->kind != PST_OPTION_END; row++) {
        if (row->hidden)
            continue;
        pst_help_option_heading(row, heading, sizeof heading);
        (void)fprintf(out, "  %-30s %s%s%s%s\n", heading, row->help, row->choices ? " (" : "",
                      row->choices ? row->choices : "", row->choices ? ")" : "");
    }
    (void)fprintf(out, "  %-30s %s\n\n", "-h, --help", "this page");
    (void)fprintf(out, "Example:\n  $ %s\n\n%s", command->example, exit_codes);
}

/* '|' ends a cell of a Markdown table. */
static int put_cell(struct pst_buf *out, const char *text)
{
    int rc = 0;
    for (; *text && rc == 0; text++)
        rc = *text == '|' ? pst_buf_puts(out, "\\|") : pst_buf_append(out, text, 1);
    return rc;
}

static int docs_options(struct pst_buf *out, const struct pst_command *command)
{
    char heading[80];
    int rc = 0;

    if (!has_visible(command->options))
        return 0;
    rc = pst_buf_puts(out, "| option | meaning |\n|---|---|\n");
    for (const struct pst_option *row = command->options; row->kind != PST_OPTION_END && rc == 0;
         row++) {
        if (row->hidden)
            continue;
        pst_help_option_heading(row, heading, sizeof heading);
        rc = pst_buf_puts(out, "| `");
        rc = rc ? rc : put_cell(out, heading + (row->letter ? 0 : 4));
        rc = rc ? rc : pst_buf_puts(out, "` | ");
        rc = rc ? rc : put_cell(out, row->help);
        if (row->choices && rc == 0) {
            rc = pst_buf_puts(out, ": ");
            rc = rc ? rc : put_cell(out, row->choices);
        }
        rc = rc ? rc : pst_buf_puts(out, " |\n");
    }
    return rc ? rc : pst_buf_puts(out, "\n");
}

int pst_help_docs(struct pst_buf *out)
{
    int rc = pst_buf_puts(
        out,
        "# Commands\n\n"
        "This page is printed by the program from the tables that it parses its command line "
        "with.\n\n"
        "`r`, `t` and `d` always mean record, top and dump; any other command may be shortened "
        "to a prefix\nthat only it has. Long options are never abbreviated, short ones cluster "
        "and take glued values.\nMessages go to stderr. `-h` or `--help` behind a command "
        "explains it.\n\n"
        "Exit codes: 0 done · 1 failed · 2 usage or configuration · 3 not permitted.\n\n");

    for (const struct pst_command *row = pst_command_table; row->name && rc == 0; row++) {
        rc = pst_buf_printf(out, "## pystrobe %s\n\n%c%s.\n\n```\npystrobe %s%s%s%s\n```\n\n",
                            row->name, row->summary[0] - 'a' + 'A', row->summary + 1, row->name,
                            has_visible(row->options) ? " [OPTION...]" : "",
                            row->synopsis[0] ? " " : "", row->synopsis);
        rc = rc ? rc : docs_options(out, row);
        rc = rc ? rc : pst_buf_printf(out, "Example: `%s`\n\n", row->example);
    }
    if (rc == 0)
        out->data[--out->len] = 0; /* one newline at the end */
    return rc;
}

int pst_cmd_help(int argc, char **argv)
{
    const struct pst_command *row;
    struct pst_error error;
    struct {
        int unused;
    } args = {0};
    int rest, code = pst_command_options("help", 0, argc, argv, &args, &rest);

    if (code >= 0)
        return code;
    if (rest == argc) {
        pst_help_all(stdout);
        return PST_EXIT_OK;
    }
    if (pst_command_find(argv[rest], &row, &error) < 0) {
        pst_error_print(stderr, &error);
        return PST_EXIT_USAGE;
    }
    pst_help_command(stdout, row);
    return PST_EXIT_OK;
}
