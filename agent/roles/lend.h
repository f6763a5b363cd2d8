/* Yama 1 lets a process read its descendants' memory, and readers are nobody's ancestors. The
 * supervisor of `agent -- PROGRAM` is one of PROGRAM and of all that comes of it, and the kernel
 * asks for the right when /proc/PID/mem is opened, not when it is read: so the supervisor opens the
 * file for reading and hands it to a reader. It lends no other right: see pst_lend_open. */
#ifndef PST_ROLES_LEND_H
#define PST_ROLES_LEND_H

#include <stdint.h>
#include <sys/types.h>

struct pst_lend_request {
    uint64_t token; /* comes back in the reply */
    uint64_t start_ticks;
    int64_t pid;
};

struct pst_lend_reply {
    uint64_t token;
    int64_t status; /* 0: a descriptor comes along; else -errno */
};

/* Supervisor: starts the thread that serves both sockets for the life of this process. 0 or -errno.
 */
int pst_lend_start(int scan_socket, int sample_socket, pid_t program);
/* The decision and the open: 0 and a read-only descriptor of the process with that start time.
 * -EPERM unless it is the program or descends from it (or was left to this process by one that did)
 * and the kernel agrees with this process's own rights; -ESRCH gone. The kernel makes it wait while
 * the process is within exec. */
int pst_lend_open(pid_t program, pid_t pid, uint64_t start_ticks, int *ret_fd);

/* Reader: asks for memory that is refused through PST_FD_MEMORY, if that is there. */
void pst_lend_accept(void);
/* Asks over that socket and waits a moment. A descriptor or -errno. Single-threaded. */
int pst_lend_ask(int socket, pid_t pid, uint64_t start_ticks);

#endif
