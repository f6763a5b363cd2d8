/* What discovery and sampling say about every Python process, as an immutable, reference-counted
 * snapshot: made by the daemon's loop, read by the server's threads and by `ps`. */
#ifndef PST_SERVER_TARGETS_H
#define PST_SERVER_TARGETS_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#include "labels/meta.h"
#include "profile/labels.h"

/* Strings are malloc'ed and owned by the snapshot; NULL reads as "". */
struct pst_target_row {
    uint64_t id;
    pid_t pid, parent;
    uint64_t start_ticks;
    char *service, *version, *second_version, *build, *exe, *command, *container;
    char *state;    /* "active", "waiting", "skipped", "failed", "gone" */
    char *reason;   /* why, when not active */
    double rate_hz; /* achieved over the last window; 0 before */
    uint32_t threads;
    struct pst_meta *before;  /* every label that rules saw; may be NULL */
    struct pst_labels *after; /* what is sent; NULL: nothing */
    char *why;                /* a line for each source and rule that decided */
    uint64_t samples, torn, failed, trimmed, retried, late;
    int64_t last_sample_ns; /* realtime; 0: none */
    double cpu_ratio;       /* of one core over the last window */
};

struct pst_target_snapshot {
    atomic_uint references;
    int64_t taken_ns; /* realtime */
    size_t count;
    struct pst_target_row *rows;
};

/* count zeroed rows, reference count 1; NULL when out of memory. Fill, publish, never change. */
struct pst_target_snapshot *pst_target_snapshot_new(size_t count);
struct pst_target_snapshot *pst_target_snapshot_ref(struct pst_target_snapshot *snapshot);
/* Frees rows, strings and labels with the last reference. Accepts NULL; returns NULL. */
struct pst_target_snapshot *pst_target_snapshot_unref(struct pst_target_snapshot *snapshot);

#endif
