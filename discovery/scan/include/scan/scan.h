/* Finds every process that carries a CPython runtime, and keeps finding: children, exec, exit.
 * One thread per object. Reads only /proc, ELF files and target memory; keeps no target open but
 * by its pidfd. Any call here may block on a hostile target for ever: run it where it can be
 * abandoned, and see `watch`. */
#ifndef PST_SCAN_SCAN_H
#define PST_SCAN_SCAN_H

#include <stdatomic.h>

#include "scan/facts.h"

struct pst_buf;
struct pst_scan;

enum pst_scan_event {
    PST_SCAN_NEW,     /* first sight of this id, in whatever state */
    PST_SCAN_CHANGED, /* state, environment or parent differ from the last event */
    PST_SCAN_GONE,    /* state GONE; reason "gone" or "exec". The last event of this id */
};

/* What the scan is busy with, for a watchdog in another thread or process: sequence is odd while
 * inside something that a target could make wait; pid and start_ticks say whose. */
struct pst_scan_watch {
    _Atomic uint64_t sequence;
    _Atomic uint64_t start_ticks;
    _Atomic int32_t pid;
};

struct pst_scan_options {
    /* Unknown programs younger than this wait for a later run; not in the first run, not children
     * of a target, not programs already known to carry a runtime. */
    uint64_t min_age_ns;
    /* Ids count up from here; 0 takes one from the clock, above those of any earlier scan. */
    uint64_t first_id;
    /* Events; facts and their text live until the call returns (copy them). */
    void (*emit)(void *context, enum pst_scan_event event, const struct pst_facts *facts);
    /* One variable of the interpreter's own os.environ: bytes written (NUL-terminated) into dst
     * and 0, -ENOENT when it is not there, other -errno when it cannot be read. Asked only when the
     * environment block was overwritten. May be NULL. */
    int (*interpreter_environ)(void *context, const struct pst_facts *facts, const char *name,
                               char *dst, size_t size);
    /* The arguments that the interpreter was started with, each followed by NUL: appended to out as
     * far as they fit. 0 or -errno. Asked with the environment. May be NULL. */
    int (*interpreter_arguments)(void *context, const struct pst_facts *facts, struct pst_buf *out);
    void *context;
    struct pst_scan_watch *watch; /* may be NULL */
};

/* NULL when out of memory. */
struct pst_scan *pst_scan_new(const struct pst_scan_options *options);
struct pst_scan *pst_scan_free(struct pst_scan *scan);

/* As pst_scan_options.min_age_ns, for the runs to come. */
void pst_scan_set_min_age(struct pst_scan *scan, uint64_t min_age_ns);

/* Looks at every process; call it once an interval. 0 or -errno when /proc cannot be listed. */
int pst_scan_run(struct pst_scan *scan);
/* Cheap, for every 50 ms: new children of targets, interpreters that were not up yet, exits, and
 * in turn exec. 0 or -errno. */
int pst_scan_tick(struct pst_scan *scan);

/* Looks at one process at once, whatever its age. 0 and the facts (valid until the next call on
 * this scan) when it is a target, in whatever state; -ENOENT when it carries no CPython runtime;
 * -ESRCH gone; -EPERM when its maps are refused. */
int pst_scan_one(struct pst_scan *scan, pid_t pid, const struct pst_facts **ret);
/* Of a process without a CPython runtime: which other Python it runs ("PyPy"), NULL for none that
 * is known. A static text. */
const char *pst_scan_other(pid_t pid);
/* Never touches this process (again): it made a reader wait. A target of that identity becomes
 * FAILED with reason "stalled". */
int pst_scan_refuse(struct pst_scan *scan, pid_t pid, uint64_t start_ticks);

size_t pst_scan_count(const struct pst_scan *scan);
/* Targets in no order: start with *cursor = 0. Facts live until the next run, tick or one. */
bool pst_scan_next(const struct pst_scan *scan, size_t *cursor, const struct pst_facts **ret);
const struct pst_facts *pst_scan_get(const struct pst_scan *scan, uint64_t id);

struct pst_scan_stats {
    uint64_t processes;       /* seen in the last run */
    uint64_t denied;          /* whose maps were refused in the last run */
    pid_t denied_pid;         /* one of them */
    uint64_t maps_read;       /* since the scan was made, as below */
    uint64_t elf_read;        /* files looked into */
    uint64_t elf_cached;      /* answered from the cache */
    uint64_t refused_targets; /* past PST_MAX_TARGETS */
    uint64_t last_run_ns;
};
void pst_scan_stats(const struct pst_scan *scan, struct pst_scan_stats *ret);

#endif
