/* All exporters of one configuration. The list belongs to the caller's thread; pushes come from
 * there too, so only the workers have locks. */
#include "exporters/runner.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "unclaimed.h"
#include "worker.h"

#define JOIN_NS (400 * PST_NS_PER_MS)

struct pst_exporters {
    pthread_mutex_t lock; /* guards the list: status comes from another thread */
    struct pst_worker **workers;
    size_t count;
};

const char *pst_exporter_state_word(enum pst_exporter_state state)
{
    static const char *const words[] = {"idle", "ok", "failing", "rejecting"};
    return (unsigned)state < PST_ARRAY_SIZE(words) ? words[state] : "unknown";
}

const char *pst_exporter_queue_words(int error)
{
    switch (error) {
    case -EBUSY:
        return "another process uses its file";
    case -EEXIST:
        return "another file lies in its place";
    default:
        return strerror(-error);
    }
}

static void free_instances(struct pst_instance *instances, size_t count)
{
    for (size_t i = 0; i < count; i++)
        pst_instance_done(&instances[i]);
    free(instances);
}

static int make_instance(struct pst_config *config, const struct pst_config_exporter *settings,
                         struct pst_instance *ret, struct pst_error *error)
{
    const struct pst_exporter_type *type = pst_exporter_type(pst_str(settings->type));
    if (!type)
        return pst_error_set(error, PST_EXIT_USAGE, settings->where,
                             "use pyroscope, parca, otlp or file", "unknown exporter type \"%s\"",
                             settings->type);
    ret->type = type;
    ret->settings = settings;
    int r = type->create(settings, &ret->exporter, error);
    if (r == 0) {
        ret->config = pst_config_ref(config);
    } else if (r == -ENOMEM) {
        (void)pst_error_set(error, PST_EXIT_FAILED, NULL, NULL, "exporter %s: out of memory",
                            settings->name);
    } else if (error && !error->where[0]) {
        (void)snprintf(error->where, sizeof(error->where), "%s", settings->where);
    }
    return r;
}

/* Creates all or none. */
static int make_instances(struct pst_config *config, struct pst_instance **ret,
                          struct pst_error *error)
{
    struct pst_instance *instances = calloc(config->exporter_count + 1, sizeof(*instances));
    if (!instances)
        return -ENOMEM;
    for (size_t i = 0; i < config->exporter_count; i++) {
        int r = make_instance(config, &config->exporters[i], &instances[i], error);
        if (r < 0) {
            free_instances(instances, i);
            return r;
        }
    }
    *ret = instances;
    return 0;
}

int pst_exporters_check(struct pst_config *config, struct pst_error *error)
{
    struct pst_instance *instances = NULL;
    int r = make_instances(config, &instances, error);
    if (r == 0)
        free_instances(instances, config->exporter_count);
    return r;
}

/* Ends the workers together: all are told before the first is waited for. */
static void end_workers(struct pst_worker **workers, size_t count, uint64_t deadline_ns,
                        const char *reason)
{
    for (size_t i = 0; i < count; i++)
        pst_worker_finish(workers[i], deadline_ns, reason);
    for (size_t i = 0; i < count; i++) {
        if (!pst_worker_wait(workers[i], deadline_ns))
            pst_worker_cancel(workers[i]);
    }
    uint64_t now_ns = pst_clock_monotonic_ns();
    for (size_t i = 0; i < count; i++)
        pst_worker_join(workers[i], now_ns + JOIN_NS);
}

int pst_exporters_new(struct pst_config *config, struct pst_exporters **ret,
                      struct pst_error *error)
{
    struct pst_exporters *exporters = calloc(1, sizeof(*exporters));
    if (!exporters || pthread_mutex_init(&exporters->lock, NULL) != 0) {
        free(exporters);
        return -ENOMEM;
    }
    int r = pst_exporters_reload(exporters, config, error);
    if (r < 0) {
        (void)pst_exporters_free(exporters);
        return r;
    }
    pst_exporters_sweep(config);
    *ret = exporters;
    return 0;
}

void pst_exporters_push(struct pst_exporters *exporters, struct pst_item *item)
{
    for (size_t i = 0; i < exporters->count; i++)
        pst_worker_push(exporters->workers[i], item);
}

static struct pst_worker *take_worker(struct pst_exporters *exporters,
                                      const struct pst_config_exporter *settings)
{
    for (size_t i = 0; i < exporters->count; i++) {
        struct pst_worker *worker = exporters->workers[i];
        if (worker && strcmp(pst_worker_name(worker), settings->name) == 0 &&
            strcmp(pst_worker_type(worker), settings->type) == 0) {
            exporters->workers[i] = NULL;
            return worker;
        }
    }
    return NULL;
}

/* Moves what is not NULL to the front; returns how many. */
static size_t compact(struct pst_worker **workers, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (workers[i])
            workers[kept++] = workers[i];
    }
    return kept;
}

int pst_exporters_reload(struct pst_exporters *exporters, struct pst_config *config,
                         struct pst_error *error)
{
    struct pst_instance *instances = NULL;
    struct pst_worker **workers = calloc(config->exporter_count + 1, sizeof(struct pst_worker *));
    if (!workers)
        return -ENOMEM;
    int r = make_instances(config, &instances, error);
    if (r < 0) {
        free(workers);
        return r;
    }
    pthread_mutex_lock(&exporters->lock);
    size_t count = 0;
    for (size_t i = 0; i < config->exporter_count; i++) {
        struct pst_worker *worker = take_worker(exporters, &config->exporters[i]);
        if (worker)
            pst_worker_replace(worker, instances[i]);
        else
            worker = pst_worker_new(instances[i]);
        if (worker)
            workers[count++] = worker;
        else
            r = -ENOMEM;
    }
    struct pst_worker **old = exporters->workers;
    size_t old_count = old ? compact(old, exporters->count) : 0;
    exporters->workers = workers;
    exporters->count = count;
    pthread_mutex_unlock(&exporters->lock);
    end_workers(old, old_count, pst_clock_monotonic_ns(), "removed");
    free(old);
    free(instances);
    return r;
}

void pst_exporters_stop(struct pst_exporters *exporters, uint64_t deadline_ns)
{
    pthread_mutex_lock(&exporters->lock);
    struct pst_worker **workers = exporters->workers;
    size_t count = exporters->count;
    exporters->workers = NULL;
    exporters->count = 0;
    pthread_mutex_unlock(&exporters->lock);
    end_workers(workers, count, deadline_ns, "shutdown");
    free(workers);
}

struct pst_exporters *pst_exporters_free(struct pst_exporters *exporters)
{
    if (exporters) {
        pst_exporters_stop(exporters, 0);
        pthread_mutex_destroy(&exporters->lock);
        free(exporters);
    }
    return NULL;
}

size_t pst_exporters_status(struct pst_exporters *exporters, struct pst_exporter_status *ret,
                            size_t max)
{
    pthread_mutex_lock(&exporters->lock);
    size_t count = exporters->count;
    for (size_t i = 0; i < count && i < max; i++)
        pst_worker_status(exporters->workers[i], &ret[i]);
    pthread_mutex_unlock(&exporters->lock);
    return count;
}
