/* One run of `pystrobe top`. */
#ifndef PST_COMMANDS_TOP_H
#define PST_COMMANDS_TOP_H

#include "base/buf.h"
#include "live/screen.h"
#include "options.h"
#include "record_program.h"
#include "session/packages.h"
#include "session/session.h"

struct pst_top_args {
    struct pst_option_pids pids;
    const char *mode;
    uint64_t rate, delay_ns;
    bool subprocesses, idle, gil, full_filenames, once, json, nonblocking, native, class_names;
};

struct pst_top_run {
    struct pst_top_args args;
    enum pst_mode mode;
    char *const *program_argv; /* NULL: processes that run already */
    struct pst_record_program program;
    struct pst_session *session;
    struct pst_packages *packages;
    struct pst_live *live;
    struct pst_live_view view;
    struct pst_screen *screen; /* NULL: --once */

    struct pst_session_interval last; /* numbers only */
    uint64_t intervals, last_ns, programs, exec_ns;
    bool had_programs; /* at the last interval */
    bool ended, stalled;
};

/* What there is to say besides numbers, as one word for scripts. */
enum pst_top_state {
    PST_TOP_RUNNING,
    PST_TOP_IDLE,    /* no thread ran in the last interval */
    PST_TOP_WAITING, /* no Python yet */
    PST_TOP_EXEC,    /* another program runs in the process now */
    PST_TOP_GONE,    /* it runs, but no Python any more */
    PST_TOP_REFUSED, /* cannot be read */
    PST_TOP_STALLED, /* its memory does not answer */
    PST_TOP_ENDED,
};
enum pst_top_state pst_top_state(const struct pst_top_run *top, uint64_t now_ns);

/* top_run.c: samples and shows until somebody or something ends it. The session has started. */
void pst_top_watch(struct pst_top_run *top);
void pst_top_once(struct pst_top_run *top);
/* struct pst_session_options.interval; the context is a struct pst_top_run. */
void pst_top_interval(void *context, const struct pst_session_interval *interval);
/* "process 12 \"python a.py\"" */
void pst_top_title(const struct pst_top_run *top, struct pst_buf *out);

/* top_print.c: one table on standard output. 0 or -errno. */
int pst_top_print(const struct pst_top_run *top);

#endif
