/* One exporter as others see it: its queue, its lanes, its end. Runs on the callers' threads. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "worker_internal.h"

void pst_instance_done(struct pst_instance *instance)
{
    if (instance->exporter)
        instance->type->destroy(instance->exporter);
    if (instance->config)
        (void)pst_config_unref(instance->config);
    memset(instance, 0, sizeof(*instance));
}

static void on_queue_drop(void *context, const struct pst_queue_drop *drop)
{
    pst_outcome_queue_dropped(context, drop->body_bytes, drop->reason);
}

static void on_queue_loaded(void *context)
{
    struct pst_worker *worker = context;
    pthread_mutex_lock(&worker->lock);
    pst_lane_call(worker);
    pthread_mutex_unlock(&worker->lock);
}

static void on_queue_disk(void *context, int error)
{
    struct pst_worker *worker = context;
    pst_metric_set(PST_METRIC_QUEUE_DEGRADED, worker->name, NULL, error < 0);
    pthread_mutex_lock(&worker->lock);
    worker->status.queue_error = error;
    pthread_mutex_unlock(&worker->lock);
    if (error < 0)
        pst_log_warn("queue_degraded", "exporter %s: the queue is in memory alone for now: %s",
                     worker->name, pst_exporter_queue_words(error));
    else
        pst_log_info("queue_recovered", "exporter %s: the queue is on disk again", worker->name);
}

void pst_worker_file_name(const char *type, const char *name, char *ret, size_t size)
{
    char clean[PST_CONFIG_NAME_BYTES];
    size_t len = strnlen(name, sizeof(clean) - 1);
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        clean[i] = (char)(plain || (c == '-' && i > 0) ? c : '_');
    }
    clean[len] = '\0';
    uint32_t hash = 2166136261; /* FNV-1a: the same in every process */
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)name[i]) * 16777619;
    (void)snprintf(ret, size, "%s-%s-%08x", type, clean, hash);
}

bool pst_worker_is_file_name(const char *name)
{
    struct pst_str text = pst_str(name);
    size_t type_len = pst_str_find(text, '-'), hash_at = pst_str_rfind(text, '-') + 1;
    if (!pst_exporter_type((struct pst_str){name, type_len}) || text.len - type_len < 10 ||
        text.len - hash_at != 8)
        return false;
    return strspn(name + hash_at, "0123456789abcdef") == 8;
}

static struct pst_queue *make_queue(struct pst_worker *worker, const struct pst_config *config)
{
    struct pst_queue_bounds bounds = {
        .max_bytes = config->spool.max_size_bytes,
        .max_items = PST_MAX_QUEUE_ITEMS,
        .max_age_ns = config->spool.max_age_ns,
        .max_taken_bytes = PST_MAX_EXPORT_TAKEN_BYTES,
        .max_memory_bytes = PST_MAX_QUEUE_MEMORY_BYTES,
    };
    struct pst_queue_owner owner = {worker, on_queue_drop, on_queue_loaded, on_queue_disk};
    char name[128];
    pst_worker_file_name(worker->status.type, worker->name, name, sizeof(name));
    return pst_queue_new(&bounds, config->spool.directory, name, &owner);
}

static bool make_lock(struct pst_worker *worker)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0)
        return false;
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    bool made = pthread_mutex_init(&worker->lock, NULL) == 0 &&
                pthread_cond_init(&worker->wake, &attributes) == 0 &&
                pthread_cond_init(&worker->ended, &attributes) == 0;
    (void)pthread_condattr_destroy(&attributes);
    return made;
}

static void destroy(struct pst_worker *worker)
{
    const char *reason = worker->finish_reason ? worker->finish_reason : "shutdown";
    (void)pst_queue_free(worker->queue, reason, strcmp(reason, "removed") == 0);
    pst_outcome_tell_drops(worker);
    pst_metric_set(PST_METRIC_QUEUE_ITEMS, worker->name, NULL, 0);
    pst_metric_set(PST_METRIC_QUEUE_BYTES, worker->name, NULL, 0);
    pst_instance_done(&worker->next);
    pthread_cond_destroy(&worker->wake);
    pthread_cond_destroy(&worker->ended);
    pthread_mutex_destroy(&worker->lock);
    free(worker);
}

struct pst_worker *pst_worker_new(struct pst_instance instance)
{
    struct pst_worker *worker = calloc(1, sizeof(*worker));
    if (!worker || !make_lock(worker)) {
        pst_instance_done(&instance);
        free(worker);
        return NULL;
    }
    (void)snprintf(worker->name, sizeof(worker->name), "%s", instance.settings->name);
    (void)snprintf(worker->status.name, sizeof(worker->status.name), "%s", worker->name);
    (void)snprintf(worker->status.type, sizeof(worker->status.type), "%s", instance.type->name);
    worker->random.state = pst_random_seed() ^ (uintptr_t)worker;
    unsigned lanes = instance.type->lanes;
    pst_gate_init(&worker->gate, lanes < PST_MAX_EXPORT_LANES ? lanes : PST_MAX_EXPORT_LANES);
    worker->next = instance;
    worker->generation = 1;
    pthread_mutex_lock(&worker->lock); /* the queue's thread waits for the queue to be set */
    worker->queue = make_queue(worker, instance.config);
    bool started = worker->queue && pst_lane_start(worker);
    pthread_mutex_unlock(&worker->lock);
    if (!started) {
        destroy(worker);
        return NULL;
    }
    return worker;
}

const char *pst_worker_name(const struct pst_worker *worker)
{
    return worker->name;
}

const char *pst_worker_type(const struct pst_worker *worker)
{
    return worker->status.type;
}

void pst_worker_push(struct pst_worker *worker, struct pst_item *item)
{
    pst_queue_push(worker->queue, item);
    pst_worker_show_queue(worker);
    pthread_mutex_lock(&worker->lock);
    /* A lane that found no memory for its instance has ended. */
    if (worker->running == 0 && !worker->finishing)
        (void)pst_lane_start(worker);
    pst_lane_call(worker);
    pthread_mutex_unlock(&worker->lock);
}

/* Under the lock. */
static void cancel_lanes(struct pst_worker *worker)
{
    for (unsigned i = 0; i < PST_MAX_EXPORT_LANES; i++) {
        struct pst_instance *instance = &worker->lanes[i].instance;
        if (instance->exporter && instance->type->cancel)
            instance->type->cancel(instance->exporter);
    }
}

void pst_worker_replace(struct pst_worker *worker, struct pst_instance instance)
{
    pthread_mutex_lock(&worker->lock);
    struct pst_instance superseded = worker->next;
    pst_queue_configure(worker->queue, instance.config->spool.max_size_bytes,
                        instance.config->spool.max_age_ns);
    worker->next = instance;
    worker->generation++;
    if (worker->gate.failing)
        cancel_lanes(worker);
    pst_gate_reset_wait(&worker->gate);
    worker->changes++;
    (void)pthread_cond_broadcast(&worker->wake);
    pthread_mutex_unlock(&worker->lock);
    pst_instance_done(&superseded);
}

void pst_worker_finish(struct pst_worker *worker, uint64_t deadline_ns, const char *reason)
{
    pthread_mutex_lock(&worker->lock);
    worker->finishing = true;
    worker->finish_ns = deadline_ns;
    worker->finish_reason = reason;
    pst_gate_hurry(&worker->gate);
    pst_lane_call(worker);
    (void)pthread_cond_broadcast(&worker->wake);
    pthread_mutex_unlock(&worker->lock);
    pst_queue_hurry(worker->queue);
}

void pst_worker_cancel(struct pst_worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    cancel_lanes(worker);
    pthread_mutex_unlock(&worker->lock);
}

bool pst_worker_wait(struct pst_worker *worker, uint64_t deadline_ns)
{
    pthread_mutex_lock(&worker->lock);
    while (worker->running && pst_worker_wait_until(worker, &worker->ended, deadline_ns) == 0)
        continue;
    bool over = worker->running == 0;
    pthread_mutex_unlock(&worker->lock);
    return over;
}

void pst_worker_join(struct pst_worker *worker, uint64_t deadline_ns)
{
    bool over = pst_worker_wait(worker, deadline_ns);
    pthread_mutex_lock(&worker->lock);
    for (unsigned i = 0; i < PST_MAX_EXPORT_LANES; i++) {
        struct pst_lane *lane = &worker->lanes[i];
        if (lane->state == PST_LANE_ENDED)
            (void)pthread_join(lane->thread, NULL);
        else if (lane->state == PST_LANE_RUNNING)
            (void)pthread_detach(lane->thread);
        lane->state = PST_LANE_UNUSED;
    }
    pthread_mutex_unlock(&worker->lock);
    if (over)
        destroy(worker);
    else
        pst_log_warn("exporter_stuck", "exporter %s: a thread does not end; left behind",
                     worker->name);
}

void pst_worker_status(struct pst_worker *worker, struct pst_exporter_status *ret)
{
    struct pst_queue_stats stats = pst_queue_stats(worker->queue);
    uint64_t now_ns = pst_clock_monotonic_ns();
    pthread_mutex_lock(&worker->lock);
    *ret = worker->status;
    if (worker->gate.failing && worker->gate.next_ns > now_ns)
        ret->retry_in_ns = worker->gate.next_ns - now_ns;
    pthread_mutex_unlock(&worker->lock);
    ret->queue_items = stats.items;
    ret->queue_bytes = stats.bytes;
}
