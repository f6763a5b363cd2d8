/* The threads of one exporter. Each takes the oldest item that it may, sends it with an instance of
 * its own and applies the verdict. The first lane stays; others start while items wait and the gate
 * lets more through, and end when they have had nothing to do for a while. A lane waits only on the
 * worker's condition; the exporter's deadlines bound each attempt. */
#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "worker_internal.h"

#define IDLE_NS (60 * PST_NS_PER_S)

void pst_worker_show_queue(struct pst_worker *worker)
{
    struct pst_queue_stats stats = pst_queue_stats(worker->queue);
    pst_metric_set(PST_METRIC_QUEUE_ITEMS, worker->name, NULL, (double)stats.items);
    pst_metric_set(PST_METRIC_QUEUE_BYTES, worker->name, NULL, (double)stats.bytes);
}

int pst_worker_wait_until(struct pst_worker *worker, pthread_cond_t *condition, uint64_t at_ns)
{
    struct timespec at = {.tv_sec = (time_t)(at_ns / PST_NS_PER_S),
                          .tv_nsec = (long)(at_ns % PST_NS_PER_S)};
    return pthread_cond_timedwait(condition, &worker->lock, &at);
}

void pst_lane_wake(struct pst_worker *worker)
{
    worker->changes++;
    (void)pthread_cond_signal(&worker->wake);
}

/* ---- the lane's instance ---- */

/* Under the lock. False when the lane has no instance that is up to date. */
static bool adopt(struct pst_lane *lane)
{
    struct pst_worker *worker = lane->worker;
    if (lane->generation == worker->generation)
        return true;
    struct pst_instance old = lane->instance, made = worker->next;
    unsigned generation = worker->generation;
    bool replaced = old.exporter != NULL;
    made.config = pst_config_ref(worker->next.config);
    worker->next.exporter = NULL;
    lane->instance = (struct pst_instance){0};
    pthread_mutex_unlock(&worker->lock);
    pst_instance_done(&old);
    if (!made.exporter && made.type->create(made.settings, &made.exporter, NULL) < 0) {
        made.exporter = NULL;
        pst_instance_done(&made);
    }
    pthread_mutex_lock(&worker->lock);
    lane->instance = made;
    lane->generation = generation;
    if (replaced) /* what failed may work now */
        pst_gate_reset_wait(&worker->gate);
    return made.exporter && adopt(lane);
}

/* ---- work ---- */

/* Under the lock. */
static bool over(const struct pst_worker *worker, struct pst_queue_stats stats, uint64_t now_ns)
{
    return worker->finishing && (now_ns >= worker->finish_ns || stats.items == stats.taken);
}

/* Under the lock, which is given up meanwhile. */
static bool take(struct pst_worker *worker, struct pst_queue_entry **ret)
{
    worker->under_way++;
    pthread_mutex_unlock(&worker->lock);
    bool taken = pst_queue_take(worker->queue, ret);
    if (!taken)
        pst_worker_show_queue(worker); /* some may have expired */
    pthread_mutex_lock(&worker->lock);
    worker->under_way -= !taken;
    return taken;
}

/* Under the lock. False when it has waited for nothing. */
static bool wait(struct pst_worker *worker, bool waiting, uint64_t now_ns)
{
    uint64_t next_ns = worker->gate.next_ns;
    bool backoff = waiting && next_ns > now_ns;
    worker->idle++;
    int r = pst_worker_wait_until(worker, &worker->wake, backoff ? next_ns : now_ns + IDLE_NS);
    worker->idle--;
    return backoff || r == 0;
}

/* Under the lock: waits for an item. False when the lane is to end. */
static bool next_item(struct pst_lane *lane, struct pst_queue_entry **ret)
{
    struct pst_worker *worker = lane->worker;
    bool first = lane == worker->lanes;
    for (;;) {
        if (!adopt(lane))
            return false;
        uint64_t now_ns = pst_clock_monotonic_ns(), changes = worker->changes;
        struct pst_queue_stats stats = pst_queue_stats(worker->queue);
        bool waiting = stats.items > stats.taken;
        if (over(worker, stats, now_ns))
            return false;
        if (waiting && pst_gate_allows(&worker->gate, worker->under_way, now_ns)) {
            if (take(worker, ret))
                return true;
            if (worker->changes != changes)
                continue;
        }
        if (!wait(worker, waiting, now_ns) && !first)
            return false;
    }
}

/* What an instance of an earlier configuration delivered is no measure: it may have sent other
 * labels. */
static void begin(struct pst_export_progress *progress, unsigned generation)
{
    if (progress->generation == generation)
        return;
    progress->generation = generation;
    progress->samples_done = 0;
    progress->doubtful = 0;
}

/* Under the lock, which is given up meanwhile. */
static void attempt(struct pst_lane *lane, struct pst_queue_entry *entry)
{
    struct pst_worker *worker = lane->worker;
    bool last = worker->finishing;
    uint64_t started_ns = pst_clock_monotonic_ns();
    pst_lane_call(worker);
    begin(&entry->progress, lane->generation);
    pthread_mutex_unlock(&worker->lock);
    struct pst_export_verdict verdict =
        lane->instance.type->send(lane->instance.exporter, entry->item, &entry->progress);
    pst_metric_set(PST_METRIC_EXPORT_LATENCY, worker->name, NULL,
                   (double)(pst_clock_monotonic_ns() - started_ns) / (double)PST_NS_PER_S);
    pst_outcome_apply(worker, lane->instance.settings, entry, &verdict, started_ns);
    pst_worker_show_queue(worker);
    pthread_mutex_lock(&worker->lock);
    worker->under_way--;
    /* At the end every item gets one try: a backend that wants a retry will not get another. An
     * attempt that was under way when the end was announced is not that try. */
    if (last && verdict.word == PST_EXPORT_RETRY)
        worker->finish_ns = 0;
    pst_lane_wake(worker);
}

static void *run(void *argument)
{
    struct pst_lane *lane = argument;
    struct pst_worker *worker = lane->worker;
    struct pst_queue_entry *entry = NULL;
    pthread_mutex_lock(&worker->lock);
    worker->idle--;
    while (next_item(lane, &entry))
        attempt(lane, entry);
    struct pst_instance unused = lane->instance;
    lane->instance = (struct pst_instance){0};
    pthread_mutex_unlock(&worker->lock);
    pst_instance_done(&unused);
    pthread_mutex_lock(&worker->lock);
    /* From here on the thread is joined under the lock: it must not want it again. */
    lane->state = PST_LANE_ENDED;
    worker->running--;
    /* Those that wait for work that this lane had, or that will not come any more. */
    pst_lane_wake(worker);
    (void)pthread_cond_signal(&worker->ended);
    pthread_mutex_unlock(&worker->lock);
    return NULL;
}

/* Signals are the main thread's: this one, and libcurl's resolvers that it starts, take none. */
static bool start_thread(struct pst_lane *lane)
{
    sigset_t all, old;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    int r = pthread_create(&lane->thread, NULL, run, lane);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    return r == 0;
}

bool pst_lane_start(struct pst_worker *worker)
{
    struct pst_lane *lane = worker->lanes;
    while (lane->state == PST_LANE_RUNNING && lane < &worker->lanes[worker->gate.most - 1])
        lane++;
    if (lane->state == PST_LANE_RUNNING)
        return true;
    if (lane->state == PST_LANE_ENDED)
        (void)pthread_join(lane->thread, NULL);
    *lane = (struct pst_lane){.worker = worker, .state = PST_LANE_RUNNING};
    if (!start_thread(lane)) {
        lane->state = PST_LANE_UNUSED;
        return false;
    }
    char name[16];
    (void)snprintf(name, sizeof(name), "exp-%.11s", worker->name);
    (void)pthread_setname_np(lane->thread, name);
    worker->running++;
    worker->idle++; /* it will look for work before it waits */
    return true;
}

void pst_lane_call(struct pst_worker *worker)
{
    struct pst_queue_stats stats = pst_queue_stats(worker->queue);
    worker->changes++;
    size_t waiting = stats.items - stats.taken;
    if (!waiting || !pst_gate_allows(&worker->gate, worker->under_way, pst_clock_monotonic_ns()))
        return;
    if (worker->idle)
        (void)pthread_cond_signal(&worker->wake);
    else if (pst_gate_wants_lane(&worker->gate, worker->running, waiting))
        (void)pst_lane_start(worker);
}
