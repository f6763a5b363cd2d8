/* The three messages between roles (design 3.1): facts up, plan down, window up. Encoding and
 * decoding are pure functions of bytes; every number that comes in is checked against a bound,
 * since either end may have been taken over by what it reads. */
#ifndef PST_ROLES_LINK_H
#define PST_ROLES_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/limits.h"
#include "sampler/sampler.h"
#include "scan/facts.h"
#include "scan/scan.h"

/* ---- facts: scan reader to daemon ---- */

enum pst_link_facts_kind {
    PST_LINK_FACT, /* one event of one target */
    PST_LINK_SCAN, /* a full scan ended */
};

struct pst_link_scan {
    uint64_t processes, denied, refused_targets; /* as in pst_scan_stats */
    uint64_t last_run_ns;
    uint64_t runs;         /* full scans since this reader started */
    uint64_t cpu_ns;       /* of the reader, since it started */
    uint64_t memory_bytes; /* its PSS, 0 when unknown */
};

struct pst_link_facts {
    enum pst_link_facts_kind kind;
    enum pst_scan_event event; /* PST_LINK_FACT */
    /* Ids are the target table's: parent_id is 0 or such an id. */
    struct pst_facts facts;
    struct pst_link_scan scan; /* PST_LINK_SCAN */
    void *owner;               /* holds the text after decoding */
};

/* Replaces out's content. Texts beyond their bound are cut (argv and env at an end of an entry).
 * 0 or -ENOMEM. */
int pst_link_facts_encode(const struct pst_link_facts *facts, struct pst_buf *out);
/* 0 and *ret, to be released with done; -EBADMSG for anything that the encoder never writes. */
int pst_link_facts_decode(const void *data, size_t len, struct pst_link_facts *ret);
void pst_link_facts_done(struct pst_link_facts *facts);

/* ---- plan: daemon to readers ---- */

enum pst_link_plan_kind { PST_LINK_SAMPLING, PST_LINK_DISCOVERY };

struct pst_plan_row {
    uint32_t target;   /* an id of the target table */
    uint32_t modes;    /* bit i: enum pst_mode i; not 0 */
    uint32_t priority; /* higher ones are kept longest when over budget */
    uint32_t max_frames;
    bool class_names;
    double hz; /* 0.001..1000 */
    uint64_t window_ns;
};

struct pst_link_plan {
    enum pst_link_plan_kind kind;
    /* PST_LINK_SAMPLING: a whole plan comes in parts of at most PST_MAX_PLAN_ROWS rows; `last` puts
     * it into force. With enabled false the rows count for nothing. */
    uint64_t generation;
    bool first, last, enabled;
    unsigned shrink; /* of caches: 0..PST_SAMPLER_SHRINK_MAX */
    size_t row_count;
    struct pst_plan_row rows[PST_MAX_PLAN_ROWS];
    /* PST_LINK_DISCOVERY: settings in force, and a full scan at once. resend: every target known is
     * sent again as PST_SCAN_NEW, for a daemon that starts. */
    uint64_t interval_ns, min_age_ns;
    bool resend;
};

int pst_link_plan_encode(const struct pst_link_plan *plan, struct pst_buf *out);
int pst_link_plan_decode(const void *data, size_t len, struct pst_link_plan *ret);

/* ---- window: sample reader to daemon ---- */

enum pst_link_up_kind {
    PST_LINK_WINDOW, /* one target's window with a body for each mode that has one */
    PST_LINK_READER, /* the reader about itself */
};

struct pst_link_body {
    enum pst_mode mode;
    int64_t samples, value_ns;
    uint64_t bytes; /* of the gzip pprof in the descriptor of the same index */
};

struct pst_link_reader {
    bool window_end; /* all windows of this sequence were sent; else in the middle of one */
    uint64_t sequence;
    uint64_t cpu_ns;       /* of the reader, since it started */
    uint64_t memory_bytes; /* its PSS, 0 when unknown */
    uint64_t unsent_windows;
    uint64_t plan_generation; /* in force */
    struct pst_sampler_totals totals;
};

struct pst_link_up {
    enum pst_link_up_kind kind;
    struct pst_sampler_window window; /* PST_LINK_WINDOW */
    size_t body_count;
    struct pst_link_body bodies[PST_MODE_COUNT]; /* each mode at most once */
    struct pst_link_reader reader;               /* PST_LINK_READER */
};

int pst_link_up_encode(const struct pst_link_up *up, struct pst_buf *out);
int pst_link_up_decode(const void *data, size_t len, struct pst_link_up *ret);

/* ---- descriptors ---- */

/* A memfd with these bytes that nobody can change any more. 0 or -errno. */
int pst_link_body_seal(const void *data, size_t len, int *ret_fd);
/* Copies the body out: 0 and malloc'ed bytes; -EBADMSG unless it is sealed and exactly that long
 * (at most PST_MAX_LINK_BODY_BYTES). The fd stays the caller's. */
int pst_link_body_read(int fd, uint64_t bytes, void **ret_data);

/* ---- sockets (SOCK_SEQPACKET) ---- */

/* Both ends are close-on-exec and non-blocking. 0 or -errno. */
int pst_link_pair(int ret_fds[2]);
/* Waits up to timeout_ms for room. 0; -EAGAIN when there was none; -EPIPE and others. */
int pst_link_send(int fd, const void *data, size_t len, const int *fds, size_t fd_count,
                  int timeout_ms);
/* Never waits. Bytes; 0 when the peer has gone; -EAGAIN when nothing is there; -EMSGSIZE when the
 * message was longer than size or carried more than max_fds descriptors (all are closed and the
 * message is gone). Received descriptors are close-on-exec and the caller's. */
ssize_t pst_link_receive(int fd, void *dst, size_t size, int *ret_fds, size_t max_fds,
                         size_t *ret_fd_count);

#endif
