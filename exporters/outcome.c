/* What a verdict changes: counters, status, the gate, the item's place in the queue, the log. Runs
 * on the lane that has the verdict. */
#include <stdio.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "worker_internal.h"

#define LOG_EVERY_NS (60 * PST_NS_PER_S)

void pst_outcome_dropped(struct pst_worker *worker, size_t body_bytes, const char *reason)
{
    pst_metric_add(PST_METRIC_EXPORT_DROPPED, worker->name, reason, 1);
    pst_metric_add(PST_METRIC_EXPORT_DROPPED_BYTES, worker->name, reason, (double)body_bytes);
    pthread_mutex_lock(&worker->lock);
    worker->status.dropped++;
    pthread_mutex_unlock(&worker->lock);
}

static const char *drop_words(const char *reason)
{
    static const char *const words[][2] = {
        {"queue_full", "no more room for what waits; the oldest went"},
        {"expired", "waited for longer than spool.max_age"},
        {"unreadable", "the queue's file does not give them back"},
        {"too_large", "larger than the whole queue"},
        {"no_memory", "out of memory"},
        {"shutdown", "not delivered before the end, and no disk took them"},
        {"removed", "the configuration has the exporter no more"},
    };
    for (size_t i = 0; i < PST_ARRAY_SIZE(words); i++) {
        if (strcmp(words[i][0], reason) == 0)
            return words[i][1];
    }
    return "dropped";
}

void pst_outcome_tell_drops(struct pst_worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    const char *reason = worker->drop_reason;
    unsigned long long count = worker->drops_untold;
    worker->drops_untold = 0;
    worker->drops_told_ns = pst_clock_monotonic_ns();
    pthread_mutex_unlock(&worker->lock);
    if (count)
        pst_log_warn("exporter_dropped", "exporter %s: gave up %llu of its profiles: %s: %s",
                     worker->name, count, reason, drop_words(reason));
}

/* The first at once, further ones of the same reason once a minute with their number, those of the
 * end together when it has come. */
void pst_outcome_queue_dropped(struct pst_worker *worker, size_t body_bytes, const char *reason)
{
    pst_outcome_dropped(worker, body_bytes, reason);
    pthread_mutex_lock(&worker->lock);
    bool other = worker->drop_reason && strcmp(worker->drop_reason, reason) != 0;
    pthread_mutex_unlock(&worker->lock);
    if (other)
        pst_outcome_tell_drops(worker);
    pthread_mutex_lock(&worker->lock);
    bool first = !worker->drop_reason || other;
    uint64_t age_ns = pst_clock_monotonic_ns() - worker->drops_told_ns;
    worker->drop_reason = reason;
    worker->drops_untold++;
    bool worth = !worker->finishing && (first || age_ns >= LOG_EVERY_NS);
    pthread_mutex_unlock(&worker->lock);
    if (worth)
        pst_outcome_tell_drops(worker);
}

static void on_delivered(struct pst_worker *worker, const struct pst_item *item,
                         uint64_t started_ns)
{
    uint64_t now_ns = pst_clock_realtime_ns(), failures = 0;
    pst_metric_add(PST_METRIC_EXPORT_SENT, worker->name, NULL, 1);
    pst_metric_add(PST_METRIC_EXPORT_SENT_BYTES, worker->name, NULL, (double)item->body_bytes);
    pst_metric_set(PST_METRIC_EXPORT_LAST_SUCCESS, worker->name, NULL,
                   (double)now_ns / (double)PST_NS_PER_S);
    pthread_mutex_lock(&worker->lock);
    worker->status.delivered++;
    worker->status.last_success_ns = now_ns;
    if (pst_gate_delivered(&worker->gate, started_ns, pst_clock_monotonic_ns())) {
        failures = worker->status.failures;
        worker->status.state = PST_EXPORTER_OK;
        worker->status.failures = 0;
        worker->last_reason = NULL;
    }
    pthread_mutex_unlock(&worker->lock);
    if (failures)
        pst_log_info("exporter_recovered", "exporter %s: delivers again after %llu failed attempts",
                     worker->name, (unsigned long long)failures);
}

/* One line when the trouble starts or changes, then one a minute. */
static bool worth_a_line(struct pst_worker *worker, const char *reason, uint64_t now_ns)
{
    bool worth = worker->last_reason != reason || now_ns - worker->last_log_ns >= LOG_EVERY_NS;
    if (worth) {
        worker->last_reason = reason;
        worker->last_log_ns = now_ns;
    }
    return worth;
}

static void note_error(struct pst_worker *worker, const struct pst_export_verdict *verdict)
{
    worker->status.last_error_ns = pst_clock_realtime_ns();
    (void)snprintf(worker->status.last_error, sizeof(worker->status.last_error), "%s: %s",
                   verdict->reason, verdict->detail);
}

static void on_rejected(struct pst_worker *worker, const struct pst_item *item,
                        const struct pst_export_verdict *verdict, uint64_t started_ns)
{
    pst_outcome_dropped(worker, item->body_bytes, verdict->reason);
    pthread_mutex_lock(&worker->lock);
    note_error(worker, verdict);
    worker->status.state = PST_EXPORTER_REJECTING;
    pst_gate_answered(&worker->gate, started_ns);
    bool worth = worth_a_line(worker, verdict->reason, pst_clock_monotonic_ns());
    pthread_mutex_unlock(&worker->lock);
    if (worth)
        pst_log_warn("exporter_rejected", "exporter %s: profile given up: %s: %s", worker->name,
                     verdict->reason, verdict->detail);
}

/* False when the item has used up its time (max_elapsed_time). */
static bool on_retry(struct pst_worker *worker, const struct pst_config_exporter *settings,
                     struct pst_export_progress *progress, const struct pst_export_verdict *verdict,
                     uint64_t started_ns)
{
    struct pst_retry_policy policy = {settings->retry_initial_ns, settings->retry_max_ns,
                                      settings->retry_max_elapsed_ns};
    uint64_t now_ns = pst_clock_monotonic_ns();
    if (!progress->first_failure_ns)
        progress->first_failure_ns = now_ns;
    pst_metric_add(PST_METRIC_EXPORT_RETRIED, worker->name, verdict->reason, 1);
    pthread_mutex_lock(&worker->lock);
    note_error(worker, verdict);
    worker->status.state = PST_EXPORTER_FAILING;
    worker->status.failures++;
    uint64_t delay_ns = pst_gate_failed(&worker->gate, &policy, verdict->retry_after_ns, started_ns,
                                        now_ns, &worker->random);
    bool worth = !worker->finishing && worth_a_line(worker, verdict->reason, now_ns);
    pthread_mutex_unlock(&worker->lock);
    if (worth)
        pst_log_warn("exporter_retry", "exporter %s: %s: %s; next attempt in %.1f s", worker->name,
                     verdict->reason, verdict->detail, (double)delay_ns / (double)PST_NS_PER_S);
    return !pst_retry_exhausted(&policy, progress->first_failure_ns, now_ns);
}

void pst_outcome_apply(struct pst_worker *worker, const struct pst_config_exporter *settings,
                       struct pst_queue_entry *entry, const struct pst_export_verdict *verdict,
                       uint64_t started_ns)
{
    switch (verdict->word) {
    case PST_EXPORT_DELIVERED:
        on_delivered(worker, entry->item, started_ns);
        break;
    case PST_EXPORT_REJECTED:
        on_rejected(worker, entry->item, verdict, started_ns);
        break;
    case PST_EXPORT_RETRY:
        if (on_retry(worker, settings, &entry->progress, verdict, started_ns)) {
            pst_queue_release(worker->queue, entry);
            return;
        }
        pst_outcome_dropped(worker, entry->item->body_bytes, "retries_exhausted");
        break;
    }
    pst_queue_done(worker->queue, entry);
}
