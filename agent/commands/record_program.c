/* Signals by signalfd, the program by waitpid. */
#include "record_program.h"

#include <errno.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

static const int for_program[] = {SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD, SIGINT};
static const int for_us[] = {SIGTERM, SIGHUP, SIGQUIT, SIGINT};
static const uint64_t patience_ns = 3 * PST_NS_PER_S; /* shorter than any container engine's */

/* nohup asks so: a blocked signal would come all the same. A shell's background jobs ignore SIGINT,
 * too, but `kill -INT` is meant. */
static bool is_ignored(int number)
{
    struct sigaction action;

    return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

int pst_record_signals(struct pst_record_program *program, bool with_program)
{
    const int *list = with_program ? for_program : for_us;
    size_t count = with_program ? sizeof(for_program) / sizeof(int) : sizeof(for_us) / sizeof(int);
    struct sigaction wait_for_children = {.sa_handler = SIG_DFL};
    sigset_t set, quiet;

    program->hush = (struct pst_hush){-1, -1};
    (void)sigemptyset(&set);
    for (size_t i = 0; i < count; i++)
        if (list[i] != SIGHUP || !is_ignored(SIGHUP))
            (void)sigaddset(&set, list[i]);
    /* Inherited as ignored, it would take the program's exit status away. */
    if (sigaction(SIGCHLD, with_program ? &wait_for_children : NULL, &program->child) < 0 ||
        sigprocmask(SIG_BLOCK, &set, &program->mask) < 0)
        return -errno;
    /* A reader that has left is an error like a full disk; the program gets its own mask back. */
    (void)sigemptyset(&quiet);
    (void)sigaddset(&quiet, SIGPIPE);
    (void)sigprocmask(SIG_BLOCK, &quiet, NULL);
    program->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return program->signals < 0 ? -errno : 0;
}

int pst_record_program_hold(struct pst_record_program *program, char *const *argv,
                            enum pst_record_capture capture)
{
    bool terminal = capture == PST_CAPTURE_TERMINAL;
    int status = 0;

    program->capture = capture;
    if (capture != PST_CAPTURE_NOTHING)
        status = pst_hush_start(&program->hush, terminal ? STDOUT_FILENO : STDERR_FILENO, terminal);
    if (status < 0)
        return status;
    struct pst_launch_options options = {.mask = &program->mask,
                                         .child = &program->child,
                                         .capture = program->hush.output,
                                         .terminal_only = terminal};
    status = pst_launch_hold(argv, &options, &program->launch);
    program->held = status == 0;
    return status;
}

static void reap(struct pst_record_program *program)
{
    /* As the first process of a container everything orphaned is ours. */
    pid_t whom = getpid() == 1 ? -1 : program->launch.pid, pid;
    int status;

    while ((pid = waitpid(whom, &status, WNOHANG)) > 0) {
        /* A program that is also traced (--native) shows its stops here. */
        if (pid != program->launch.pid || WIFSTOPPED(status))
            continue;
        program->ended = true;
        program->exit_code = pst_launch_exit_code(status);
        if (whom > 0)
            return;
    }
}

static void take_one(struct pst_record_program *program, const struct signalfd_siginfo *info)
{
    int number = (int)info->ssi_signo;

    program->asked =
        program->asked || (number != SIGCHLD && number != SIGUSR1 && number != SIGUSR2);
    if (program->launch.pid == 0) {
        program->interrupts++;
        return;
    }
    if (number == SIGCHLD) {
        reap(program);
        return;
    }
    program->interrupts += number == SIGINT;
    if (number == SIGTERM)
        program->overdue_ns =
            program->overdue_ns ? 1 : pst_clock_monotonic_ns() + patience_ns; /* twice: at once */
    /* What the kernel sent came from the terminal, and reached the program too. */
    if (info->ssi_code != SI_KERNEL && !program->ended && !program->held)
        (void)kill(program->launch.pid, number);
}

void pst_record_signals_take(struct pst_record_program *program, int timeout_ms)
{
    struct pollfd fd = {program->signals, POLLIN, 0};
    struct signalfd_siginfo info;

    (void)poll(&fd, 1, timeout_ms);
    while (read(program->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
        take_one(program, &info);
}

static bool interrupted(const struct pst_record_program *program)
{
    return program->interrupts > (program->launch.pid ? 1 : 0);
}

bool pst_record_interrupted(const struct pst_record_program *program)
{
    return interrupted(program) ||
           (program->overdue_ns && pst_clock_monotonic_ns() >= program->overdue_ns);
}

void pst_record_signals_release(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    for (size_t i = 0; i < sizeof(for_us) / sizeof(int); i++)
        (void)sigaddset(&set, for_us[i]);
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* What was captured is shown where it has to be. 130 when interrupted. */
static int wait_for_end(struct pst_record_program *program)
{
    enum { LOOK_MS = 1000 };

    if (program->capture == PST_CAPTURE_TERMINAL)
        pst_hush_show(&program->hush);
    reap(program);
    while (!program->ended && !interrupted(program))
        pst_record_signals_take(program, LOOK_MS);
    /* What a captured program printed is worth reading when it failed. */
    if (program->ended && program->exit_code != 0)
        pst_hush_show(&program->hush);
    pst_hush_end(&program->hush);
    return program->ended ? program->exit_code : 128 + SIGINT;
}

int pst_record_program_finish(struct pst_record_program *program, int code)
{
    if (program->launch.pid == 0)
        return code;
    if (!program->held) {
        int theirs = wait_for_end(program);
        return theirs ? theirs : code;
    }
    pst_launch_cancel(&program->launch);
    pst_hush_end(&program->hush);
    return code;
}
