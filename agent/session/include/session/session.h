/* One recording in this process: finds the runtimes of some processes (with their whole trees when
 * asked), samples them and merges every window into one profile. Owns no file, no terminal, no
 * signal.
 *
 * Targets are read by a thread of its own, so that one whose memory does not answer can be left
 * behind; everything here is called by one other thread. */
#ifndef PST_SESSION_SESSION_H
#define PST_SESSION_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/str.h"
#include "native/native.h"
#include "profile/profile.h"
#include "python/python.h"

struct pst_session;

/* What all processes together showed in one window, for somebody who watches. */
struct pst_session_interval {
    int64_t elapsed_ns;                                 /* length of the window */
    const struct pst_profile *profiles[PST_MODE_COUNT]; /* NULL: nothing of that mode */
    size_t processes;                                   /* that could be read */
    uint64_t threads, ticks, torn, failed, late;
};

struct pst_session_options {
    enum pst_mode mode;
    double hz;
    bool native;       /* C frames too: stops a thread for each sample of it */
    bool class_names;  /* methods as CLASS.NAME on versions without qualified names */
    bool subprocesses; /* all descendants too, those that come later included */
    bool times;        /* samples carry the label start, for formats with a time line */

    /* For watching instead of recording: called by pst_session_step and pst_session_stop after each
     * window, and the result's profile stays empty. NULL: a recording. */
    void (*interval)(void *context, const struct pst_session_interval *interval);
    void *context;
    unsigned more_modes; /* bit i: enum pst_mode i besides mode; only for watching */
    uint64_t window_ns;  /* of a watch; at least 100 ms */
};

/* NULL when out of memory. */
struct pst_session *pst_session_new(const struct pst_session_options *options);
/* After pst_session_stop, when it was started. A reading thread that was left behind keeps what it
 * holds until the process ends. */
struct pst_session *pst_session_free(struct pst_session *session);

/* A running process to record. 0; -ESRCH no such process; -ENOENT no CPython (with subprocesses:
 * nor any descendant yet); -EPERM refused; -ENOTSUP gil mode on a free-threaded build; -EIO cannot
 * be read, *ret_verdict says why; -ENOSPC too many; -ENOMEM. Before start. */
int pst_session_add(struct pst_session *session, pid_t pid, enum pst_verdict *ret_verdict);
/* A program that was just started by the caller: it may become a Python later. 0, -ESRCH, -ENOSPC.
 */
int pst_session_add_started(struct pst_session *session, pid_t pid);

/* 0 or -errno. */
int pst_session_start(struct pst_session *session);
/* Merges what is there, waiting up to timeout_ms. False when the recording has ended by itself:
 * every process that was added is gone, or one does not answer. */
bool pst_session_step(struct pst_session *session, int timeout_ms);
/* Ends sampling and merges the rest; what is left of a window that was watched is handed over. */
void pst_session_stop(struct pst_session *session);

/* For progress while it runs: counted as the result does. */
struct pst_session_progress {
    uint64_t samples; /* of the mode, in all of the profile */
    uint64_t torn, failed;
    double achieved_hz;
    size_t processes;         /* Python processes that are sampled now */
    uint64_t programs;        /* Python programs that were seen; one more after an exec */
    bool ended;               /* every process that was added is gone */
    bool free_threaded;       /* gil mode was asked for besides and a build without GIL was met */
    enum pst_verdict refused; /* of the last process that could not be read; else OK */
};
struct pst_session_progress pst_session_progress(const struct pst_session *session);

/* What came of it; after stop. Lives as long as the session. */
struct pst_session_result {
    const struct pst_profile *profile; /* never NULL, perhaps without samples */
    uint64_t ticks;                    /* times at which a process was due */
    uint64_t torn, failed, late;
    uint64_t lost;            /* windows that did not fit into the profile */
    double achieved_hz;       /* ticks of one process per second; 0 when there was none */
    size_t runtimes;          /* Python programs that were seen, read or not */
    size_t unrecorded;        /* Python descendants left out because subprocesses was not set */
    enum pst_verdict verdict; /* of the last process that could not be read at all; else OK */
    enum pst_verdict failure; /* the most frequent reason of failed samples; OK when none failed */
    bool stalled;             /* a target's memory did not answer */
    struct pst_native_stats native; /* all zero without native frames */
    bool gil_of_free_threaded;      /* gil mode met a free-threaded build */
};
void pst_session_result(const struct pst_session *session, struct pst_session_result *ret);

/* Masked command line of a process that was seen running a Python; lives as long as the session.
 * False when unknown. */
bool pst_session_command(const struct pst_session *session, pid_t pid, struct pst_str *ret);
/* Its nearest ancestor that was seen so before it; 0: none. */
pid_t pst_session_parent(const struct pst_session *session, pid_t pid);

#endif
