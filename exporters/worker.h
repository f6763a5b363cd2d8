/* One exporter at work: its queue, its lanes (a thread and a connection each), its retries.
 * Everything here is the worker's own, so nothing that happens to one exporter reaches another.
 *
 * A backend may take half a second for each answer, so several attempts are under way at once. They
 * are separate requests, not one with many profiles: a server that refuses one profile of a request
 * keeps the others and answers with an error, and what it kept cannot be told from what it did not.
 */
#ifndef PST_EXPORTERS_WORKER_H
#define PST_EXPORTERS_WORKER_H

#include "exporters/exporter.h"
#include "exporters/runner.h"
#include "queue/queue.h"

struct pst_worker;

/* A created exporter with the configuration it borrows from. */
struct pst_instance {
    const struct pst_exporter_type *type;
    struct pst_exporter *exporter;
    const struct pst_config_exporter *settings;
    struct pst_config *config;
};
void pst_instance_done(struct pst_instance *instance);

/* Takes the instance over in any case. NULL: no memory or no thread. */
struct pst_worker *pst_worker_new(struct pst_instance instance);
const char *pst_worker_name(const struct pst_worker *worker);
const char *pst_worker_type(const struct pst_worker *worker);
/* Name of the queue's file, without its ending: different for different names of exporters, of
 * which the first 63 bytes count. */
void pst_worker_file_name(const char *type, const char *name, char *ret, size_t size);
/* Whether that function makes such names. */
bool pst_worker_is_file_name(const char *name);

void pst_worker_push(struct pst_worker *worker, struct pst_item *item);
/* Lanes take the new configuration over between two attempts; what waits for a retry is tried at
 * once. */
void pst_worker_replace(struct pst_worker *worker, struct pst_instance instance);
/* Starts the end: one more try for what is queued, until the deadline. reason names the drops. */
void pst_worker_finish(struct pst_worker *worker, uint64_t deadline_ns, const char *reason);
/* Waits until the deadline (CLOCK_MONOTONIC) for the end of all lanes; false when one still works.
 */
bool pst_worker_wait(struct pst_worker *worker, uint64_t deadline_ns);
/* Ends running attempts now. */
void pst_worker_cancel(struct pst_worker *worker);
/* Waits until the deadline (CLOCK_MONOTONIC) for the lanes and frees. A thread that does not end is
 * left behind with all it uses. */
void pst_worker_join(struct pst_worker *worker, uint64_t deadline_ns);
void pst_worker_status(struct pst_worker *worker, struct pst_exporter_status *ret);

#endif
