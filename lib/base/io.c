/* Bounded file access. */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { READ_STEP = 16384 };

int pst_io_read_all(int fd, struct pst_buf *buf, bool truncate)
{
    for (;;) {
        size_t room = buf->max - buf->len;
        size_t step = room < READ_STEP ? room : READ_STEP;
        if (step == 0) {
            char extra;
            ssize_t n = read(fd, &extra, 1);
            return n > 0 ? (truncate ? 0 : -EFBIG) : n < 0 ? -errno : 0;
        }
        int r = pst_buf_reserve(buf, step);
        if (r < 0)
            return r;
        ssize_t n = read(fd, buf->data + buf->len, step);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return 0;
        buf->len += (size_t)n;
        buf->data[buf->len] = 0;
    }
}

int pst_io_read_file(int dirfd, const char *path, struct pst_buf *buf, bool truncate)
{
    pst_autofd int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    return fd < 0 ? -errno : pst_io_read_all(fd, buf, truncate);
}

ssize_t pst_io_pread_all(int fd, char *dst, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = pread(fd, dst + done, size - done, (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

int pst_io_write_all(int fd, const void *data, size_t len)
{
    const char *at = data;
    while (len) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

int pst_io_write_atomic(const char *path, const void *data, size_t len, unsigned mode)
{
    pst_autofree char *temporary = NULL;
    if (asprintf(&temporary, "%s.tmp-XXXXXX", path) < 0)
        return -ENOMEM;
    pst_autofd int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = pst_io_write_all(fd, data, len);
    if (r == 0 && fchmod(fd, mode) < 0)
        r = -errno;
    if (r == 0 && fsync(fd) < 0)
        r = -errno;
    if (r == 0 && rename(temporary, path) < 0)
        r = -errno;
    if (r < 0)
        (void)unlink(temporary);
    return r;
}

int pst_io_mkdir_p(const char *path)
{
    pst_autofree char *copy = pst_str_dup(pst_str(path));
    if (!copy)
        return -ENOMEM;
    for (char *at = copy + 1;; at++) {
        if (*at != '/' && *at != 0)
            continue;
        char kept = *at;
        *at = 0;
        if (mkdir(copy, 0700) < 0 && errno != EEXIST)
            return -errno;
        *at = kept;
        if (!kept)
            break;
    }
    struct stat st;
    if (stat(path, &st) < 0)
        return -errno;
    return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}
