/* An exporter may be removed from the configuration while the agent is stopped: its queue is told
 * of at the start, is taken up where the exporter comes back, and goes once nothing in it may be
 * sent. */
#include "unclaimed.h"

#include <pthread.h>

#include "base/log.h"
#include "base/metrics.h"
#include "queue/unclaimed.h"
#include "worker.h"

/* Another program's file is nobody's queue, whatever folder it lies in. */
static bool is_claimed(void *context, const char *name)
{
    const struct pst_config *config = context;

    if (!pst_worker_is_file_name(name))
        return true;
    for (size_t i = 0; i < config->exporter_count; i++) {
        char own[128];
        pst_worker_file_name(config->exporters[i].type, config->exporters[i].name, own,
                             sizeof(own));
        if (strcmp(own, name) == 0)
            return true;
    }
    return false;
}

static void on_found(void *context, const struct pst_unclaimed *file)
{
    const struct pst_config *config = context;

    if (!file->removed) {
        pst_log_warn("queue_unclaimed",
                     "%s/%s.queue: %zu profiles wait for an exporter that is not in the "
                     "configuration; they go when they are older than spool.max_age",
                     config->spool.directory, file->name, file->items);
        return;
    }
    pst_metric_add(PST_METRIC_EXPORT_DROPPED, file->name, "unclaimed", (double)file->items);
    pst_metric_add(PST_METRIC_EXPORT_DROPPED_BYTES, file->name, "unclaimed", (double)file->bytes);
    pst_log_info("queue_removed",
                 "%s/%s.queue: removed with %zu profiles past their age: no exporter in the "
                 "configuration has it",
                 config->spool.directory, file->name, file->items);
}

static void *sweep(void *context)
{
    struct pst_config *config = context;
    struct pst_unclaimed_owner owner = {config, is_claimed, on_found};

    pst_unclaimed_sweep(config->spool.directory, config->spool.max_age_ns, &owner);
    (void)pst_config_unref(config);
    return NULL;
}

void pst_exporters_sweep(struct pst_config *config)
{
    pthread_t thread;

    if (!config->spool.directory || !config->spool.directory[0])
        return;
    struct pst_config *own = pst_config_ref(config);
    if (pthread_create(&thread, NULL, sweep, own) == 0)
        (void)pthread_detach(thread);
    else
        (void)pst_config_unref(own);
}
