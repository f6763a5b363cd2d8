/* What decides about reading another process, and the words for it once the kernel has refused. */
#ifndef PST_TARGET_RIGHTS_H
#define PST_TARGET_RIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/str.h"

struct pst_rights {
    uid_t uid; /* effective */
    bool ptrace_capability;
    bool initial_user_namespace;
    bool initial_pid_namespace;
    bool hidden; /* /proc is mounted with hidepid: processes of other users are not even listed */
    int yama;    /* 0..3; -1: no Yama */
    int seccomp; /* 0 none, 1 strict, 2 filter; -1 unknown */
    bool no_new_privs;
    int read_error;     /* 0, or the errno of reading own memory */
    bool reads_by_file; /* a filter refuses process_vm_readv; /proc/PID/mem serves */
    char profile[128];  /* LSM's label of this process, "" without one */
};
void pst_rights_read(struct pst_rights *ret);
/* "uid 1000, CAP_SYS_PTRACE missing, yama 1, seccomp none, LSM unconfined" */
void pst_rights_state(const struct pst_rights *rights, char *dst, size_t size);

/* Whether the text of /proc/self/mountinfo has a /proc that hides processes of others from whoever
 * is in none of its group and may not trace them. With the group that it lets see them, or -1. */
bool pst_rights_hidepid(struct pst_str mountinfo, int64_t *ret_group);

struct pst_refusal {
    char why[480]; /* the call, the target, the obstacle, and the state of all that decides */
    char remedy[200];
};
/* Once the kernel has refused this process that call on the other: what stands in the way. */
void pst_rights_explain(const struct pst_rights *rights, const char *call, pid_t pid,
                        struct pst_refusal *ret);
/* The same from nothing: reads the rights first. */
void pst_rights_refusal(const char *call, pid_t pid, struct pst_refusal *ret);

#endif
