/* How messages and bodies travel: SOCK_SEQPACKET datagrams and sealed memfds. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/limits.h"
#include "roles/link.h"

enum {
    MAX_FDS = 8,
    SEND_BUFFER_BYTES = 4 << 20, /* the kernel lowers it to wmem_max where we may not exceed it */
};
#define BODY_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

int pst_link_body_seal(const void *data, size_t len, int *ret_fd)
{
    pst_autofd int fd = memfd_create("pystrobe-window", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return -errno;
    int status = pst_io_write_all(fd, data, len);
    if (status < 0)
        return status;
    if (fcntl(fd, F_ADD_SEALS, BODY_SEALS | F_SEAL_SEAL) < 0)
        return -errno;
    *ret_fd = pst_steal_fd(&fd);
    return 0;
}

int pst_link_body_read(int fd, uint64_t bytes, void **ret_data)
{
    struct stat stat;
    int seals = fcntl(fd, F_GET_SEALS);

    if (seals < 0 || (seals & BODY_SEALS) != BODY_SEALS || fstat(fd, &stat) < 0)
        return -EBADMSG;
    if (bytes == 0 || bytes > PST_MAX_LINK_BODY_BYTES || (uint64_t)stat.st_size != bytes)
        return -EBADMSG;
    char *data = malloc(bytes);
    if (!data)
        return -ENOMEM;
    ssize_t got = pst_io_pread_all(fd, data, bytes);
    if (got < 0 || (uint64_t)got != bytes) {
        free(data);
        return got < 0 ? (int)got : -EBADMSG;
    }
    *ret_data = data;
    return 0;
}

int pst_link_pair(int ret_fds[2])
{
    int fds[2], size = SEND_BUFFER_BYTES;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
        return -errno;
    for (int i = 0; i < 2; i++) {
        if (setsockopt(fds[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
            (void)setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
        ret_fds[i] = fds[i];
    }
    return 0;
}

static int send_once(int fd, struct msghdr *message)
{
    ssize_t sent;

    do {
        sent = sendmsg(fd, message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    /* Too many descriptors on their way is like a full buffer: it passes as the peer reads. */
    if (sent < 0)
        return errno == ETOOMANYREFS || errno == ENOBUFS ? -EAGAIN : -errno;
    return 0;
}

int pst_link_send(int fd, const void *data, size_t len, const int *fds, size_t fd_count,
                  int timeout_ms)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(MAX_FDS * sizeof(int))];
    } control;
    struct iovec iov = {(void *)(uintptr_t)data, len};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

    if (fd_count > MAX_FDS || len == 0 || len > PST_MAX_LINK_MESSAGE_BYTES)
        return -EMSGSIZE;
    if (fd_count > 0) {
        memset(&control, 0, sizeof(control));
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(header), fds, fd_count * sizeof(int));
    }
    int status = send_once(fd, &message);
    if (status == -EAGAIN && timeout_ms != 0) {
        struct pollfd poll_fd = {fd, POLLOUT, 0};
        (void)poll(&poll_fd, 1, timeout_ms);
        status = send_once(fd, &message);
    }
    return status;
}

/* Every descriptor that came is either handed out or closed: none may leak into a role that a
 * hostile peer sends them to. Returns false when there were more than wanted. */
static bool take_fds(struct msghdr *message, int *ret_fds, size_t max_fds, size_t *ret_count)
{
    size_t count = 0;
    bool fits = true;

    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
         header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        size_t sent = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < sent; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
            if (count < max_fds) {
                ret_fds[count++] = fd;
            } else {
                fits = false;
                (void)close(fd);
            }
        }
    }
    *ret_count = count;
    return fits;
}

ssize_t pst_link_receive(int fd, void *dst, size_t size, int *ret_fds, size_t max_fds,
                         size_t *ret_fd_count)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(MAX_FDS * sizeof(int))];
    } control;
    struct iovec iov = {dst, size};
    struct msghdr message = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes),
    };
    size_t count = 0;
    ssize_t got;

    do {
        got = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (ret_fd_count)
        *ret_fd_count = 0;
    if (got < 0)
        return errno == ECONNRESET ? 0 : -errno;
    bool fits = take_fds(&message, ret_fds, max_fds, &count);
    if (!fits || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
        for (size_t i = 0; i < count; i++)
            (void)close(ret_fds[i]);
        return -EMSGSIZE;
    }
    if (ret_fd_count)
        *ret_fd_count = count;
    return got;
}
