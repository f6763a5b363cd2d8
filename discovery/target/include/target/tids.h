/* Thread ids of one process in both numberings: the agent's pid namespace and the target's own.
 * One thread per object. */
#ifndef PST_TARGET_TIDS_H
#define PST_TARGET_TIDS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct pst_tids;

struct pst_tid {
    pid_t tid;     /* in the agent's pid namespace */
    pid_t own_tid; /* in the innermost namespace of the target */
    char name[16]; /* comm, NUL-terminated, any bytes; as it was when the thread was first seen */
};

/* Opens /proc/PID/task and keeps it: the descriptor belongs to this process and to no later one of
 * the same pid. NULL and -errno in *ret_error (may be NULL) when gone, refused or out of memory. */
struct pst_tids *pst_tids_new(pid_t pid, int *ret_error);
struct pst_tids *pst_tids_free(struct pst_tids *tids);

/* Lists the threads again; status is read only of those not seen before. 0, -ESRCH when the
 * process is gone, -errno. Past PST_MAX_THREADS threads are left out. */
int pst_tids_refresh(struct pst_tids *tids);
/* Live threads as of the last refresh, by rising tid. Valid until the next refresh. */
const struct pst_tid *pst_tids_list(const struct pst_tids *tids, size_t *ret_count);
/* NULL when no such thread was alive at the last refresh. */
const struct pst_tid *pst_tids_by_own(const struct pst_tids *tids, pid_t own_tid);
const struct pst_tid *pst_tids_by_tid(const struct pst_tids *tids, pid_t tid);
/* Descriptor of /proc/PID/task, for openat of TID/...; borrowed. */
int pst_tids_dirfd(const struct pst_tids *tids);
/* Reads the name again (threads rename themselves). -ESRCH when the thread is gone. */
int pst_tids_rename(struct pst_tids *tids, pid_t tid);

/* The innermost id of the line "NSpid:" in the text of a status file; -ENOENT without one. */
int pst_status_own_id(const char *text, size_t len, pid_t *ret);
/* Effective uid of the line "Uid:". */
int pst_status_uid(const char *text, size_t len, uid_t *ret);

#endif
