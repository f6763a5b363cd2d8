/* What /proc says of one thread of a target, beside what ptrace does. */
#ifndef PST_NATIVE_STATE_H
#define PST_NATIVE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* One letter, as in its stat file; 'X' when it is not there. */
char pst_thread_state(pid_t pid, pid_t tid);
/* Whether a filter of system calls judges what it calls; true where that is not to be told. */
bool pst_thread_filtered(pid_t pid, pid_t tid);
/* Whether somebody traces it, and who as "NAME (PID)"; empty: a thread of our own that is about to
 * end. */
bool pst_thread_tracer(pid_t pid, pid_t tid, char *dst, size_t size);

#endif
