/* What a backend is to the pipeline: a folder that sends one item and says one of three words.
 * Queue, retry, drop and metrics belong to the pipeline. */
#ifndef PST_EXPORTERS_EXPORTER_H
#define PST_EXPORTERS_EXPORTER_H

#include "base/error.h"
#include "config/config.h"
#include "exporters/progress.h"
#include "profile/item.h"

enum pst_export_word { PST_EXPORT_DELIVERED, PST_EXPORT_RETRY, PST_EXPORT_REJECTED };

struct pst_export_verdict {
    enum pst_export_word word;
    uint64_t retry_after_ns; /* RETRY: 0 = by the caller's backoff */
    const char *reason; /* constant word for the counter: "timeout", "status_429", "too_large" */
    char detail[256];   /* for the log, escaped by the caller: status, server's message */
};

struct pst_exporter; /* opaque state of one configured instance */

struct pst_exporter_type {
    const char *name; /* "pyroscope": value of exporters[].type */
    /* How many instances of one entry may send at once, each on a thread of its own; 0: one. */
    unsigned lanes;
    /* Checks settings and allocates; no network yet. The settings stay valid until destroy. */
    int (*create)(const struct pst_config_exporter *settings, struct pst_exporter **ret,
                  struct pst_error *error);
    /* Blocks under its deadlines (settings timeout); runs on the instance's own thread. progress is
     * what earlier attempts with this item, perhaps by other instances, left. */
    struct pst_export_verdict (*send)(struct pst_exporter *exporter, const struct pst_item *item,
                                      struct pst_export_progress *progress);
    /* Reaches the backend without sending a profile, for `doctor`: DELIVERED when it answers. May
     * be NULL. */
    struct pst_export_verdict (*probe)(struct pst_exporter *exporter);
    /* From another thread: makes a running send or probe, and every later one, return soon with
     * RETRY "cancelled". NULL where send cannot block for long. */
    void (*cancel)(struct pst_exporter *exporter);
    void (*destroy)(struct pst_exporter *exporter);
};

/* NULL when there is no such type. */
const struct pst_exporter_type *pst_exporter_type(struct pst_str name);

#endif
