/* Whom `record` and `top` are about: what is said when nobody is named or somebody cannot be read,
 * and which time is meant. */
#ifndef PST_COMMANDS_WHOM_H
#define PST_COMMANDS_WHOM_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"
#include "profile/profile.h"
#include "python/python.h"

/* Prints one line; returns the code. */
int pst_whom_fail(const char *command, enum pst_exit code, const char *remedy, const char *text);
/* The same command under sudo, to paste into a shell; argv[0] is the command's name. */
void pst_whom_sudo_line(int argc, char *const *argv, struct pst_buf *out);
/* Nobody was named: lists up to ten Python processes. The exit code. */
int pst_whom_ask(const char *command);
/* Says what pst_session_add answered, or what can be said of verdict. The exit code. */
int pst_whom_refuse(const char *command, const struct pst_buf *sudo_line, pid_t pid, int status,
                    enum pst_verdict verdict);
/* The program could not be started, -errno says why. The exit code. */
int pst_whom_not_started(const char *command, const char *program, int status);
/* A signal holds it (SIGSTOP, ctrl-Z): it is not merely idle. */
bool pst_whom_stopped(pid_t pid);
/* --mode, --idle and --gil in one; mode may be NULL. -EINVAL when two of them differ. */
int pst_whom_mode(const char *mode, bool idle, bool gil, enum pst_mode *ret);

#endif
