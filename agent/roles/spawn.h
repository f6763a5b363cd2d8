/* Starting a role: fork and exec of the own binary with exactly the descriptors it is meant to
 * have. */
#ifndef PST_ROLES_SPAWN_H
#define PST_ROLES_SPAWN_H

#include <signal.h>
#include <sys/types.h>

#include "roles/roles.h"

/* After the sample reader's verb: it may stop threads for native frames. */
#define PST_WORD_NATIVE "native"

struct pst_spawn {
    enum pst_role role;
    int fds[PST_FD_FIRST_FREE];  /* index: number in the role; -1: not there. 0..2 are not looked at
                                  */
    char *const *arguments;      /* NULL-terminated, after the verb; may be NULL */
    const sigset_t *signal_mask; /* the one the agent was started with */
};

/* 0 and the child, which is killed when this process ends; -errno. Other threads of the caller
 * may hold no lock that the child needs until its exec. */
int pst_spawn_role(const struct pst_spawn *spawn, pid_t *ret_pid);

/* Starts the program of `-- PROGRAM` with everything as the agent found it. 0 or -errno; a program
 * that cannot be executed ends with 127 (not there) or 126. */
int pst_spawn_program(char *const *program, const sigset_t *signal_mask, pid_t *ret_pid);

#endif
