/* Manual pages from the tables of commands and options. */
#ifndef PST_COMMANDS_MAN_H
#define PST_COMMANDS_MAN_H

#include "commands_internal.h"

/* Appends one page in man(7); NULL: the page of pystrobe itself. date: YYYY-MM-DD. 0, -ENOMEM,
 * -EFBIG. */
int pst_man_page(struct pst_buf *out, const struct pst_command *command, const char *date);
/* Writes pystrobe.1 and pystrobe-COMMAND.1 of every command into the folder. The exit code. */
int pst_man_write(const char *folder, const char *date);

#endif
