/* The lives of the three other roles: starts, ends, and what the daemon hears of them. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "spawn.h"
#include "supervisor.h"

#define RETRY_NS PST_NS_PER_S

void pst_lives_tell_daemon(struct pst_supervisor *s, enum pst_control_kind kind, enum pst_role role,
                           uint64_t value, uint64_t extra)
{
    struct pst_control record = {kind, role, value, extra};

    /* A daemon that does not read is told everything that lasts when it is started again. */
    if (s->lives[PST_ROLE_DAEMON].control >= 0)
        (void)pst_control_send(s->lives[PST_ROLE_DAEMON].control, &record);
}

void pst_lives_signal(struct pst_supervisor *s, enum pst_role role, int number)
{
    if (s->lives[role].pid > 0)
        (void)kill(s->lives[role].pid, number);
}

/* Tells a new process what its predecessors learned. It lies in the socket before the start. */
static void brief(const struct pst_supervisor *s, enum pst_role role, int control)
{
    pst_stalls_brief(s, role, control);
    for (int other = PST_ROLE_SCAN; role == PST_ROLE_DAEMON && other < PST_ROLE_COUNT; other++) {
        const struct pst_life *life = &s->lives[other];
        uint64_t restarts = life->starts > 0 ? life->starts - 1 : 0;
        if (other == PST_ROLE_DAEMON)
            restarts = life->starts;
        struct pst_control record = {PST_CONTROL_RESTARTED, (uint32_t)other, restarts, 0};
        if (restarts > 0)
            (void)pst_control_send(control, &record);
        record = (struct pst_control){PST_CONTROL_UP, (uint32_t)other, 0, 0};
        if (life->pid > 0 && life->ready)
            (void)pst_control_send(control, &record);
    }
}

/* Words after a reader's verb. */
static char *native_words[] = {(char[]){PST_WORD_NATIVE}, NULL};

static int start_with(struct pst_supervisor *s, enum pst_role role, int control, pid_t *ret_pid)
{
    struct pst_spawn spawn = {.role = role, .signal_mask = &s->signal_mask};

    for (size_t i = 0; i < PST_FD_FIRST_FREE; i++)
        spawn.fds[i] = -1;
    spawn.fds[PST_FD_CONTROL] = control;
    if (role == PST_ROLE_SCAN) {
        spawn.fds[PST_FD_FACTS] = s->facts[0];
        spawn.fds[PST_FD_TABLE] = s->table_rw;
        spawn.fds[PST_FD_MEMORY] = s->lending[0][0];
    } else if (role == PST_ROLE_SAMPLE) {
        spawn.fds[PST_FD_WINDOWS] = s->windows[0];
        spawn.fds[PST_FD_TABLE] = s->table_ro;
        spawn.arguments = s->native ? native_words : NULL;
        spawn.fds[PST_FD_MEMORY] = s->lending[1][0];
    } else {
        spawn.fds[PST_FD_FACTS] = s->facts[1];
        spawn.fds[PST_FD_WINDOWS] = s->windows[1];
        spawn.arguments = s->daemon_argv;
    }
    return pst_spawn_role(&spawn, ret_pid);
}

static void start(struct pst_supervisor *s, enum pst_role role, uint64_t now_ns)
{
    struct pst_life *life = &s->lives[role];
    int pair[2], status;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
        status = -errno;
    } else {
        brief(s, role, pair[0]);
        status = start_with(s, role, pair[1], &life->pid);
        (void)close(pair[1]);
        if (status < 0)
            (void)close(pair[0]);
    }
    if (status < 0) {
        pst_log_error("role_start", "cannot start the %s role: %s", pst_role_word(role),
                      strerror(-status));
        life->pid = 0;
        life->start_at_ns = now_ns + RETRY_NS;
        return;
    }
    life->control = pair[0];
    life->ready = life->replaced = false;
    life->started_ns = now_ns;
    life->start_at_ns = UINT64_MAX;
    if (life->starts++ > 0)
        pst_lives_tell_daemon(s, PST_CONTROL_RESTARTED, role, life->starts - 1, 0);
}

void pst_lives_replace(struct pst_supervisor *s, enum pst_role role)
{
    if (s->phase != PST_PHASE_RUNNING || s->lives[role].pid == 0)
        return;
    s->lives[role].replaced = true;
    pst_lives_signal(s, role, SIGTERM);
}

void pst_lives_start_due(struct pst_supervisor *s, uint64_t now_ns)
{
    for (int role = PST_ROLE_SCAN; role < PST_ROLE_COUNT && s->phase == PST_PHASE_RUNNING; role++)
        if (s->lives[role].pid == 0 && s->lives[role].start_at_ns <= now_ns)
            start(s, (enum pst_role)role, now_ns);
}

uint64_t pst_lives_next_start_ns(const struct pst_supervisor *s)
{
    uint64_t next = UINT64_MAX;

    for (int role = PST_ROLE_SCAN; role < PST_ROLE_COUNT && s->phase == PST_PHASE_RUNNING; role++)
        if (s->lives[role].pid == 0 && s->lives[role].start_at_ns < next)
            next = s->lives[role].start_at_ns;
    return next;
}

void pst_lives_leave(struct pst_supervisor *s, enum pst_role role, uint64_t start_at_ns)
{
    struct pst_life *life = &s->lives[role];
    uint64_t now = pst_clock_monotonic_ns(), wait_ms = 0;

    if (life->control >= 0)
        (void)close(life->control);
    life->control = -1;
    life->pid = 0;
    life->ready = false;
    life->start_at_ns = start_at_ns;
    if (start_at_ns != UINT64_MAX && start_at_ns > now)
        wait_ms = (start_at_ns - now) / PST_NS_PER_MS;
    pst_lives_tell_daemon(s, PST_CONTROL_DOWN, role, wait_ms, 0);
}

static void log_end(enum pst_role role, int status, uint64_t delay_ns)
{
    const char *how = WIFSIGNALED(status) ? "signal" : "status";
    int number = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);

    pst_log_warn("role_ended", "the %s role ended with %s %d, starting again in %llu ms",
                 pst_role_word(role), how, number, (unsigned long long)(delay_ns / PST_NS_PER_MS));
}

/* Only a daemon that was never configured may end the agent by ending: what it says then (a wrong
 * setting, an address in use) is for the person who started it. */
static bool ends_agent(const struct pst_supervisor *s, enum pst_role role, int status)
{
    return role == PST_ROLE_DAEMON && WIFEXITED(status) &&
           (!s->daemon_was_ready || WEXITSTATUS(status) == PST_EXIT_OK);
}

static void role_ended(struct pst_supervisor *s, enum pst_role role, int status, uint64_t now_ns)
{
    struct pst_life *life = &s->lives[role];
    struct pst_restart_end end = {
        .lived_ns = now_ns - life->started_ns,
        .was_ready = life->ready,
        .by_itself = !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL,
    };

    if (s->phase != PST_PHASE_RUNNING) {
        if (role == PST_ROLE_DAEMON && WIFEXITED(status) && s->exit_code == PST_EXIT_OK)
            s->exit_code = WEXITSTATUS(status);
        pst_lives_leave(s, role, UINT64_MAX);
        return;
    }
    if (ends_agent(s, role, status)) {
        pst_lives_leave(s, role, UINT64_MAX);
        pst_lives_end_all(s, WEXITSTATUS(status), now_ns);
        return;
    }
    if (life->replaced) {
        life->starts--; /* no restart to speak of */
        pst_lives_leave(s, role, now_ns);
        return;
    }
    uint64_t delay_ns = pst_restart_delay_ns(&life->restart, &end);
    log_end(role, status, delay_ns);
    pst_lives_leave(s, role, now_ns + delay_ns);
}

void pst_lives_ended(struct pst_supervisor *s, pid_t pid, int status, uint64_t now_ns)
{
    if (pid == s->program_pid) {
        s->program_pid = 0;
        pst_lives_end_all(s, WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status),
                          now_ns);
        return;
    }
    if (pst_stalls_reaped(s, pid, now_ns))
        return;
    for (int role = PST_ROLE_SCAN; role < PST_ROLE_COUNT; role++)
        if (s->lives[role].pid == pid)
            role_ended(s, (enum pst_role)role, status, now_ns);
}

void pst_lives_end_all(struct pst_supervisor *s, int exit_code, uint64_t now_ns)
{
    if (s->phase != PST_PHASE_RUNNING)
        return;
    s->phase = PST_PHASE_ENDING_READERS;
    s->ending_since_ns = now_ns;
    s->exit_code = exit_code;
    pst_lives_signal(s, PST_ROLE_SCAN, SIGTERM);
    pst_lives_signal(s, PST_ROLE_SAMPLE, SIGTERM);
}
