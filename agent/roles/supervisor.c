/* The supervisor: one loop over signals and control records. It starts and reaps, and parses
 * nothing that comes from outside, so that it can be trusted to end everything. With a program a
 * second thread lends descriptors (lend.c), because that may wait and the loop may not. */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "lend.h"
#include "roles/link.h"
#include "roles/table.h"
#include "sandbox.h"
#include "spawn.h"
#include "usage.h"

/* From the order to end: the readers ship, the daemon delivers, and whatever is left is killed, all
 * within the 5 s that an orchestrator was promised. */
#define READERS_END_NS (3 * PST_NS_PER_S / 2)
#define DAEMON_END_NS  (9 * PST_NS_PER_S / 2)
#define LAST_REAP_NS   (200 * PST_NS_PER_MS)
#define USAGE_EVERY_NS (5 * PST_NS_PER_S)

static int block_signals(struct pst_supervisor *s)
{
    static const int numbers[] = {SIGCHLD, SIGTERM, SIGINT,  SIGHUP,   SIGQUIT,
                                  SIGUSR1, SIGUSR2, SIGCONT, SIGWINCH, SIGPIPE};
    sigset_t mask;

    (void)sigemptyset(&mask);
    for (size_t i = 0; i < PST_ARRAY_SIZE(numbers); i++)
        (void)sigaddset(&mask, numbers[i]);
    if (sigprocmask(SIG_BLOCK, &mask, &s->signal_mask) < 0)
        return -errno;
    s->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    return s->signals < 0 ? -errno : 0;
}

/* The links and the table outlive every process at their ends: nothing has to be wired again when
 * one is started anew, and what was under way waits. */
static int open_links(struct pst_supervisor *s)
{
    char path[64];
    int status = pst_link_pair(s->facts);

    if (status == 0)
        status = pst_link_pair(s->windows);
    if (status == 0)
        status = pst_table_create(&s->table_rw);
    if (status < 0)
        return status;
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", s->table_rw);
    s->table_ro = open(path, O_RDONLY | O_CLOEXEC);
    if (s->table_ro < 0)
        return -errno;
    for (int reader = 0; reader < PST_READERS && s->program && status == 0; reader++)
        status = pst_link_pair(s->lending[reader]);
    return status;
}

static void forward_to_program(const struct pst_supervisor *s, const struct signalfd_siginfo *info)
{
    /* What a terminal sends goes to the whole group: the program has it already. */
    if (info->ssi_code <= 0)
        (void)kill(s->program_pid, (int)info->ssi_signo);
}

static void take_signal(struct pst_supervisor *s, const struct signalfd_siginfo *info)
{
    if (info->ssi_signo == SIGCHLD || info->ssi_signo == SIGPIPE)
        return;
    if (s->program_pid > 0) {
        forward_to_program(s, info);
        return;
    }
    switch (info->ssi_signo) {
    case SIGTERM:
    case SIGINT:
    case SIGQUIT:
        pst_lives_end_all(s, PST_EXIT_OK, pst_clock_monotonic_ns());
        break;
    case SIGHUP:
        pst_lives_signal(s, PST_ROLE_DAEMON, SIGHUP);
        break;
    default:
        break;
    }
}

static void take_signals(struct pst_supervisor *s)
{
    struct signalfd_siginfo info;
    int status;
    pid_t pid;

    while (read(s->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
        take_signal(s, &info);
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        pst_lives_ended(s, pid, status, pst_clock_monotonic_ns());
}

static void take_ready(struct pst_supervisor *s, enum pst_role role)
{
    s->lives[role].ready = true;
    if (role == PST_ROLE_DAEMON) {
        s->daemon_was_ready = true;
        s->usage_at_ns = 0;
    } else {
        pst_lives_tell_daemon(s, PST_CONTROL_UP, role, 0, 0);
    }
}

/* The filter of system calls depends on it, and none can be lifted: a new process is needed. */
static void take_native(struct pst_supervisor *s, bool native)
{
    if (native == s->native)
        return;
    s->native = native;
    pst_lives_replace(s, PST_ROLE_SAMPLE);
}

/* Whom a record is about is decided by the socket it came from, not by what it claims. */
static void take_record(struct pst_supervisor *s, enum pst_role role,
                        const struct pst_control *record)
{
    uint64_t now = pst_clock_monotonic_ns();

    if (record->kind == PST_CONTROL_READY)
        take_ready(s, role);
    else if (record->kind == PST_CONTROL_STALLED && role != PST_ROLE_DAEMON)
        pst_stalls_abandon(s, role, record, now);
    else if (record->kind == PST_CONTROL_NATIVE && role == PST_ROLE_DAEMON)
        take_native(s, record->value != 0);
    else if (record->kind == PST_CONTROL_STOP && role == PST_ROLE_DAEMON)
        pst_lives_end_all(s, (int)(record->value & 0xff), now);
}

static void take_records(struct pst_supervisor *s, enum pst_role role)
{
    struct pst_life *life = &s->lives[role];
    int control = life->control, status = 0;

    /* The record may end this role's life, and with it the socket. */
    while (status == 0 && life->control == control) {
        struct pst_control record;
        status = pst_control_receive(control, &record);
        if (status == 0)
            take_record(s, role, &record);
    }
    /* It is about to end; until then its hang-up would keep the loop awake. */
    if (status == -EPIPE) {
        (void)close(control);
        life->control = -1;
    }
}

static void report_usage(struct pst_supervisor *s, uint64_t now_ns)
{
    uint64_t cpu_ns, memory_bytes;

    if (!s->lives[PST_ROLE_DAEMON].ready || now_ns < s->usage_at_ns)
        return;
    s->usage_at_ns = now_ns + USAGE_EVERY_NS;
    pst_usage_self(&cpu_ns, &memory_bytes);
    pst_lives_tell_daemon(s, PST_CONTROL_USAGE, PST_ROLE_SUPERVISOR, cpu_ns, memory_bytes);
}

/* Steps through the phases of ending as their conditions come true. */
static void advance_ending(struct pst_supervisor *s, uint64_t now_ns)
{
    bool readers_gone = s->lives[PST_ROLE_SCAN].pid == 0 && s->lives[PST_ROLE_SAMPLE].pid == 0;
    uint64_t since = now_ns - s->ending_since_ns;

    if (s->phase == PST_PHASE_ENDING_READERS && (readers_gone || since >= READERS_END_NS)) {
        pst_lives_signal(s, PST_ROLE_SCAN, SIGKILL);
        pst_lives_signal(s, PST_ROLE_SAMPLE, SIGKILL);
        pst_lives_tell_daemon(s, PST_CONTROL_END, PST_ROLE_DAEMON,
                              s->ending_since_ns + DAEMON_END_NS, 0);
        pst_lives_signal(s, PST_ROLE_DAEMON, SIGTERM);
        s->phase = PST_PHASE_ENDING_DAEMON;
    }
    if (s->phase == PST_PHASE_ENDING_DAEMON &&
        (s->lives[PST_ROLE_DAEMON].pid == 0 || since >= DAEMON_END_NS))
        s->phase = PST_PHASE_ENDED;
}

static uint64_t next_deadline_ns(const struct pst_supervisor *s)
{
    uint64_t next = pst_lives_next_start_ns(s);

    if (s->lives[PST_ROLE_DAEMON].ready && s->usage_at_ns < next)
        next = s->usage_at_ns;
    if (s->phase == PST_PHASE_ENDING_READERS && s->ending_since_ns + READERS_END_NS < next)
        next = s->ending_since_ns + READERS_END_NS;
    if (s->phase == PST_PHASE_ENDING_DAEMON && s->ending_since_ns + DAEMON_END_NS < next)
        next = s->ending_since_ns + DAEMON_END_NS;
    return next;
}

static void wait_for_something(const struct pst_supervisor *s)
{
    struct pollfd fds[1 + PST_ROLE_COUNT];
    uint64_t now = pst_clock_monotonic_ns(), next = next_deadline_ns(s);
    struct timespec timeout = {0, 0};

    fds[0] = (struct pollfd){s->signals, POLLIN, 0};
    for (int role = 0; role < PST_ROLE_COUNT; role++)
        fds[1 + role] = (struct pollfd){s->lives[role].control, POLLIN, 0};
    if (next != UINT64_MAX && next > now) {
        timeout.tv_sec = (time_t)((next - now) / PST_NS_PER_S);
        timeout.tv_nsec = (long)((next - now) % PST_NS_PER_S);
    }
    (void)ppoll(fds, PST_ARRAY_SIZE(fds), next == UINT64_MAX ? NULL : &timeout, NULL);
}

static void run(struct pst_supervisor *s)
{
    while (s->phase != PST_PHASE_ENDED) {
        uint64_t now = pst_clock_monotonic_ns();
        pst_lives_start_due(s, now);
        report_usage(s, now);
        wait_for_something(s);
        /* Records before ends: a role may say something with its last breath. */
        for (int role = PST_ROLE_SCAN; role < PST_ROLE_COUNT; role++)
            if (s->lives[role].control >= 0)
                take_records(s, (enum pst_role)role);
        take_signals(s);
        advance_ending(s, pst_clock_monotonic_ns());
    }
}

/* Whoever is still there is killed and waited for a moment; a reader stuck in a target's memory is
 * not: nothing that it holds keeps a new agent from starting. */
static void kill_the_rest(struct pst_supervisor *s)
{
    uint64_t until = pst_clock_monotonic_ns() + LAST_REAP_NS;
    bool left = true;

    for (int role = PST_ROLE_SCAN; role < PST_ROLE_COUNT; role++)
        pst_lives_signal(s, (enum pst_role)role, SIGKILL);
    while (left && pst_clock_monotonic_ns() < until) {
        pid_t pid = waitpid(-1, NULL, WNOHANG);
        left = pid >= 0;
        if (pid == 0)
            (void)poll(NULL, 0, 5);
    }
}

static int prepare(struct pst_supervisor *s)
{
    int status = block_signals(s);

    if (status == 0)
        status = open_links(s);
    /* Before any restriction: the program runs as it would without us. */
    if (status == 0 && s->program)
        status = pst_spawn_program(s->program, &s->signal_mask, &s->program_pid);
    if (status < 0)
        return status;
    (void)prctl(PR_SET_NAME, "pystrobe", 0, 0, 0);
    status = pst_sandbox_drop(PST_ROLE_SUPERVISOR, s->program != NULL);
    if (status < 0)
        return status;
    if (pst_sandbox_filter(PST_ROLE_SUPERVISOR, false) < 0)
        pst_log_warn("no_seccomp", "the kernel offers no seccomp: roles run without it");
    /* After the restrictions: a thread has its own capabilities, and it inherits these. */
    return s->program ? pst_lend_start(s->lending[0][1], s->lending[1][1], s->program_pid) : 0;
}

int pst_roles_run_agent(char *const *daemon_argv, char *const *program)
{
    struct pst_supervisor supervisor = {.daemon_argv = daemon_argv, .program = program};

    for (int role = 0; role < PST_ROLE_COUNT; role++)
        supervisor.lives[role].control = -1;
    for (int reader = 0; reader < PST_READERS; reader++)
        supervisor.lending[reader][0] = supervisor.lending[reader][1] = -1;
    int status = prepare(&supervisor);
    if (status < 0) {
        struct pst_error error;
        (void)pst_error_set(&error, PST_EXIT_FAILED, NULL, NULL, "cannot start the agent: %s",
                            strerror(-status));
        pst_error_print(stderr, &error);
        supervisor.exit_code = PST_EXIT_FAILED;
    } else {
        run(&supervisor);
    }
    kill_the_rest(&supervisor);
    return supervisor.exit_code;
}
