/* The local HTTP endpoint (design 2.3): metrics, health, targets, pull, and the page over the
 * embedded store. It holds no state of the agent: what it shows comes through the hooks as
 * immutable snapshots. Every connection, request and answer is bounded in size and time. */
#ifndef PST_SERVER_SERVER_H
#define PST_SERVER_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "config/config.h"
#include "profile/labels.h"
#include "profile/profile.h"
#include "server/targets.h"
#include "store/store.h"

struct pst_server;

struct pst_server_exporter {
    char name[64], type[16];
    char state[16];   /* "ok", "retrying", "rejecting", "down", "idle" */
    char reason[160]; /* for people; may be empty */
    uint64_t sent, dropped, queued;
    int64_t last_success_ns; /* realtime; 0: never */
};

struct pst_server_pull {
    struct pst_str service;
    enum pst_mode mode;
    uint64_t seconds; /* 1..60 */
    /* True when the server stops or nobody waits any more: return -ECANCELED within a second. */
    bool (*cancelled)(void *cancel_context);
    void *cancel_context;
};

/* Each is called on a thread of the server, several at once, and must not block for more than a
 * moment (pull excepted). Any may be NULL. */
struct pst_server_hooks {
    void *context;
    /* A reference that the server drops with pst_target_snapshot_unref; NULL: none yet. */
    struct pst_target_snapshot *(*targets)(void *context);
    /* Own loops advance, nothing else. reason: lines for people. */
    bool (*health)(void *context, struct pst_buf *reason);
    bool (*ready)(void *context, struct pst_buf *reason);
    /* Loads the configuration again: 0, or -errno with error filled and the old one kept. */
    int (*reload)(void *context, struct pst_error *error);
    /* Brings gauges up to date before /metrics is written. */
    void (*refresh_metrics)(void *context);
    /* Fills at most max rows, returns how many. */
    size_t (*exporters)(void *context, struct pst_server_exporter *rows, size_t max);
    /* Collects a profile for that long. NULL: the server waits and merges the windows that the
     * store received meanwhile. */
    int (*pull)(void *context, const struct pst_server_pull *request, struct pst_profile **ret);
};

/* Listens where config->server.listen says: "HOST:PORT", "[HOST]:PORT", ":PORT" or "unix:/path".
 * store may be NULL (no page data). The store and the hooks' context must outlive the server. On
 * failure error says what to do; an address in use is PST_EXIT_FAILED, a bad one PST_EXIT_USAGE. */
int pst_server_start(const struct pst_config *config, struct pst_store *store,
                     const struct pst_server_hooks *hooks, struct pst_server **ret,
                     struct pst_error *error);
/* The address to show: "http://127.0.0.1:7072/" or "unix:/path". Valid until stop. */
const char *pst_server_address(const struct pst_server *server);
/* Closes the listener, cancels what runs, waits at most timeout_ns for it; what is stuck beyond
 * that is left behind. Accepts NULL; returns NULL. */
struct pst_server *pst_server_stop(struct pst_server *server, uint64_t timeout_ns);

#endif
