/* What the endpoint asks of the daemon, answered from snapshots and under one short lock. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/metrics.h"
#include "daemon.h"

enum { RELOAD_WAIT_S = 5, MAX_EXPORTER_ROWS = 64 };
/* The loop wakes four times a second. */
static const uint64_t loop_dead_ns = 10 * PST_NS_PER_S;

static struct pst_target_snapshot *hook_targets(void *context)
{
    struct pst_daemon *daemon = context;
    pthread_mutex_lock(&daemon->lock);
    struct pst_target_snapshot *snapshot =
        daemon->snapshot ? pst_target_snapshot_ref(daemon->snapshot) : NULL;
    pthread_mutex_unlock(&daemon->lock);
    return snapshot;
}

static bool hook_health(void *context, struct pst_buf *reason)
{
    struct pst_daemon *daemon = context;
    uint64_t age = pst_clock_monotonic_ns() - atomic_load(&daemon->heartbeat_ns);
    if (age < loop_dead_ns)
        return true;
    (void)pst_buf_printf(reason, "the main loop has not moved for %.0f s\n",
                         (double)age / (double)PST_NS_PER_S);
    return false;
}

static bool has_trouble(const struct pst_exporter_status *row)
{
    return row->state == PST_EXPORTER_FAILING || row->state == PST_EXPORTER_REJECTING;
}

static void tell_exporters(struct pst_daemon *daemon, struct pst_buf *reason)
{
    struct pst_exporter_status rows[MAX_EXPORTER_ROWS];
    size_t count = pst_exporters_status(daemon->exporters, rows, MAX_EXPORTER_ROWS);
    for (size_t i = 0; i < count && i < MAX_EXPORTER_ROWS; i++) {
        if (has_trouble(&rows[i])) {
            (void)pst_buf_printf(reason, "exporter %s is %s: ", rows[i].name,
                                 pst_exporter_state_word(rows[i].state));
            (void)pst_buf_escaped(reason, pst_str(rows[i].last_error));
            (void)pst_buf_puts(reason, "\n");
        }
        if (rows[i].queue_error < 0)
            (void)pst_buf_printf(reason, "exporter %s: the queue is not on disk: %s\n",
                                 rows[i].name, pst_exporter_queue_words(rows[i].queue_error));
    }
}

static bool hook_ready(void *context, struct pst_buf *reason)
{
    struct pst_daemon *daemon = context;
    pthread_mutex_lock(&daemon->lock);
    bool ready = daemon->ready;
    (void)pst_buf_str(reason, pst_buf_view(&daemon->ready_reason));
    pthread_mutex_unlock(&daemon->lock);
    tell_exporters(daemon, reason);
    if (daemon->store) {
        struct pst_store_stats stats;
        pst_store_stats(daemon->store, &stats);
        if (stats.degraded)
            (void)pst_buf_printf(reason, "the store is degraded: %s\n", stats.reason);
    }
    return ready;
}

/* The loop does the work; this thread waits for it, but not for ever. */
static int hook_reload(void *context, struct pst_error *error)
{
    struct pst_daemon *daemon = context;
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += RELOAD_WAIT_S;
    pthread_mutex_lock(&daemon->lock);
    unsigned mine = ++daemon->reload_asked;
    uint64_t one = 1;
    ssize_t ignored = write(daemon->wake_fd, &one, sizeof(one));
    (void)ignored;
    int waited = 0;
    while (daemon->reload_done < mine && waited == 0)
        waited = pthread_cond_timedwait(&daemon->reloaded, &daemon->lock, &until);
    int r = daemon->reload_done >= mine ? daemon->reload_result : -ETIMEDOUT;
    *error = daemon->reload_error;
    pthread_mutex_unlock(&daemon->lock);
    if (r == -ETIMEDOUT)
        (void)pst_error_set(error, PST_EXIT_FAILED, "reload", NULL, "the main loop is busy");
    return r;
}

static size_t count_fds(void)
{
    struct rlimit files;
    size_t count = 0;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return 0;
    for (int fd = 0; fd < (int)files.rlim_cur && fd < 4096; fd++)
        count += dup2(fd, fd) >= 0;
    return count;
}

/* The second number of statm; getrusage knows the highest that there ever was. */
static uint64_t resident_bytes(void)
{
    struct pst_buf text;
    uint64_t pages = 0;
    pst_buf_init(&text, 256);
    if (pst_io_read_file(AT_FDCWD, "/proc/self/statm", &text, true) == 0) {
        struct pst_str rest = pst_buf_view(&text), word;
        if (pst_str_next(&rest, ' ', &word) && pst_str_next(&rest, ' ', &word))
            (void)pst_str_u64(word, 10, UINT32_MAX, &pages);
    }
    pst_buf_done(&text);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void hook_refresh_metrics(void *context)
{
    struct pst_daemon *daemon = context;
    if (daemon->store)
        pst_store_update_metrics(daemon->store);
    pst_metric_set(PST_METRIC_PROCESS_RSS, NULL, NULL, (double)resident_bytes());
    pst_metric_set(PST_METRIC_PROCESS_FDS, NULL, NULL, (double)count_fds());
}

static const char *server_word(enum pst_exporter_state state)
{
    return state == PST_EXPORTER_FAILING ? "retrying" : pst_exporter_state_word(state);
}

static size_t hook_exporters(void *context, struct pst_server_exporter *out, size_t max)
{
    struct pst_daemon *daemon = context;
    struct pst_exporter_status rows[MAX_EXPORTER_ROWS];
    size_t count = pst_exporters_status(daemon->exporters, rows, MAX_EXPORTER_ROWS);
    if (count > MAX_EXPORTER_ROWS)
        count = MAX_EXPORTER_ROWS;
    for (size_t i = 0; i < count && i < max; i++) {
        struct pst_server_exporter *row = &out[i];
        *row = (struct pst_server_exporter){
            .sent = rows[i].delivered,
            .dropped = rows[i].dropped,
            .queued = rows[i].queue_items,
            .last_success_ns = (int64_t)rows[i].last_success_ns,
        };
        (void)snprintf(row->name, sizeof(row->name), "%.63s", rows[i].name);
        (void)snprintf(row->type, sizeof(row->type), "%s", rows[i].type);
        (void)snprintf(row->state, sizeof(row->state), "%s", server_word(rows[i].state));
        if (has_trouble(&rows[i]))
            (void)snprintf(row->reason, sizeof(row->reason), "%.150s", rows[i].last_error);
    }
    return count < max ? count : max;
}

int pst_daemon_start_server(struct pst_daemon *daemon, struct pst_error *error)
{
    struct pst_server_hooks hooks = {
        .context = daemon,
        .targets = hook_targets,
        .health = hook_health,
        .ready = hook_ready,
        .reload = hook_reload,
        .refresh_metrics = hook_refresh_metrics,
        .exporters = hook_exporters,
    };
    return pst_server_start(daemon->config, daemon->store, &hooks, &daemon->server, error);
}
