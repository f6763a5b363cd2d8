/* What a role gives up before it does anything: capabilities, new privileges, system calls. */
#ifndef PST_ROLES_SANDBOX_H
#define PST_ROLES_SANDBOX_H

#include <stdbool.h>

#include "roles/roles.h"

/* Drops every capability but those of the role: both readers keep CAP_SYS_PTRACE where they have
 * it; the supervisor keeps what it passes on, and CAP_KILL with a program to signal; the daemon
 * none. No core dumps, not dumpable, no new privileges, bounded descriptors. 0 or -errno. */
int pst_sandbox_drop(enum pst_role role, bool with_program);

/* System calls that are not listed for the role answer ENOSYS from now on, in every thread. Where
 * the kernel has no seccomp: -errno, and the caller says so and goes on. Sanitizer builds only log
 * what would have been refused. Threads of readers must exist before, but for the one that traces:
 * native adds what the sample reader needs to stop threads, read their registers and let them go.
 */
int pst_sandbox_filter(enum pst_role role, bool native);

#endif
