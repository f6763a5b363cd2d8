/* The command line: one row per command in commands.def; help, completions and docs come from it.
 */
#ifndef PST_COMMANDS_COMMANDS_H
#define PST_COMMANDS_COMMANDS_H

/* Runs argv[1] and returns the exit code (base/error.h). */
int pst_commands_run(int argc, char **argv);

#endif
