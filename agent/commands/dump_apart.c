/* Each process is read by a child of ours, which gives its output back through pipes: memory that
 * never answers holds that child and nobody else. With --blocking we stop the target and the child
 * reads it, never both in one: a stopped thread may be the one that has to serve what is read. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "dump.h"
#include "target/procfs.h"
#include "target/rights.h"
#include "target/stop.h"
#include "whom.h"

enum {
    POLL_MS = 50,
    STALL_S = 5,        /* without a sign of work from a child that sleeps */
    STOP_WAIT_MS = 500, /* for all threads to stand still */
    STOPPED_MAX_MS = 2000,
    BLOCK = 65536,
    WORD_HOLD = 'h', /* child to us: stop it now; us to the child: it stands, or not */
    WORD_DONE = 'd', /* child to us: all is read */
    WORD_STANDS = 's',
    WORD_CANNOT = 'n',
};

struct apart {
    const struct pst_dump_args *args;
    pid_t target, child;
    int out, err, link;
    struct pst_buf text, messages;
    _Atomic uint64_t *progress; /* shared with the child */
    uint64_t moved_ns, last_progress;
    struct pst_stop *stop;
    uint64_t stop_deadline_ns;
    bool released_early;
};

/* --- the child --- */

static int child_hold(void *context)
{
    int link = *(int *)context;
    char word = WORD_HOLD;

    if (send(link, &word, 1, MSG_NOSIGNAL) != 1 || recv(link, &word, 1, 0) != 1)
        return -EIO;
    return word == WORD_STANDS ? 0 : -EIO;
}

static void child_let_go(void *context)
{
    char word = WORD_DONE;

    (void)send(*(int *)context, &word, 1, MSG_NOSIGNAL);
}

static _Noreturn void run_child(const struct apart *apart, const struct pst_buf *sudo_line,
                                const struct pst_dump_process *process, int out, int err, int link)
{
    struct pst_dump_hold hold = {.progress = apart->progress, .context = &link};
    pst_autofd int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (apart->args->blocking) {
        hold.hold = child_hold;
        hold.let_go = child_let_go;
    }
    if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
        _exit(PST_EXIT_FAILED);
    int code = pst_dump_process(apart->args, sudo_line, process, &hold);
    if (fflush(stdout) != 0 || fflush(stderr) != 0)
        code = PST_EXIT_FAILED;
    _exit(code);
}

/* --- we --- */

static int start(struct apart *apart, const struct pst_buf *sudo_line,
                 const struct pst_dump_process *process)
{
    int out[2] = {-1, -1}, err[2] = {-1, -1}, link[2] = {-1, -1};
    int error = 0;

    if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link) < 0)
        error = -errno;
    (void)fflush(stdout);
    (void)fflush(stderr);
    apart->child = error == 0 ? fork() : -1;
    if (error == 0 && apart->child < 0)
        error = -errno;
    if (apart->child == 0) {
        (void)close(out[0]), (void)close(err[0]), (void)close(link[0]);
        run_child(apart, sudo_line, process, out[1], err[1], link[1]);
    }
    pst_cleanup_fd(&out[1]);
    pst_cleanup_fd(&err[1]);
    pst_cleanup_fd(&link[1]);
    apart->out = out[0];
    apart->err = err[0];
    apart->link = link[0];
    return error;
}

static void say(const struct apart *apart, const char *text)
{
    (void)fprintf(stderr, "pystrobe: dump: process %d %s\n", (int)apart->target, text);
}

static void say_refused(const struct apart *apart)
{
    struct pst_refusal refusal;

    pst_rights_refusal("ptrace", apart->target, &refusal);
    (void)fprintf(stderr, "pystrobe: dump: process %d may not be stopped: %s; %s\n",
                  (int)apart->target, refusal.why, refusal.remedy);
}

static void release(struct apart *apart)
{
    if (!apart->stop)
        return;
    size_t threads = pst_stop_count(apart->stop);
    uint64_t stopped_ns = pst_stop_release(apart->stop);
    apart->stop = NULL;
    (void)fprintf(stderr, "pystrobe: dump: process %d (%zu threads) stood still for %.3f ms\n",
                  (int)apart->target, threads, (double)stopped_ns / (double)PST_NS_PER_MS);
}

static char hold_target(struct apart *apart)
{
    pid_t tracer = 0;
    int error = pst_stop_all(apart->target, STOP_WAIT_MS * PST_NS_PER_MS, &apart->stop, &tracer);

    if (error == 0) {
        apart->stop_deadline_ns = pst_clock_monotonic_ns() + STOPPED_MAX_MS * PST_NS_PER_MS;
        return WORD_STANDS;
    }
    if (tracer != 0)
        (void)fprintf(stderr,
                      "pystrobe: dump: process %d cannot be stopped: process %d traces it\n",
                      (int)apart->target, (int)tracer);
    else if (error == -EPERM)
        say_refused(apart);
    else
        say(apart, error == -ETIME ? "did not stop in time: it runs on" : "cannot be stopped");
    return WORD_CANNOT;
}

/* False when the child has closed its end. */
static bool hear(struct apart *apart)
{
    char word;

    if (recv(apart->link, &word, 1, 0) != 1)
        return false;
    if (word == WORD_DONE)
        release(apart);
    if (word == WORD_HOLD) {
        word = hold_target(apart);
        (void)send(apart->link, &word, 1, MSG_NOSIGNAL);
    }
    return true;
}

/* False at the end of the pipe, or when no more may be kept. */
static bool gather(int fd, struct pst_buf *buf)
{
    if (pst_buf_reserve(buf, BLOCK) < 0)
        return false;
    ssize_t got = read(fd, buf->data + buf->len, BLOCK);
    if (got > 0)
        buf->len += (size_t)got;
    return got > 0 || (got < 0 && errno == EINTR);
}

/* A child that waits for a CPU is not stuck. */
static bool stalled(struct apart *apart)
{
    uint64_t progress = atomic_load(apart->progress), now = pst_clock_monotonic_ns();
    struct pst_stat stat;

    if (progress != apart->last_progress) {
        apart->last_progress = progress;
        apart->moved_ns = now;
    }
    if (now - apart->moved_ns < STALL_S * PST_NS_PER_S)
        return false;
    return pst_stat_read(apart->child, &stat) == 0 && stat.state != 'R' && stat.state != 'Z';
}

/* Until both pipes are at their end. False: the child was left behind. */
static bool attend(struct apart *apart)
{
    struct pollfd polled[] = {{.fd = apart->out, .events = POLLIN},
                              {.fd = apart->err, .events = POLLIN},
                              {.fd = apart->link, .events = POLLIN}};

    apart->moved_ns = pst_clock_monotonic_ns();
    while (polled[0].fd >= 0 || polled[1].fd >= 0) {
        int ready = poll(polled, PST_ARRAY_SIZE(polled), POLL_MS);
        if (ready > 0) {
            apart->moved_ns = pst_clock_monotonic_ns();
            if (polled[0].revents && !gather(apart->out, &apart->text))
                polled[0].fd = -1;
            if (polled[1].revents && !gather(apart->err, &apart->messages))
                polled[1].fd = -1;
            if (polled[2].revents && !hear(apart))
                polled[2].fd = -1;
        }
        if (apart->stop && pst_clock_monotonic_ns() > apart->stop_deadline_ns) {
            release(apart);
            say(apart, "was let go before all was read: the rest was read while it ran");
        }
        if (stalled(apart))
            return false;
    }
    return true;
}

static int finish(struct apart *apart)
{
    int status = 0;
    bool answered = attend(apart);

    release(apart); /* a child that died while it read */
    if (!answered) {
        (void)kill(apart->child, SIGKILL);
        pst_buf_reset(&apart->text);
        say(apart, "cannot be read: it has memory or files that do not answer "
                   "(FUSE, userfaultfd, a network file system)");
        return PST_EXIT_FAILED;
    }
    while (waitpid(apart->child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (apart->messages.len > 0)
        (void)fwrite(apart->messages.data, 1, apart->messages.len, stderr);
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    say(apart, "could not be read: the reader died");
    return PST_EXIT_FAILED;
}

static void print(const struct apart *apart, bool *first)
{
    static const char rule[] = "\n----------------------------------------\n\n";

    if (apart->text.len == 0)
        return;
    if (apart->args->json)
        (void)fputs(*first ? "[\n" : ",\n", stdout);
    else if (!*first)
        (void)fputs(rule, stdout);
    (void)fwrite(apart->text.data, 1, apart->text.len, stdout);
    *first = false;
}

static int dump_one(struct apart *apart, const struct pst_buf *sudo_line,
                    const struct pst_dump_process *process, bool *first)
{
    int code = PST_EXIT_FAILED;

    pst_buf_init(&apart->text, PST_MAX_RENDER_BYTES);
    pst_buf_init(&apart->messages, PST_MAX_CONFIG_BYTES);
    int error = start(apart, sudo_line, process);
    if (error == 0) {
        code = finish(apart);
        print(apart, first);
    } else {
        say(apart, "cannot be read: out of processes or files");
    }
    pst_cleanup_fd(&apart->out);
    pst_cleanup_fd(&apart->err);
    pst_cleanup_fd(&apart->link);
    pst_buf_done(&apart->text);
    pst_buf_done(&apart->messages);
    return code;
}

int pst_dump_apart(const struct pst_dump_args *args, const struct pst_buf *sudo_line,
                   const struct pst_dump_process *processes, size_t count)
{
    _Atomic uint64_t *progress =
        mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int code = PST_EXIT_OK;
    bool first = true;

    if (progress == MAP_FAILED)
        return pst_whom_fail("dump", PST_EXIT_FAILED, NULL, "out of memory");
    for (size_t i = 0; i < count; i++) {
        struct apart apart = {.args = args, .target = processes[i].pid, .progress = progress};
        int one = dump_one(&apart, sudo_line, &processes[i], &first);
        if (code == PST_EXIT_OK)
            code = one;
    }
    if (args->json && (!first || code == PST_EXIT_OK))
        (void)fputs(first ? "[]\n" : "\n]\n", stdout);
    (void)munmap((void *)progress, sizeof(*progress));
    return code;
}
