/* Identity of a process: a pidfd where the kernel gives one, and the start time always. */
#include "target/procref.h"

#include <errno.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "target/procfs.h"

static int pidfd_open(pid_t pid)
{
    long fd = syscall(SYS_pidfd_open, pid, 0U);

    return fd >= 0 ? (int)fd : -errno;
}

/* A pidfd becomes readable when the last thread has exited, reaped or not. */
static bool pidfd_ended(int pidfd)
{
    struct pollfd poller = {.fd = pidfd, .events = POLLIN};

    return poll(&poller, 1, 0) > 0 && (poller.revents & (POLLIN | POLLHUP | POLLERR)) != 0;
}

int pst_procref_open(pid_t pid, struct pst_procref *ret)
{
    struct pst_stat stat;

    if (pid <= 0)
        return -ESRCH;
    int pidfd = pidfd_open(pid);
    if (pidfd == -EINVAL || pidfd == -ENOENT) /* a thread that leads no process */
        return -ESRCH;
    if (pidfd == -ESRCH || pidfd == -EMFILE || pidfd == -ENFILE || pidfd == -ENOMEM)
        return pidfd;
    int status = pst_stat_read(pid, &stat);
    /* The pidfd came first: while it is alive, the start time read since is its own. */
    if (status == 0 && pidfd >= 0 && pidfd_ended(pidfd))
        status = -ESRCH;
    if (status < 0) {
        if (pidfd >= 0)
            (void)close(pidfd);
        return status;
    }
    *ret = (struct pst_procref){pid, pidfd >= 0 ? pidfd : -1, stat.start_ticks};
    return 0;
}

int pst_procref_verify(const struct pst_procref *ref)
{
    struct pst_stat stat;

    if (ref->pidfd >= 0)
        return pidfd_ended(ref->pidfd) ? -ESRCH : 0;
    int status = pst_stat_read(ref->pid, &stat);
    if (status < 0)
        return status == -EBADMSG ? -ESRCH : status;
    bool same = stat.start_ticks == ref->start_ticks && stat.state != 'Z' && stat.state != 'X';
    return same ? 0 : -ESRCH;
}

void pst_procref_done(struct pst_procref *ref)
{
    if (ref->pidfd >= 0)
        (void)close(ref->pidfd);
    *ref = (struct pst_procref){0, -1, 0};
}
