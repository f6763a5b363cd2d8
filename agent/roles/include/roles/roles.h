/* The four processes of `pystrobe agent` (design 3.1): who they are, how they are started, and what
 * the supervisor tells the daemon. One binary; a role is chosen by a hidden verb. */
#ifndef PST_ROLES_ROLES_H
#define PST_ROLES_ROLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* PST_ROLE(ID, word): the word names the process, the verb (`__WORD`) and the metrics' label. */
#define PST_ROLES(X)                                                                               \
    X(SUPERVISOR, "supervisor") X(SCAN, "scan") X(SAMPLE, "sample") X(DAEMON, "daemon")

enum pst_role {
#define PST_ROLE(id, word) PST_ROLE_##id,
    PST_ROLES(PST_ROLE)
#undef PST_ROLE
        PST_ROLE_COUNT
};
const char *pst_role_word(enum pst_role role);

/* Runs the agent in this process, which becomes the supervisor: starts the roles (and the program,
 * when there is one), keeps them running, and returns the exit code when all have ended.
 * daemon_argv: NULL-terminated, handed to the daemon as it is (--config FILE and so on), not looked
 * at here. program: NULL-terminated argv of `-- PROGRAM`, or NULL. */
int pst_roles_run_agent(char *const *daemon_argv, char *const *program);

/* True for a hidden verb; main asks before it parses a command line. */
bool pst_role_is_verb(const char *verb);
/* The role's main. argv[0] is the verb, then the role's arguments. Returns the exit code. */
int pst_role_main(const char *verb, int argc, char **argv);

/* Descriptors that a role finds open at its start. Both links live as long as the agent: what was
 * sent while an end was restarting waits in the socket. */
enum {
    PST_FD_CONTROL = 3, /* all roles: struct pst_control records from and to the supervisor */
    PST_FD_FACTS = 4,   /* scan reader and daemon: facts up, plan (discovery) down */
    PST_FD_WINDOWS = 5, /* sample reader and daemon: windows up, plan (sampling) down */
    PST_FD_TABLE = 6,   /* scan reader (read-write), sample reader (read-only) */
    PST_FD_MEMORY = 7,  /* readers of an agent with a program: lend.h */
    PST_FD_FIRST_FREE = 8,
};

/* What travels on the control socket, one record per datagram. */
enum pst_control_kind {
    PST_CONTROL_READY =
        1,               /* role to supervisor: started and at work; from the daemon: configured */
    PST_CONTROL_STALLED, /* reader to supervisor, then supervisor to daemon: see below */
    PST_CONTROL_SKIP,    /* supervisor to a new reader: never touch this target */
    PST_CONTROL_RESTARTED, /* supervisor to daemon: role started again; value: how often so far */
    PST_CONTROL_DOWN,      /* supervisor to daemon: role is not running; value: ms until it is tried
                              again, 0 when that waits for an abandoned reader to end */
    PST_CONTROL_UP,        /* supervisor to daemon: role is running (again) */
    PST_CONTROL_ABANDONED, /* supervisor to daemon: value: abandoned readers that still exist */
    PST_CONTROL_USAGE,     /* supervisor to daemon, every 5 s: value: own CPU in ns, extra: bytes */
    PST_CONTROL_NATIVE,    /* daemon to supervisor: value: 1 when threads may be stopped for native
                            * frames, else 0, as before the first record */
    PST_CONTROL_STOP,      /* daemon to supervisor: end the agent in order; value: exit code */
    PST_CONTROL_END, /* supervisor to daemon, before SIGTERM: value: CLOCK_MONOTONIC ns at which it
                      * will be killed */
    PST_CONTROL_KIND_COUNT,
};

/* Of STALLED and SKIP: for the sample reader value is the target id; for the scan reader value is
 * the pid and extra its start_ticks. STALLED, RESTARTED, DOWN and ABANDONED are repeated to a
 * daemon that starts again, so that it knows what its predecessor knew. */
struct pst_control {
    uint32_t kind, role; /* enum pst_control_kind, enum pst_role: whom it is about */
    uint64_t value, extra;
};

/* Never waits. 0; -EAGAIN; -EPIPE and others. */
int pst_control_send(int fd, const struct pst_control *record);
/* 0 and a record whose kind and role are in range; -EAGAIN none there; -EPIPE the peer has gone.
 * Records that are not one are skipped. */
int pst_control_receive(int fd, struct pst_control *ret);

/* ---- the daemon's side; daemon.c implements it ---- */

/* Runs in the daemon process, restricted already, with the full environment and the fds above. It
 * sends READY when its configuration is in force; ending with a code before that ends the agent
 * with the same code. On SIGTERM or SIGINT both readers have already sent what they had: it
 * empties the links, delivers, and returns within 4 s. SIGHUP: reload. */
int pst_daemon_run(int argc, char **argv);

#endif
