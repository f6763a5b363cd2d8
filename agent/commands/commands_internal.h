/* The table of commands as the commands themselves see it. Each pst_cmd_NAME gets argv[0] = its
 * name and returns the exit code; it lives in NAME.c beside its options table pst_options_NAME. */
#ifndef PST_COMMANDS_COMMANDS_INTERNAL_H
#define PST_COMMANDS_COMMANDS_INTERNAL_H

#include <stdio.h>

#include "base/buf.h"
#include "commands/commands.h"
#include "options.h"

#define PST_COMMAND(id, alias, rank, synopsis, summary, example)                                   \
    int pst_cmd_##id(int argc, char **argv);                                                       \
    extern const struct pst_option pst_options_##id[];
#include "commands.def"
#undef PST_COMMAND

struct pst_command {
    const char *name, *alias, *synopsis, *summary, *example;
    int rank;
    int (*run)(int argc, char **argv);
    const struct pst_option *options;
};

/* All rows, closed by one without a name. */
extern const struct pst_command pst_command_table[];

/* Exact name, alias or unique prefix. -ENOENT unknown, -ENOTUNIQ several; the error then names
 * what was meant. */
int pst_command_find(const char *word, const struct pst_command **ret, struct pst_error *error);

/* Pages of help.c. */
void pst_help_newcomer(FILE *out);
void pst_help_all(FILE *out);
void pst_help_command(FILE *out, const struct pst_command *command);
/* docs/commands.md. */
int pst_help_docs(struct pst_buf *out);

/* "-o, --output FILE" into text. */
void pst_help_option_heading(const struct pst_option *option, char *text, size_t size);

/* Role processes: `pystrobe __sample ...`. Defined by the roles library. */
int pst_role_main(const char *verb, int argc, char **argv);

#endif
