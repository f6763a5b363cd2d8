/* Starts processes for the supervisor: descriptors at fixed numbers, clean signals and environment.
 * Decides nothing about when. */
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SAFE_FD = 64, MAX_ARGUMENTS = 256 };

extern char **environ;

/* Readers know nothing of configuration and credentials; what stays concerns the process itself. */
static const char *const reader_environment[] = {"ASAN_OPTIONS",       "UBSAN_OPTIONS",
                                                 "TSAN_OPTIONS",       "LSAN_OPTIONS",
                                                 "PYSTROBE_LOG_LEVEL", "PYSTROBE_LOG_FORMAT"};

static void default_signals(const sigset_t *mask)
{
    for (int number = 1; number < NSIG; number++)
        (void)signal(number, SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, mask, NULL);
}

static int null_device(int fd)
{
    int null = open("/dev/null", O_RDWR);

    if (null < 0)
        return -errno;
    int status = dup2(null, fd) < 0 ? -errno : 0;
    if (null != fd)
        (void)close(null);
    return status;
}

/* Sources may stand on each other's targets: all are first moved out of the way. */
static int place_fds(const struct pst_spawn *spawn)
{
    int moved[PST_FD_FIRST_FREE];

    for (int i = PST_FD_CONTROL; i < PST_FD_FIRST_FREE; i++) {
        moved[i] = -1;
        if (spawn->fds[i] >= 0 && (moved[i] = fcntl(spawn->fds[i], F_DUPFD, SAFE_FD)) < 0)
            return -errno;
    }
    for (int i = PST_FD_CONTROL; i < PST_FD_FIRST_FREE; i++) {
        if (moved[i] < 0)
            (void)close(i);
        else if (dup2(moved[i], i) < 0)
            return -errno;
    }
    /* Without the call (before 5.9) close-on-exec covers what is ours. */
    (void)syscall(SYS_close_range, PST_FD_FIRST_FREE, ~0U, 0);
    if (null_device(STDIN_FILENO) < 0)
        return -errno;
    return spawn->role == PST_ROLE_DAEMON ? 0 : null_device(STDOUT_FILENO);
}

/* Where the right to read others came by an ambient set or file capabilities, it survives the exec
 * only when it is passed on. The role drops what it must not have. */
static void pass_capabilities_on(void)
{
    cap_value_t wanted[] = {CAP_SYS_PTRACE, CAP_SYS_NICE};

    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        cap_t caps = cap_get_proc();
        if (caps && cap_set_flag(caps, CAP_INHERITABLE, 1, &wanted[i], CAP_SET) == 0 &&
            cap_set_proc(caps) == 0)
            (void)cap_set_ambient(wanted[i], CAP_SET);
        if (caps)
            (void)cap_free(caps);
    }
}

static char **clean_environment(void)
{
    static char *clean[sizeof(reader_environment) / sizeof(reader_environment[0]) + 1];
    size_t count = 0;

    for (char **entry = environ; *entry; entry++) {
        for (size_t i = 0; i < sizeof(reader_environment) / sizeof(reader_environment[0]); i++) {
            size_t len = strlen(reader_environment[i]);
            if (strncmp(*entry, reader_environment[i], len) == 0 && (*entry)[len] == '=' &&
                count + 1 < sizeof(clean) / sizeof(clean[0]))
                clean[count++] = *entry;
        }
    }
    clean[count] = NULL;
    return clean;
}

static _Noreturn void become_role(const struct pst_spawn *spawn, pid_t supervisor)
{
    char verb[32], *argv[MAX_ARGUMENTS + 3] = {(char[]){"pystrobe"}, verb};
    size_t count = 2;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != supervisor)
        _exit(1);
    /* Its own group: a terminal's Ctrl-C is for the supervisor, which ends the roles in order. */
    (void)setpgid(0, 0);
    default_signals(spawn->signal_mask);
    (void)signal(SIGTTOU, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    if (spawn->role != PST_ROLE_DAEMON)
        pass_capabilities_on();
    (void)snprintf(verb, sizeof(verb), "__%s", pst_role_word(spawn->role));
    for (size_t i = 0; spawn->arguments && spawn->arguments[i] && i < MAX_ARGUMENTS; i++)
        argv[count++] = spawn->arguments[i];
    argv[count] = NULL;
    if (place_fds(spawn) == 0)
        (void)execve("/proc/self/exe", argv,
                     spawn->role == PST_ROLE_DAEMON ? environ : clean_environment());
    _exit(1);
}

int pst_spawn_role(const struct pst_spawn *spawn, pid_t *ret_pid)
{
    pid_t supervisor = getpid(), child = fork();

    if (child < 0)
        return -errno;
    if (child == 0)
        become_role(spawn, supervisor);
    *ret_pid = child;
    return 0;
}

int pst_spawn_program(char *const *program, const sigset_t *signal_mask, pid_t *ret_pid)
{
    pid_t child = fork();

    if (child < 0)
        return -errno;
    if (child == 0) {
        (void)sigprocmask(SIG_SETMASK, signal_mask, NULL);
        (void)execvp(program[0], program);
        int error = errno;
        (void)dprintf(STDERR_FILENO, "pystrobe: cannot run %s: %s\n", program[0], strerror(error));
        _exit(error == ENOENT ? 127 : 126);
    }
    *ret_pid = child;
    return 0;
}
