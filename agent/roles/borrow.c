/* A reader's side of lending: one question at a time, a bounded wait, and no further question for a
 * while after one that nobody answered. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/clock.h"
#include "lend.h"
#include "roles/link.h"
#include "roles/roles.h"
#include "target/memory.h"

/* Far below the second after which a reader counts as stalled. */
#define ANSWER_NS (PST_NS_PER_S / 5)
#define REST_NS   (5 * PST_NS_PER_S)

static uint64_t next_token(void)
{
    static uint64_t count;

    /* Answers to a reader before this one may still lie in the socket. */
    return (uint64_t)getpid() << 32 | (++count & UINT32_MAX);
}

/* 0 and what was lent; -EAGAIN when the answer is not there yet. Older answers are dropped. */
static int take_reply(int socket, uint64_t token, int *ret_fd)
{
    struct pst_lend_reply reply;
    ssize_t got;
    size_t fds;

    while ((got = pst_link_receive(socket, &reply, sizeof(reply), ret_fd, 1, &fds)) != -EAGAIN) {
        if (got == 0)
            return -EPIPE;
        if (got == (ssize_t)sizeof(reply) && reply.token == token)
            return reply.status < 0 ? (int)reply.status : fds == 1 ? 0 : -EBADMSG;
        if (got > 0 && fds == 1)
            (void)close(*ret_fd);
        if (got < 0 && got != -EMSGSIZE)
            return (int)got;
    }
    return -EAGAIN;
}

int pst_lend_ask(int socket, pid_t pid, uint64_t start_ticks)
{
    static uint64_t rest_until_ns;
    struct pst_lend_request request = {next_token(), start_ticks, pid};
    uint64_t now = pst_clock_monotonic_ns(), until = now + ANSWER_NS;
    int fd = -1;

    if (now < rest_until_ns)
        return -EAGAIN;
    int status = pst_link_send(socket, &request, sizeof(request), NULL, 0, 0);
    while (status == 0 && (status = take_reply(socket, request.token, &fd)) == -EAGAIN &&
           now < until) {
        struct pollfd wait = {socket, POLLIN, 0};
        (void)poll(&wait, 1, (int)((until - now) / PST_NS_PER_MS) + 1);
        now = pst_clock_monotonic_ns();
        status = 0;
    }
    if (status == -EAGAIN)
        rest_until_ns = now + REST_NS;
    return status < 0 ? status : fd;
}

static int ask(pid_t pid, uint64_t start_ticks)
{
    return pst_lend_ask(PST_FD_MEMORY, pid, start_ticks);
}

void pst_lend_accept(void)
{
    if (fcntl(PST_FD_MEMORY, F_GETFD) >= 0)
        pst_memory_set_opener(ask);
}
