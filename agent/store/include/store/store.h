/* The embedded store: profiles of the last day on this machine, in one SQLite file. One writer
 * thread owns every write; readers open their own read-only connections. It never refuses to start
 * over what lies on the disk and never blocks whoever hands it a profile. Thread-safe. */
#ifndef PST_STORE_STORE_H
#define PST_STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "profile/item.h"

struct pst_store;

/* Claims the directory (created 0700) and starts the writer. A full, read-only or missing disk and
 * a damaged file are no failure: the store starts degraded, or moves the file aside, and goes on
 * trying. Refused with error filled: another agent holds the directory (its pid is named), the
 * directory is a symlink, belongs to somebody else or is writable by others. */
int pst_store_open(const char *directory, uint64_t retention_ns, uint64_t max_size_bytes,
                   struct pst_store **ret, struct pst_error *error);
/* New bounds after a reload; take effect within a second. */
void pst_store_configure(struct pst_store *store, uint64_t retention_ns, uint64_t max_size_bytes);
/* Writes what is queued, for at most timeout_ns, and frees the store. A writer stuck in the disk is
 * left behind (its memory with it). No other call may be running. Accepts NULL; returns NULL. */
struct pst_store *pst_store_close(struct pst_store *store, uint64_t timeout_ns);

/* Queues a reference and returns at once. When the queue is full its oldest item is dropped and
 * counted in STORE_DROPPED{reason}. */
void pst_store_put(struct pst_store *store, struct pst_item *item);
/* Waits until all that was queued before is written or dropped; false after timeout_ns. */
bool pst_store_flush(struct pst_store *store, uint64_t timeout_ns);

/* A window counts when it overlaps [from_ns, to_ns), realtime. */
struct pst_store_query {
    struct pst_str service; /* empty: every service */
    enum pst_mode mode;
    int64_t from_ns, to_ns;
    const struct pst_labels *match; /* series must carry all of these; NULL: no condition */
    /* Sample labels to keep, as in pst_profile_merge; NULL keeps all. */
    bool (*keep_label)(void *context, struct pst_str key);
    void *context;
};
struct pst_store_query_result {
    uint64_t windows;     /* merged */
    uint64_t bad_windows; /* not decodable: left out */
    uint64_t body_bytes;  /* compressed bytes read */
    bool truncated; /* the merged profile reached PST_MAX_MERGE_BYTES: later windows left out */
    int64_t first_ns, last_ns; /* start of the first, end of the last window */
};
/* Merges window by window, so that memory is the merged profile and one window. The result is an
 * empty profile when nothing matches. 0, -ENOMEM, -EBUSY, -ENODEV (no database at present), -EIO,
 * -ECANCELED when cancelled(context) says so between two windows (NULL: never). */
int pst_store_merge(struct pst_store *store, const struct pst_store_query *query,
                    bool (*cancelled)(void *context), void *cancel_context,
                    struct pst_profile **ret, struct pst_store_query_result *ret_result);

/* What ran in [from_ns, to_ns). Calls back in order of falling value; a nonzero answer ends and is
 * returned. One call per service and mode, with both totals. */
struct pst_store_service {
    struct pst_str name;
    enum pst_mode mode;
    uint64_t windows;
    int64_t samples, value_ns;
    int64_t first_ns, last_ns;
};
int pst_store_services(struct pst_store *store, int64_t from_ns, int64_t to_ns,
                       int (*each)(void *context, const struct pst_store_service *service),
                       void *context);
/* Every label set of the service (empty: all) seen in the range, with its value. */
int pst_store_series(struct pst_store *store, struct pst_str service, enum pst_mode mode,
                     int64_t from_ns, int64_t to_ns,
                     int (*each)(void *context, const struct pst_labels *labels, int64_t value_ns,
                                 uint64_t windows),
                     void *context);
/* Nanoseconds of the mode per bucket, spread over the buckets that a window covers. */
int pst_store_timeline(struct pst_store *store, struct pst_str service, enum pst_mode mode,
                       int64_t from_ns, int64_t to_ns, size_t bucket_count, double *ret_value_ns);

struct pst_store_stats {
    bool degraded;
    char reason[160];         /* why it is degraded, for people */
    uint64_t profiles, bytes; /* bytes: files on disk, write-ahead log included */
    uint64_t queued, dropped, written, corrupt_files;
    int64_t oldest_ns; /* 0: nothing stored */
};
void pst_store_stats(struct pst_store *store, struct pst_store_stats *ret);
/* Sets the STORE_* gauges; called before /metrics is written. */
void pst_store_update_metrics(struct pst_store *store);

#endif
