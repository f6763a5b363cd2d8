/* The program that `record` or `top` starts, and the signals of both. */
#ifndef PST_COMMANDS_RECORD_PROGRAM_H
#define PST_COMMANDS_RECORD_PROGRAM_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "session/hush.h"
#include "session/launch.h"

enum pst_record_capture {
    PST_CAPTURE_NOTHING,
    PST_CAPTURE_OUTPUT,   /* stdout and stderr are heard of only when it fails */
    PST_CAPTURE_TERMINAL, /* what would go to the terminal waits until the end; stdin is none */
};

struct pst_record_program {
    struct pst_launch launch; /* pid 0: only processes that were there already */
    bool held;                /* forked, not yet let go */
    bool ended;
    int exit_code;
    struct pst_hush hush;
    enum pst_record_capture capture;

    int signals; /* signalfd */
    sigset_t mask;
    struct sigaction child;
    unsigned interrupts; /* how often somebody at a keyboard wanted the end */
    uint64_t overdue_ns; /* when a program that was told to end should have; 0: it was not */
    bool asked;          /* whether anybody wanted the end */
};

/* Takes the signals that matter off the process: for a program those that are passed on to it, else
 * those that end a recording. Before any thread starts. 0 or -errno. */
int pst_record_signals(struct pst_record_program *program, bool with_program);
/* Forks; pst_launch_go on program->launch lets it run. */
int pst_record_program_hold(struct pst_record_program *program, char *const *argv,
                            enum pst_record_capture capture);

/* Handles what has arrived, waiting for it up to timeout_ms. */
void pst_record_signals_take(struct pst_record_program *program, int timeout_ms);
/* True when the recording shall end now: a first signal without a program; with one, a second, or
 * some seconds after a SIGTERM that it does not follow. */
bool pst_record_interrupted(const struct pst_record_program *program);
/* Signals that end a recording end the process again: nothing is left to be saved. */
void pst_record_signals_release(void);
/* Waits for the end of the program, passing signals on, or ends one that was never let run. Its
 * exit code when that is a failure, else ours, which is `code`. */
int pst_record_program_finish(struct pst_record_program *program, int code);

#endif
