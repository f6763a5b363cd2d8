/* All configured exporters of the daemon: one queue and threads of its own each, so that a backend
 * that is down never delays another. Thread-safe, except that new, reload, stop and free have one
 * caller.
 */
#ifndef PST_EXPORTERS_RUNNER_H
#define PST_EXPORTERS_RUNNER_H

#include "base/error.h"
#include "config/config.h"
#include "profile/item.h"

struct pst_exporters;

/* Checks every entry of config->exporters and starts their threads. Touches no network. The config
 * is referenced while in use. 0, -ENOMEM, or -EINVAL with error filled; nothing runs on failure.
 * An empty list is fine. */
int pst_exporters_new(struct pst_config *config, struct pst_exporters **ret,
                      struct pst_error *error);

/* Only the checks of pst_exporters_new: starts nothing. */
int pst_exporters_check(struct pst_config *config, struct pst_error *error);

/* Queues the item for every exporter (references it); never blocks. What does not fit pushes the
 * oldest out, counted. */
void pst_exporters_push(struct pst_exporters *exporters, struct pst_item *item);

/* Takes the new list whole or keeps the old one (error filled). Entries with a known name keep
 * their queue; queues of entries that are gone are dropped, counted as "removed". */
int pst_exporters_reload(struct pst_exporters *exporters, struct pst_config *config,
                         struct pst_error *error);

/* Tries once more to deliver what is queued, gives up at the deadline (CLOCK_MONOTONIC) and counts
 * what is not on disk as dropped "shutdown". Returns at most 500 ms after the deadline; a thread
 * that cannot be ended by then is left behind. Pushes after this are dropped. */
void pst_exporters_stop(struct pst_exporters *exporters, uint64_t deadline_ns);

/* Stops (if it was not) and frees. Accepts NULL, returns NULL. */
struct pst_exporters *pst_exporters_free(struct pst_exporters *exporters);

enum pst_exporter_state {
    PST_EXPORTER_IDLE,      /* nothing was sent yet */
    PST_EXPORTER_OK,        /* the last attempt was delivered */
    PST_EXPORTER_FAILING,   /* the last attempt will be tried again */
    PST_EXPORTER_REJECTING, /* the last profile was given up for what the backend said of it */
};
/* "idle", "ok", "failing", "rejecting". */
const char *pst_exporter_state_word(enum pst_exporter_state state);
/* Words for queue_error of a status. */
const char *pst_exporter_queue_words(int error);

struct pst_exporter_status {
    char name[PST_CONFIG_NAME_BYTES], type[16];
    enum pst_exporter_state state;
    uint64_t last_success_ns;    /* CLOCK_REALTIME; 0 never */
    uint64_t last_error_ns;      /* CLOCK_REALTIME; 0 never */
    char last_error[320];        /* "reason: detail"; outside text, not escaped */
    uint64_t failures;           /* attempts failed since the last success */
    uint64_t retry_in_ns;        /* until the next attempt; 0 when none is planned */
    uint64_t delivered, dropped; /* items since start */
    size_t queue_items, queue_bytes;
    int queue_error; /* negative errno: why the queue is in memory alone */
};
/* Fills up to max entries in the order of the configuration; returns how many there are. */
size_t pst_exporters_status(struct pst_exporters *exporters, struct pst_exporter_status *ret,
                            size_t max);

#endif
