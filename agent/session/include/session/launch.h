/* Starting the program to record: its standard streams, limits, signal mask and dispositions are
 * what pystrobe was started with. Under sudo it runs as the user who called sudo, with that user's
 * home. */
#ifndef PST_SESSION_LAUNCH_H
#define PST_SESSION_LAUNCH_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct pst_launch {
    pid_t pid;
    int go, status; /* pipes; -1 when done with */
};

struct pst_launch_options {
    const sigset_t *mask;          /* signal mask for the program */
    const struct sigaction *child; /* its disposition of SIGCHLD */
    int capture;                   /* descriptor for its stdout and stderr; -1: kept as they are */
    bool terminal_only; /* capture only what is a terminal; a stdin that is one becomes empty */
};

/* The user behind sudo; false when we are not root or nobody is. */
struct pst_launch_user {
    uid_t uid;
    gid_t gid;
    const char *name;
};
bool pst_launch_invoker(struct pst_launch_user *ret);

/* Forks; the child waits for pst_launch_go before it becomes the program. 0 or -errno. */
int pst_launch_hold(char *const *argv, const struct pst_launch_options *options,
                    struct pst_launch *ret);
/* Lets it exec and waits until that has happened. 0, or -errno of the exec: the child has then
 * ended with 127. */
int pst_launch_go(struct pst_launch *launch);
/* Ends a child that was never let go, and reaps it. */
void pst_launch_cancel(struct pst_launch *launch);

/* The shell's word for a wait status: the exit code, or 128 and the signal. */
int pst_launch_exit_code(int wait_status);

#endif
