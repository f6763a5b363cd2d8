/* Small text files under /proc/PID, bounded. What they say is only as true as the identity check
 * that follows (pst_procref_verify). */
#ifndef PST_TARGET_PROCFS_H
#define PST_TARGET_PROCFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* O_RDONLY of /proc/PID/NAME (name may hold slashes). The fd or -errno; a vanished process is
 * -ESRCH. */
int pst_procfs_open(pid_t pid, const char *name);
/* Reads from the start until the end or until size-1 bytes; dst is NUL-terminated. Bytes or -errno.
 * -ESRCH for a vanished process. */
ssize_t pst_procfs_read(pid_t pid, const char *name, char *dst, size_t size);
/* The same from an open descriptor, from its beginning. */
ssize_t pst_procfs_read_fd(int fd, char *dst, size_t size);
/* Link target, NUL-terminated; -ENAMETOOLONG when it does not fit. */
ssize_t pst_procfs_link(pid_t pid, const char *name, char *dst, size_t size);

/* The fields of /proc/PID/stat that are used here. */
struct pst_stat {
    char comm[64]; /* as the process set it: any bytes; NUL-terminated */
    char state;
    pid_t ppid;
    uint32_t flags; /* PF_*; PF_KTHREAD marks a kernel thread */
    uint64_t utime_ticks, stime_ticks;
    uint64_t num_threads;
    uint64_t start_ticks;
    uint64_t vsize_bytes;
    uint64_t start_stack; /* 0 without ptrace rights, as are the four below */
    uint64_t arg_start, arg_end;
    uint64_t env_start, env_end;
};

#define PST_PF_KTHREAD 0x00200000u

/* Bytes that the process has mapped but for its private writable memory: what files, libraries and
 * shared memory take, which a growing heap leaves alone. 0 or -errno. */
int pst_statm_mapped(pid_t pid, uint64_t *ret_bytes);

/* True when that thread of our own process sleeps, as one does whose read meets a page that is not
 * answered; false while it runs or waits for a CPU, however long that takes. */
bool pst_procfs_sleeps(pid_t tid);

/* Text of a stat file; the comm may hold anything, so the last ')' ends it. 0 or -EBADMSG. */
int pst_stat_parse(const char *text, size_t len, struct pst_stat *ret);
/* Reads and parses. -ESRCH gone. */
int pst_stat_read(pid_t pid, struct pst_stat *ret);

#endif
