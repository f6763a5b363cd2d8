/* A pipe, a ring, and a process between them. */
#include "session/hush.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "base/limits.h"

enum { PROGRAM = STDIN_FILENO, SHOWN = STDOUT_FILENO, CONTROL = STDERR_FILENO };

/* Words over the control socket. */
static const char word_show = 's', word_end = 'e', word_done = 'd';

struct keeper {
    char kept[PST_MAX_HUSHED_BYTES]; /* a ring */
    size_t total;                    /* bytes that went into it */
    bool showing, unasked, alone;
};

/* A terminal that is gone takes nothing; the program is read all the same. */
static void show(const char *text, size_t len)
{
    (void)pst_io_write_all(SHOWN, text, len);
}

static void show_kept(struct keeper *keeper)
{
    size_t size = sizeof(keeper->kept), len = keeper->total, skip = 0;

    if (len > size) { /* it begins in the middle of a line */
        len = size;
        while (skip < len && keeper->kept[(keeper->total + skip) % size] != '\n')
            skip++;
        skip = skip < len ? skip + 1 : 0;
    }
    size_t at = (keeper->total - len + skip) % size, left = len - skip;
    size_t first = left < size - at ? left : size - at;
    show(keeper->kept + at, first);
    show(keeper->kept, left - first);
    keeper->total = 0;
}

/* False at the end of all writers. */
static bool take(struct keeper *keeper)
{
    char text[4096];
    ssize_t len = read(PROGRAM, text, sizeof(text));

    if (len < 0)
        return errno == EAGAIN || errno == EINTR;
    if (keeper->showing)
        show(text, (size_t)len);
    for (ssize_t i = 0; i < len && !keeper->showing; i++)
        keeper->kept[keeper->total++ % sizeof(keeper->kept)] = text[i];
    return len > 0;
}

static bool has_more(void)
{
    struct pollfd fd = {PROGRAM, POLLIN, 0};

    return poll(&fd, 1, 0) > 0 && (fd.revents & POLLIN);
}

static void begin_showing(struct keeper *keeper)
{
    if (!keeper->showing)
        show_kept(keeper);
    keeper->showing = true;
}

static void obey(struct keeper *keeper)
{
    char word;

    if (read(CONTROL, &word, 1) != 1) {
        keeper->alone = true;
        if (keeper->unasked)
            begin_showing(keeper);
    } else if (word == word_show) {
        begin_showing(keeper);
    } else {
        while (has_more() && take(keeper))
            continue;
        keeper->unasked = keeper->showing;
        (void)!write(CONTROL, &word_done, 1);
    }
}

static _Noreturn void keep(bool unasked)
{
    static struct keeper keeper;
    struct pollfd fds[] = {{PROGRAM, POLLIN, 0}, {CONTROL, POLLIN, 0}};

    keeper.unasked = unasked;
    do {
        fds[1].fd = keeper.alone ? -1 : CONTROL;
        if (poll(fds, 2, -1) < 0)
            fds[0].revents = fds[1].revents = 0;
        if (fds[1].fd >= 0 && fds[1].revents)
            obey(&keeper);
    } while (!fds[0].revents || take(&keeper));
    /* Who prints is gone; who waits for word_done still gets it. */
    while (!keeper.alone)
        obey(&keeper);
    _exit(0);
}

/* Nothing of ours stays open there: the end of a pipe would keep its reader waiting. */
static _Noreturn void become_keeper(int program, int shown, int control, bool unasked)
{
    static const int ignored[] = {SIGTSTP, SIGTTIN, SIGTTOU, SIGPIPE};

    (void)prctl(PR_SET_NAME, "pst-hush", 0, 0, 0);
    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
        (void)signal(ignored[i], SIG_IGN);
    int high[] = {fcntl(program, F_DUPFD, 16), fcntl(shown, F_DUPFD, 16),
                  fcntl(control, F_DUPFD, 16)};
    for (int i = 0; i < 3; i++)
        if (high[i] < 0 || dup2(high[i], i) < 0)
            _exit(1);
    if (close_range(STDERR_FILENO + 1, ~0u, 0) < 0)
        for (int fd = STDERR_FILENO + 1; fd < 1024; fd++)
            (void)close(fd);
    keep(unasked);
}

int pst_hush_start(struct pst_hush *ret, int shown, bool unasked)
{
    int output[2], control[2];

    *ret = (struct pst_hush){-1, -1};
    if (pipe2(output, O_CLOEXEC) < 0)
        return -errno;
    int status = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) < 0 ? -errno : 0;
    pid_t pid = status == 0 ? fork() : -1;
    if (pid == 0)
        become_keeper(output[0], shown, control[1], unasked);
    if (status == 0) {
        status = pid < 0 ? -errno : 0;
        (void)close(control[1]);
        *ret = (struct pst_hush){output[1], control[0]};
    } else {
        (void)close(output[1]);
    }
    (void)close(output[0]);
    if (status < 0)
        pst_hush_end(ret);
    return status;
}

void pst_hush_show(struct pst_hush *hush)
{
    if (hush->control >= 0)
        (void)send(hush->control, &word_show, 1, MSG_NOSIGNAL);
}

void pst_hush_end(struct pst_hush *hush)
{
    char word;

    if (hush->output >= 0)
        (void)close(hush->output);
    if (hush->control >= 0) {
        if (send(hush->control, &word_end, 1, MSG_NOSIGNAL) == 1)
            (void)!read(hush->control, &word, 1);
        (void)close(hush->control);
    }
    *hush = (struct pst_hush){-1, -1};
}
