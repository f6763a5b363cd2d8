/* Bounded reads of /proc/PID text and links. Errors of a process that vanished between two steps
 * all become -ESRCH, whatever the kernel called them. */
#include "target/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { PAGE_BYTES = 4096 };

static int vanished(int error)
{
    return error == ENOENT || error == ESRCH ? -ESRCH : -error;
}

static void proc_path(pid_t pid, const char *name, char *dst, size_t size)
{
    (void)snprintf(dst, size, "/proc/%d/%s", (int)pid, name);
}

int pst_procfs_open(pid_t pid, const char *name)
{
    char path[128];

    proc_path(pid, name, path, sizeof(path));
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    return fd >= 0 ? fd : vanished(errno);
}

ssize_t pst_procfs_read_fd(int fd, char *dst, size_t size)
{
    size_t used = 0, room;

    if (size == 0)
        return -EINVAL;
    while (used < size - 1) {
        room = size - 1 - used;
        ssize_t got = pread(fd, dst + used, room, (off_t)used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return vanished(errno);
        if (got == 0)
            break;
        used += (size_t)got;
        /* Texts of less than a page come whole; asking on makes the kernel write them anew. */
        if ((size_t)got < room && used < PAGE_BYTES)
            break;
    }
    dst[used] = '\0';
    return (ssize_t)used;
}

ssize_t pst_procfs_read(pid_t pid, const char *name, char *dst, size_t size)
{
    pst_autofd int fd = pst_procfs_open(pid, name);

    return fd < 0 ? fd : pst_procfs_read_fd(fd, dst, size);
}

ssize_t pst_procfs_link(pid_t pid, const char *name, char *dst, size_t size)
{
    char path[128];

    proc_path(pid, name, path, sizeof(path));
    ssize_t len = readlink(path, dst, size);
    if (len < 0)
        return vanished(errno);
    if ((size_t)len >= size)
        return -ENAMETOOLONG;
    dst[len] = '\0';
    return len;
}

bool pst_procfs_sleeps(pid_t tid)
{
    char path[64], text[512];

    (void)snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return true; /* not knowable: the watchdog's clock alone decides */
    ssize_t n = pst_procfs_read_fd(fd, text, sizeof(text));
    (void)close(fd);
    const char *end = n > 0 ? strrchr(text, ')') : NULL;
    return !end || end[1] != ' ' || end[2] != 'R';
}
