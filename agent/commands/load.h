/* Loading the configuration for a command: --config and --set, the process's environment. */
#ifndef PST_COMMANDS_LOAD_H
#define PST_COMMANDS_LOAD_H

#include "config/config.h"
#include "options.h"

/* PST_EXIT_OK with a snapshot to unref, or the exit code after the error was printed. */
int pst_command_config(const struct pst_config_args *args, struct pst_config **ret);

#endif
