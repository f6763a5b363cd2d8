/* The supervisor's side of lending: a thread, because an open may wait. It reads parents and start
 * times from /proc/PID/stat and nothing else, and keeps no descriptor. */
#include "lend.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/limits.h"
#include "roles/link.h"
#include "target/memory.h"
#include "target/procfs.h"
#include "target/procref.h"

#define PACE_NS (PST_NS_PER_S / 32)

struct lender {
    struct pollfd sockets[2];
    pid_t program;
    uint64_t paid_until_ns; /* each request moves it on by PACE_NS */
};

static ssize_t executable(pid_t pid, char path[PATH_MAX])
{
    char link[32];

    (void)snprintf(link, sizeof(link), "/proc/%d/exe", (int)pid);
    return readlink(link, path, PATH_MAX);
}

/* Children of this process are roles, the program, and orphans of the program. A role runs the same
 * file, from before its exec on: nobody lends what is inside of the agent. */
static bool is_role(pid_t child)
{
    char own[PATH_MAX], other[PATH_MAX];
    ssize_t own_len = executable(getpid(), own), len = executable(child, other);

    return own_len <= 0 || own_len != len || memcmp(own, other, (size_t)len) == 0;
}

static int check_descent(pid_t program, pid_t pid)
{
    struct pst_stat stat;

    for (int i = 0; i < PST_MAX_LEND_GENERATIONS && pid > 1 && pid != getpid(); i++) {
        if (pid == program)
            return 0;
        int status = pst_stat_read(pid, &stat);
        if (status < 0)
            return status;
        if (stat.ppid == getpid())
            return is_role(pid) ? -EPERM : 0;
        pid = stat.ppid;
    }
    return -EPERM;
}

int pst_lend_open(pid_t program, pid_t pid, uint64_t start_ticks, int *ret_fd)
{
    struct pst_procref ref;
    int status = pst_procref_open(pid, &ref), fd = -1;

    if (status < 0)
        return status;
    if (ref.start_ticks != start_ticks)
        status = -ESRCH;
    if (status == 0)
        status = check_descent(program, pid);
    if (status == 0) {
        fd = pst_memory_open(pid);
        status = fd < 0 ? fd : pst_procref_verify(&ref);
    }
    pst_procref_done(&ref);
    if (status < 0 && fd >= 0)
        (void)close(fd);
    if (status == 0)
        *ret_fd = fd;
    return status;
}

static void serve(const struct lender *lender, int socket)
{
    struct pst_lend_request request = {0};
    struct pst_lend_reply reply;
    pst_autofd int fd = -1;
    ssize_t got = pst_link_receive(socket, &request, sizeof(request), NULL, 0, NULL);

    if (got != (ssize_t)sizeof(request))
        return;
    reply = (struct pst_lend_reply){request.token, -ESRCH};
    if (request.pid > 0 && request.pid <= INT_MAX)
        reply.status = pst_lend_open(lender->program, (pid_t)request.pid, request.start_ticks, &fd);
    /* Whoever does not take his answers gets none. */
    (void)pst_link_send(socket, &reply, sizeof(reply), &fd, fd >= 0 ? 1 : 0, 0);
}

/* What a reader may ask in a burst is paid for by the time since: past it requests wait in the
 * socket, so that no reader can keep this process busy. */
static void pace(struct lender *lender)
{
    const uint64_t burst_ns = PST_MAX_LENDS * PACE_NS;
    uint64_t now = pst_clock_monotonic_ns();

    if (lender->paid_until_ns < now)
        lender->paid_until_ns = now;
    lender->paid_until_ns += PACE_NS;
    if (lender->paid_until_ns - now > burst_ns)
        (void)poll(NULL, 0, (int)(PACE_NS / PST_NS_PER_MS));
}

static void *lend(void *context)
{
    struct lender *lender = context;

    (void)prctl(PR_SET_NAME, "pst-lend", 0, 0, 0);
    for (;;) {
        if (poll(lender->sockets, PST_ARRAY_SIZE(lender->sockets), -1) < 0)
            continue;
        for (size_t i = 0; i < PST_ARRAY_SIZE(lender->sockets); i++) {
            if (lender->sockets[i].revents & ~POLLIN)
                lender->sockets[i].fd = -1;
            if (!(lender->sockets[i].revents & POLLIN))
                continue;
            serve(lender, lender->sockets[i].fd);
            pace(lender);
        }
    }
    return NULL;
}

int pst_lend_start(int scan_socket, int sample_socket, pid_t program)
{
    struct lender *lender = calloc(1, sizeof(*lender));
    pthread_attr_t attributes;
    pthread_t thread;

    if (!lender)
        return -ENOMEM;
    lender->sockets[0] = (struct pollfd){scan_socket, POLLIN, 0};
    lender->sockets[1] = (struct pollfd){sample_socket, POLLIN, 0};
    lender->program = program;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    int status = -pthread_create(&thread, &attributes, lend, lender);
    (void)pthread_attr_destroy(&attributes);
    if (status < 0)
        free(lender);
    return status;
}
