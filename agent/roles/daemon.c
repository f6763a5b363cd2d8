/* The daemon: one epoll loop over links, signals and timers. It holds no capability and never
 * touches a target, the disk, DNS or the network itself: exporters, store and endpoint have
 * threads of their own. */
#include "daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/metrics.h"

enum {
    TICK_MS = 250,
    MESSAGES_PER_WAKE = 256, /* from one link, so that the others get their turn */
};
static const uint64_t publish_every_ns = PST_NS_PER_S;
/* Held windows do not wait for other targets' windows to come. */
static const uint64_t held_flush_ns = 20 * PST_NS_PER_S;
static const uint64_t metadata_stop_ns = PST_NS_PER_S / 2;
static const uint64_t watch_every_ns = 5 * PST_NS_PER_S;
static const uint64_t unknown_patience_ns = 10 * PST_NS_PER_S;
static const uint64_t store_close_ns = PST_NS_PER_S;
static const uint64_t server_stop_ns = PST_NS_PER_S / 2;
static const uint64_t deliver_ns = 2 * PST_NS_PER_S; /* where nobody says how long there is */
static const uint64_t after_delivery_ns = 1200 * PST_NS_PER_MS; /* attempts, endpoint, store end */

static void on_item(void *context, struct pst_item *item)
{
    struct pst_daemon *daemon = context;
    if (daemon->store)
        pst_store_put(daemon->store, item);
    pst_exporters_push(daemon->exporters, item);
    if (daemon->summary)
        pst_summary_state_item(daemon->summary, item);
}

/* ---- links ---- */

static bool read_facts(struct pst_daemon *daemon, char *buffer, size_t size)
{
    size_t fds = 0;
    ssize_t n = pst_link_receive(PST_FD_FACTS, buffer, size, NULL, 0, &fds);
    if (n <= 0 && n != -EMSGSIZE)
        return false;
    struct pst_link_facts message;
    if (n < 0 || pst_link_facts_decode(buffer, (size_t)n, &message) < 0) {
        pst_metric_add(PST_METRIC_LINK_REJECTED, "facts", NULL, 1);
        return true;
    }
    pst_daemon_facts(daemon, &message);
    pst_link_facts_done(&message);
    return true;
}

static void flush(struct pst_daemon *daemon)
{
    daemon->flush_at_ns = 0;
    daemon->flushed_ns = pst_clock_monotonic_ns();
    pst_merge_flush(daemon->merge);
    pst_daemon_release(daemon, false);
}

static void reader_report(struct pst_daemon *daemon, const struct pst_link_reader *reader)
{
    daemon->role_cpu_ns[PST_ROLE_SAMPLE] = reader->cpu_ns;
    daemon->role_memory_bytes[PST_ROLE_SAMPLE] = reader->memory_bytes;
    pst_daemon_measure_memory(daemon, reader->plan_generation);
    if (!reader->window_end)
        return;
    daemon->windows_ended++;
    pst_metric_add(PST_METRIC_OVERRUNS, NULL, NULL,
                   (double)pst_known_growth(&daemon->told_overruns, reader->totals.overruns));
    pst_metric_add(PST_METRIC_DROPPED_SAMPLES, "unsent_windows", NULL,
                   (double)pst_known_growth(&daemon->told_unsent, reader->unsent_windows));
    /* Which targets are the busiest is known anew after each window. */
    daemon->plan_due = daemon->plan_due || daemon->budget.target_share < 1;
    flush(daemon);
    pst_daemon_measure(daemon, pst_clock_monotonic_ns());
}

static void take_window(struct pst_daemon *daemon, const struct pst_link_up *up, const int *fds,
                        size_t fd_count)
{
    void *bodies[PST_MODE_COUNT] = {NULL};
    bool whole = fd_count == up->body_count;
    for (size_t i = 0; i < up->body_count && whole; i++)
        whole = pst_link_body_read(fds[i], up->bodies[i].bytes, &bodies[i]) == 0;
    if (whole)
        pst_daemon_window(daemon, up, bodies);
    else
        pst_metric_add(PST_METRIC_LINK_REJECTED, "windows", NULL, 1);
    for (size_t i = 0; i < PST_MODE_COUNT; i++)
        free(bodies[i]);
}

static bool read_windows(struct pst_daemon *daemon, char *buffer, size_t size)
{
    int fds[PST_MODE_COUNT];
    size_t fd_count = 0;
    ssize_t n = pst_link_receive(PST_FD_WINDOWS, buffer, size, fds, PST_MODE_COUNT, &fd_count);
    if (n <= 0 && n != -EMSGSIZE)
        return false;
    struct pst_link_up up;
    if (n < 0 || pst_link_up_decode(buffer, (size_t)n, &up) < 0)
        pst_metric_add(PST_METRIC_LINK_REJECTED, "windows", NULL, 1);
    else if (up.kind == PST_LINK_READER)
        reader_report(daemon, &up.reader);
    else
        take_window(daemon, &up, fds, fd_count);
    for (size_t i = 0; i < fd_count; i++)
        (void)close(fds[i]);
    return true;
}

static void drain(struct pst_daemon *daemon,
                  bool (*read_one)(struct pst_daemon *daemon, char *buffer, size_t size),
                  unsigned most)
{
    static char buffer[PST_MAX_LINK_MESSAGE_BYTES];
    for (unsigned i = 0; i < most && read_one(daemon, buffer, sizeof(buffer)); i++)
        ;
}

/* ---- what the supervisor says ---- */

static void on_role(struct pst_daemon *daemon, const struct pst_control *record)
{
    const char *word = pst_role_word((enum pst_role)record->role);
    switch (record->kind) {
    case PST_CONTROL_RESTARTED:
        pst_metric_set(PST_METRIC_ROLE_RESTARTS, word, NULL, (double)record->value);
        daemon->plan_due = true;
        break;
    case PST_CONTROL_DOWN:
        daemon->roles_down[record->role] = true;
        break;
    case PST_CONTROL_UP:
        daemon->roles_down[record->role] = false;
        daemon->plan_due = true;
        if (record->role == PST_ROLE_SCAN)
            (void)pst_daemon_send_discovery(daemon, true);
        break;
    case PST_CONTROL_STALLED:
    case PST_CONTROL_ABANDONED:
        pst_daemon_stalled(daemon, record);
        break;
    case PST_CONTROL_USAGE:
        daemon->role_cpu_ns[PST_ROLE_SUPERVISOR] = record->value;
        daemon->role_memory_bytes[PST_ROLE_SUPERVISOR] = record->extra;
        break;
    case PST_CONTROL_END:
        daemon->killed_at_ns = record->value;
        break;
    default:
        break;
    }
}

/* False when the supervisor has gone: without it nobody restarts the readers. */
static bool read_control(struct pst_daemon *daemon)
{
    struct pst_control record;
    int r;
    while ((r = pst_control_receive(PST_FD_CONTROL, &record)) == 0)
        on_role(daemon, &record);
    return r == -EAGAIN;
}

static void ask_stop(int code)
{
    struct pst_control record = {
        .kind = PST_CONTROL_STOP, .role = PST_ROLE_DAEMON, .value = (uint64_t)code};
    (void)pst_control_send(PST_FD_CONTROL, &record);
}

/* ---- signals, reload, timers ---- */

static void serve_reload(struct pst_daemon *daemon)
{
    pthread_mutex_lock(&daemon->lock);
    unsigned asked = daemon->reload_asked;
    bool due = asked != daemon->reload_done;
    pthread_mutex_unlock(&daemon->lock);
    if (!due)
        return;
    struct pst_error error = {0};
    int r = pst_daemon_reload(daemon, &error);
    if (r == 0 && daemon->watch)
        (void)pst_config_watch_follow(daemon->watch, daemon->config);
    pthread_mutex_lock(&daemon->lock);
    daemon->reload_done = asked;
    daemon->reload_result = r;
    daemon->reload_error = error;
    pthread_cond_broadcast(&daemon->reloaded);
    pthread_mutex_unlock(&daemon->lock);
}

/* Files are compared when inotify says so, and every few seconds where it cannot. */
static void follow_files(struct pst_daemon *daemon, bool told)
{
    uint64_t now_ns = pst_clock_monotonic_ns();
    if (!daemon->watch || (!told && now_ns - daemon->watched_ns < watch_every_ns))
        return;
    daemon->watched_ns = now_ns;
    struct pst_error error = {0};
    if (pst_config_watch_changed(daemon->watch) && pst_daemon_reload(daemon, &error) == 0)
        (void)pst_config_watch_follow(daemon->watch, daemon->config);
}

static void on_signal(struct pst_daemon *daemon)
{
    struct signalfd_siginfo info;
    while (read(daemon->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        struct pst_error error = {0};
        if (info.ssi_signo == SIGHUP && pst_daemon_reload(daemon, &error) == 0 && daemon->watch)
            (void)pst_config_watch_follow(daemon->watch, daemon->config);
        else if (info.ssi_signo != SIGHUP)
            daemon->ending = true;
    }
}

static void on_timer(struct pst_daemon *daemon)
{
    static uint64_t published_ns;
    static bool asked;
    uint64_t now_ns = pst_clock_monotonic_ns();
    if (now_ns - published_ns >= publish_every_ns) {
        pst_daemon_engines(daemon);
        pst_daemon_publish(daemon, now_ns);
        published_ns = now_ns;
    }
    if (pst_hold_count(daemon->hold) > 0 && now_ns - daemon->flushed_ns >= held_flush_ns)
        flush(daemon);
    if (daemon->flush_at_ns && now_ns >= daemon->flush_at_ns)
        flush(daemon);
    follow_files(daemon, false);
    if (daemon->summary)
        pst_daemon_summary(daemon, false);
    if (daemon->args.for_ns && !asked && now_ns - daemon->start_ns >= daemon->args.for_ns) {
        asked = true;
        ask_stop(PST_EXIT_OK);
    }
}

static void drain_counter(int fd)
{
    uint64_t count;
    ssize_t ignored = read(fd, &count, sizeof(count));
    (void)ignored;
}

static void serve(struct pst_daemon *daemon, int fd)
{
    if (fd == daemon->signal_fd)
        on_signal(daemon);
    else if (fd == daemon->timer_fd || fd == daemon->wake_fd)
        drain_counter(fd);
    else if (fd == pst_metadata_fd(daemon->metadata)) {
        drain_counter(fd);
        pst_daemon_engines(daemon);
    } else if (fd == PST_FD_FACTS)
        drain(daemon, read_facts, MESSAGES_PER_WAKE);
    else if (fd == PST_FD_WINDOWS)
        drain(daemon, read_windows, MESSAGES_PER_WAKE);
    else if (daemon->watch && fd == pst_config_watch_fd(daemon->watch))
        follow_files(daemon, true);
    else if (fd == PST_FD_CONTROL && !read_control(daemon))
        daemon->ending = true;
}

static int watch_fd(struct pst_daemon *daemon, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (fd < 0)
        return -errno;
    return epoll_ctl(daemon->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* Windows that came while no daemon was there, or before a new one knows the targets again, wait in
 * the link: nobody could say whose they are. */
static void read_windows_once_known(struct pst_daemon *daemon)
{
    bool known =
        daemon->scans > 0 || pst_clock_monotonic_ns() - daemon->start_ns >= unknown_patience_ns;
    if (!daemon->reads_windows && known)
        daemon->reads_windows = watch_fd(daemon, PST_FD_WINDOWS) == 0;
}

static void loop(struct pst_daemon *daemon)
{
    while (!daemon->ending) {
        struct epoll_event events[8];
        int n = epoll_wait(daemon->epoll_fd, events, PST_ARRAY_SIZE(events), TICK_MS);
        atomic_store(&daemon->heartbeat_ns, pst_clock_monotonic_ns());
        for (int i = 0; i < n; i++)
            serve(daemon, events[i].data.fd);
        serve_reload(daemon);
        read_windows_once_known(daemon);
        /* A daemon that starts again knows no target before the scan reader has told all: until
         * then the plan of its predecessor holds. */
        if (daemon->plan_due && daemon->scans > 0 && pst_daemon_send_plan(daemon) == 0)
            daemon->plan_due = false;
        on_timer(daemon);
    }
}

/* ---- start and end ---- */

static int open_loop(struct pst_daemon *daemon)
{
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    daemon->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    daemon->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    daemon->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    daemon->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct itimerspec every = {
        .it_interval = {.tv_nsec = TICK_MS * 1000000L},
        .it_value = {.tv_nsec = TICK_MS * 1000000L},
    };
    int r = timerfd_settime(daemon->timer_fd, 0, &every, NULL) < 0 ? -errno : 0;
    const int fds[] = {daemon->signal_fd, daemon->timer_fd, daemon->wake_fd, PST_FD_FACTS,
                       PST_FD_CONTROL};
    for (size_t i = 0; i < PST_ARRAY_SIZE(fds) && r == 0; i++)
        r = watch_fd(daemon, fds[i]);
    if (pst_config_watch_new(daemon->config, &daemon->watch) == 0 &&
        pst_config_watch_fd(daemon->watch) >= 0)
        (void)watch_fd(daemon, pst_config_watch_fd(daemon->watch));
    return r;
}

static void init_shared(struct pst_daemon *daemon)
{
    pthread_condattr_t attributes;
    (void)pthread_mutex_init(&daemon->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&daemon->reloaded, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    pst_buf_init(&daemon->ready_reason, 8192);
    (void)pst_buf_puts(&daemon->ready_reason, "starting\n");
    daemon->start_ns = pst_clock_monotonic_ns();
    atomic_store(&daemon->heartbeat_ns, daemon->start_ns);
    pst_budget_init(&daemon->budget);
    pst_daemon_show_budget(daemon);
}

static void first_metrics(void)
{
    double now = (double)(pst_clock_realtime_ns() / PST_NS_PER_S);
    pst_metric_set(PST_METRIC_BUILD_INFO, PST_VERSION, NULL, 1);
    pst_metric_set(PST_METRIC_RELOAD_OK, NULL, NULL, 1);
    pst_metric_set(PST_METRIC_RELOAD_TIME, NULL, NULL, now);
    pst_metric_set(PST_METRIC_PROCESS_START, NULL, NULL, now);
}

/* A store that cannot be had does not keep exporters from running, unless another agent owns it:
 * then this one was started by mistake. */
static int open_store(struct pst_daemon *daemon, struct pst_error *error)
{
    const struct pst_config *config = daemon->config;
    return pst_store_open(config->store.directory, config->store.retention_ns,
                          config->store.max_size_bytes, &daemon->store, error);
}

static int start_parts(struct pst_daemon *daemon, struct pst_error *error)
{
    daemon->known = pst_known_new();
    (void)pst_rules_new(daemon->config, &daemon->rules);
    daemon->merge = pst_merge_new(on_item, daemon);
    daemon->hold = pst_hold_new();
    daemon->summary = daemon->args.summary ? pst_summary_state_new() : NULL;
    if (!daemon->known || !daemon->rules || !daemon->merge || !daemon->hold ||
        (daemon->args.summary && !daemon->summary))
        return pst_error_set(error, PST_EXIT_FAILED, NULL, NULL, "out of memory");
    int r = open_loop(daemon);
    if (r < 0)
        return pst_error_set(error, PST_EXIT_FAILED, NULL, NULL, "cannot set up the main loop: %s",
                             strerror(-r));
    /* Its thread inherits the blocked signals. */
    r = pst_metadata_new(daemon->config, &daemon->metadata);
    if (r == 0)
        r = watch_fd(daemon, pst_metadata_fd(daemon->metadata));
    if (r < 0)
        return pst_error_set(error, PST_EXIT_FAILED, NULL, NULL,
                             "cannot start the thread for container metadata: %s", strerror(-r));
    r = pst_exporters_new(daemon->config, &daemon->exporters, error);
    if (r == 0)
        r = open_store(daemon, error);
    return r < 0 ? r : pst_daemon_start_server(daemon, error);
}

static void tell_started(const struct pst_daemon *daemon)
{
    const struct pst_config *config = daemon->config;
    for (size_t i = 0; i < config->warnings.count; i++)
        pst_log_warn("config", "%s", config->warnings.items[i]);
    pst_log_info("started", "pystrobe " PST_VERSION " at %.4g Hz, page on %s, %zu exporters",
                 config->sampling.hz, pst_server_address(daemon->server), config->exporter_count);
    if (!daemon->summary)
        return;
    (void)printf("pystrobe " PST_VERSION ": local page on %s\n",
                 pst_server_address(daemon->server));
    (void)fflush(stdout);
}

/* Until when exporters may go on delivering. */
static uint64_t deliver_until_ns(struct pst_daemon *daemon)
{
    uint64_t now_ns = pst_clock_monotonic_ns();
    (void)read_control(daemon); /* the signal may have been seen before what was said ahead of it */
    if (daemon->killed_at_ns > now_ns + after_delivery_ns)
        return daemon->killed_at_ns - after_delivery_ns;
    return daemon->killed_at_ns ? now_ns : now_ns + deliver_ns;
}

static void finish(struct pst_daemon *daemon)
{
    /* The readers have sent their open windows before the signal came. */
    drain(daemon, read_facts, UINT32_MAX);
    drain(daemon, read_windows, UINT32_MAX);
    pst_merge_flush(daemon->merge);
    pst_daemon_release(daemon, true);
    pst_daemon_publish(daemon, pst_clock_monotonic_ns());
    if (daemon->summary)
        pst_daemon_summary(daemon, true);
    pst_exporters_stop(daemon->exporters, deliver_until_ns(daemon));
    pst_server_stop(daemon->server, server_stop_ns);
    pst_store_close(daemon->store, store_close_ns);
    if (daemon->args.file_directory)
        (void)printf("profiles written to %s\n", daemon->args.file_directory);
    (void)fflush(stdout);
}

static void release(struct pst_daemon *daemon)
{
    pst_config_watch_free(daemon->watch);
    pst_exporters_free(daemon->exporters);
    pst_metadata_free(daemon->metadata, pst_clock_monotonic_ns() + metadata_stop_ns);
    pst_hold_free(daemon->hold);
    pst_merge_free(daemon->merge);
    pst_known_free(daemon->known);
    pst_summary_state_free(daemon->summary);
    pst_target_snapshot_unref(daemon->snapshot);
    pst_buf_done(&daemon->ready_reason);
    pst_rules_free(daemon->rules);
    pst_config_unref(daemon->config);
}

static bool parse_args(int argc, char **argv, struct pst_daemon_args *args)
{
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(word, "--summary") == 0) {
            args->summary = true;
            continue;
        }
        if (!value)
            return false;
        i++;
        if (strcmp(word, "--config") == 0)
            args->config_file = value;
        else if (strcmp(word, "--set") == 0 && args->set_count < PST_ARRAY_SIZE(args->set))
            args->set[args->set_count++] = value;
        else if (strcmp(word, "--exporter-file") == 0)
            args->file_directory = value;
        else if (strcmp(word, "--for-ns") != 0 ||
                 pst_str_u64(pst_str(value), 10, INT64_MAX, &args->for_ns) < 0)
            return false;
    }
    return true;
}

static int fail(const struct pst_error *error)
{
    pst_error_print(stderr, error);
    return error->code ? error->code : PST_EXIT_FAILED;
}

int pst_daemon_run(int argc, char **argv)
{
    static struct pst_daemon daemon;
    struct pst_error error = {0};
    if (!parse_args(argc, argv, &daemon.args)) {
        (void)pst_error_set(&error, PST_EXIT_USAGE, NULL, NULL, "the daemon was called wrongly");
        return fail(&error);
    }
    init_shared(&daemon);
    int r = pst_daemon_load(&daemon.args, &daemon.config, &error);
    if (r == 0) {
        pst_daemon_log_setup(daemon.config);
        r = start_parts(&daemon, &error);
    }
    if (r < 0)
        return fail(&error);
    first_metrics();
    pst_daemon_tell_native(&daemon);
    struct pst_control up = {.kind = PST_CONTROL_READY, .role = PST_ROLE_DAEMON};
    (void)pst_control_send(PST_FD_CONTROL, &up);
    /* A report that the predecessor did not read tells nothing of what this one knows. */
    drain(&daemon, read_facts, UINT32_MAX);
    daemon.scans = 0;
    (void)pst_daemon_send_discovery(&daemon, true);
    daemon.plan_due = true;
    tell_started(&daemon);
    loop(&daemon);
    finish(&daemon);
    release(&daemon);
    return PST_EXIT_OK;
}
