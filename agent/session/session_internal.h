/* What the files of a session share. Members say which thread they belong to. */
#ifndef PST_SESSION_INTERNAL_H
#define PST_SESSION_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/limits.h"
#include "kin.h"
#include "programs.h"
#include "sampler/sampler.h"
#include "scan/scan.h"
#include "session/session.h"
#include "target/procfs.h"

/* A process that was named. */
struct root {
    pid_t pid;
    uint64_t start_ticks;
    bool started; /* by our caller: all of its life is recorded */
    bool ended, runtime;
    /* Which program it runs: an exec changes one of them. Since when. */
    uint64_t start_stack;
    char comm[sizeof(((struct pst_stat *)NULL)->comm)];
    uint64_t program_ns;
    uint64_t next_ns;
    unsigned tries;
};

struct pst_session {
    struct pst_session_options options;
    struct pst_scan *scan;
    struct pst_scan_watch watch;
    struct pst_sampler *sampler;
    struct pst_kin *kin;
    struct root roots[PST_MAX_OPTION_VALUES];
    size_t root_count;

    pthread_t thread;
    _Atomic pid_t tid; /* of that thread */
    bool running;
    int wake;
    _Atomic bool stop, finished, stalled;

    /* Reading thread. */
    bool changed; /* what there is to sample */
    uint64_t begin_ns, begin_realtime_ns;
    struct pst_sampler_target *plan;

    /* Both. */
    struct pst_programs *programs;
    _Atomic size_t unrecorded, runtimes;
    _Atomic size_t planned;
    _Atomic bool gil_of_free_threaded, without_gil;
    _Atomic int refused; /* enum pst_verdict of a process that the scan could not read */

    /* The other thread. */
    struct pst_profile *profile;
    struct pst_profile *window[PST_MODE_COUNT]; /* of a watch: what its open interval has so far */
    struct pst_session_interval interval;
    uint64_t ticks, torn, failed, late, lost;
    int64_t sampled_ns;
    uint64_t verdicts[PST_VERDICT_COUNT];
    enum pst_verdict verdict;
    uint64_t seen_sequence, seen_since_ns;
};

/* session_add.c. NULL when it was not named. */
struct root *pst_session_root(struct pst_session *session, pid_t pid);
/* Attaches once, to say at once what stands in the way. An interpreter that is not up yet is none
 * of it. *ret_gil_off: there is no GIL whose holder could be named. */
enum pst_verdict pst_session_probe(const struct pst_facts *facts, bool *ret_gil_off);

/* session_look.c: the reading thread's function, and struct pst_scan_options.emit; the context is
 * the session. */
void *pst_session_read_targets(void *context);
void pst_session_on_scan(void *context, enum pst_scan_event event, const struct pst_facts *facts);

/* session_windows.c: struct pst_sampler_hooks of the other thread. */
void pst_session_on_window(void *context, const struct pst_sampler_window *window,
                           struct pst_profile *const profiles[PST_MODE_COUNT]);
void pst_session_on_window_end(void *context, uint64_t sequence);

#endif
