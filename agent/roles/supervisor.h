/* State shared by the supervisor's files: the loop (supervisor.c), the roles' lives (lives.c) and
 * the readers left behind (stalls.c). */
#ifndef PST_ROLES_SUPERVISOR_H
#define PST_ROLES_SUPERVISOR_H

#include <signal.h>
#include <sys/types.h>

#include "base/limits.h"
#include "restart.h"
#include "roles/roles.h"

enum { PST_READERS = 2 }; /* PST_ROLE_SCAN, PST_ROLE_SAMPLE */

enum { PST_SKIPS_KEPT = 128, PST_STUCK_KEPT = 2 * PST_MAX_ABANDONED_READERS };

struct pst_life {
    pid_t pid;   /* 0 while the role is not running */
    int control; /* our end; -1 while the role is not running */
    bool ready;
    bool replaced; /* told to end, so that another one takes its place */
    uint64_t started_ns, start_at_ns;
    uint64_t starts;
    struct pst_restart restart;
};

/* Targets that stalled a reader: none of its successors touches them again. */
struct pst_skips {
    struct pst_control records[PST_SKIPS_KEPT]; /* the oldest goes first */
    size_t count, next;
};

struct pst_stuck {
    pid_t pid;
    enum pst_role role;
};

enum pst_phase {
    PST_PHASE_RUNNING,
    PST_PHASE_ENDING_READERS, /* they ship what they have */
    PST_PHASE_ENDING_DAEMON,  /* it delivers what it has */
    PST_PHASE_ENDED,
};

struct pst_supervisor {
    char *const *daemon_argv;
    char *const *program;
    sigset_t signal_mask;     /* as the agent was started */
    int signals;              /* signalfd */
    int facts[2], windows[2]; /* [0]: the reader's end, [1]: the daemon's */
    int table_rw, table_ro;
    int lending[PST_READERS]
               [2]; /* [0]: the reader's end, [1]: the lender's; -1 without a program */
    struct pst_life lives[PST_ROLE_COUNT];
    struct pst_skips skips[PST_ROLE_COUNT];
    struct pst_stuck stuck[PST_STUCK_KEPT]; /* killed, but still there */
    size_t stuck_count;
    pid_t program_pid;
    bool daemon_was_ready;
    bool native; /* the sample reader may stop threads */
    enum pst_phase phase;
    uint64_t ending_since_ns, usage_at_ns;
    int exit_code;
};

/* lives.c */
void pst_lives_start_due(struct pst_supervisor *s, uint64_t now_ns);
/* When the next role is to be started; UINT64_MAX: none waits. */
uint64_t pst_lives_next_start_ns(const struct pst_supervisor *s);
/* waitpid's status of a child that was none of ours to know is ignored. */
void pst_lives_ended(struct pst_supervisor *s, pid_t pid, int status, uint64_t now_ns);
/* Ends the role's process in order and starts another. */
void pst_lives_replace(struct pst_supervisor *s, enum pst_role role);
/* The role's process is no longer the role: it is started again (after delay_ns) unless ending. */
void pst_lives_leave(struct pst_supervisor *s, enum pst_role role, uint64_t start_at_ns);
void pst_lives_tell_daemon(struct pst_supervisor *s, enum pst_control_kind kind, enum pst_role role,
                           uint64_t value, uint64_t extra);
void pst_lives_signal(struct pst_supervisor *s, enum pst_role role, int number);
/* Begins to end the agent in order. Further calls change nothing. */
void pst_lives_end_all(struct pst_supervisor *s, int exit_code, uint64_t now_ns);

/* stalls.c */
void pst_stalls_abandon(struct pst_supervisor *s, enum pst_role role,
                        const struct pst_control *stalled, uint64_t now_ns);
/* True when the process was an abandoned one. */
bool pst_stalls_reaped(struct pst_supervisor *s, pid_t pid, uint64_t now_ns);
bool pst_stalls_room(const struct pst_supervisor *s);
/* Everything that a new process of the role must know of stalls. */
void pst_stalls_brief(const struct pst_supervisor *s, enum pst_role role, int control);

#endif
