/* Ways to a mapped file, each tried only as far as O_PATH: nothing of the target is opened for
 * reading before it proved to be the regular file that the kernel has mapped. */
#include "target/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { PATH_BYTES = 4096 };

static bool is_image(const struct stat *st, const struct pst_image *image)
{
    return S_ISREG(st->st_mode) && st->st_ino == image->inode &&
           major(st->st_dev) == image->major && minor(st->st_dev) == image->minor;
}

/* Takes the fd over. */
static int accept_fd(int fd, const struct pst_image *image, struct stat *ret_stat)
{
    struct stat st;

    if (fd < 0)
        return fd;
    int status = fstat(fd, &st) < 0 ? -errno : 0;
    if (status == 0 && !is_image(&st, image))
        status = -ESTALE;
    if (status < 0) {
        (void)close(fd);
        return status;
    }
    *ret_stat = st;
    return fd;
}

static int open_path(const char *path)
{
    int fd = open(path, O_PATH | O_CLOEXEC);

    return fd >= 0 ? fd : -errno;
}

static int open_exe(pid_t pid)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
    return open_path(path);
}

/* Symbolic links resolve inside the target's root; magic links (/proc/N/fd/...) do not resolve. */
static int open_in_root(pid_t pid, const char *path)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC,
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    char root[64];

    (void)snprintf(root, sizeof(root), "/proc/%d/root", (int)pid);
    pst_autofd int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0)
        return -errno;
    long fd = syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
    return fd >= 0 ? (int)fd : -errno;
}

/* Where a filter of system calls refuses openat2, whose flags no filter sees. Maps print resolved
 * paths; if one leads elsewhere by now, what stands there is not the image. */
static int open_resolved(pid_t pid, const char *path)
{
    char root[64];

    (void)snprintf(root, sizeof(root), "/proc/%d/root", (int)pid);
    pst_autofd int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0 || path[0] != '/' || strstr(path, "/../"))
        return -ENOENT;
    int fd = openat(root_fd, path + strspn(path, "/"), O_PATH | O_CLOEXEC | O_NOFOLLOW);
    return fd >= 0 ? fd : -errno;
}

int pst_rootfs_find(pid_t pid, const struct pst_image *image, struct stat *ret_stat)
{
    char path[PATH_BYTES];
    int worst = -ENOENT;

    int fd = accept_fd(open_exe(pid), image, ret_stat);
    if (fd >= 0)
        return fd;
    if (image->deleted || pst_maps_path(image->path, path, sizeof(path)) < 0)
        return -ENOENT;
    fd = open_in_root(pid, path);
    fd = accept_fd(fd == -ENOSYS ? open_resolved(pid, path) : fd, image, ret_stat);
    if (fd >= 0)
        return fd;
    if (fd == -EACCES || fd == -EPERM)
        worst = -EACCES;
    /* A chrooted process: its maps print paths as our root sees them. */
    fd = accept_fd(open_path(path), image, ret_stat);
    if (fd >= 0)
        return fd;
    return fd == -EACCES ? -EACCES : worst;
}

int pst_rootfs_find_mapped(pid_t pid, uint64_t start, uint64_t end, const struct pst_image *image,
                           struct stat *ret_stat)
{
    char path[96];

    (void)snprintf(path, sizeof(path), "/proc/%d/map_files/%llx-%llx", (int)pid,
                   (unsigned long long)start, (unsigned long long)end);
    return accept_fd(open_path(path), image, ret_stat);
}

int pst_rootfs_open(pid_t pid, const char *path)
{
    return open_in_root(pid, path);
}

int pst_rootfs_reopen(int path_fd)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", path_fd);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    return fd >= 0 ? fd : -errno;
}
