/* The endpoint over a store of made-up profiles, without the agent around it: what the tests of the
 * endpoint and of the page talk to. Prints its address, serves until SIGTERM or SIGINT.
 *   server_demo --listen ADDRESS --store DIRECTORY [--minutes N] [--services N] [--token-file FILE]
 *               [--targets N] [--not-ready TEXT] [--no-store] [--live] [--live-after SECONDS] */
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "../store/synth.h"
#include "base/log.h"
#include "base/metrics.h"
#include "server/server.h"

struct demo {
    char listen[256], token_file[256];
    const char *store, *not_ready;
    int minutes, services, targets, reloads;
    int live_after_s;
    bool no_store, live;
};

static const char *const service_names[] = {"shop-web",   "shop-worker", "mailer", "search",
                                            "thumbnails", "billing",     "ingest", "reports"};
enum { SERVICE_NAMES = sizeof(service_names) / sizeof(service_names[0]) };

static char *print(const char *format, int number)
{
    char text[128];
    (void)snprintf(text, sizeof(text), "%s%d", format, number);
    return strdup(text);
}

static struct pst_target_snapshot *targets(void *context)
{
    const struct demo *demo = context;
    struct pst_target_snapshot *snapshot = pst_target_snapshot_new((size_t)demo->targets);
    static const char *const states[] = {"active",  "active",  "active",
                                         "waiting", "skipped", "failed"};
    static const char *const reasons[] = {
        "",
        "",
        "",
        "interpreter not up yet",
        "younger than discovery.min_age",
        "process_vm_readv: not permitted (needs CAP_SYS_PTRACE; yama is 1)"};
    snapshot->taken_ns = (int64_t)pst_clock_realtime_ns();
    for (int i = 0; i < demo->targets; i++) {
        struct pst_target_row *row = &snapshot->rows[i];
        row->id = (uint64_t)i + 1;
        row->pid = 4000 + i;
        row->parent = 1;
        row->service = strdup(service_names[i % SERVICE_NAMES]);
        row->version = strdup(i % 2 ? "3.12.4" : "3.11.2");
        row->state = strdup(states[i % 6]);
        row->reason = strdup(reasons[i % 6]);
        row->command = print("gunicorn: worker <shop> & \"co\" ", i);
        row->exe = strdup("/usr/bin/python3");
        row->rate_hz = i % 6 < 3 ? 18.9 : 0;
        row->cpu_ratio = i % 6 < 3 ? 0.07 * (i + 1) : 0;
        row->threads = 5;
        row->samples = i % 6 < 3 ? 12345 : 0;
        row->torn = i % 6 < 3 ? 2 : 0;
        row->before = pst_meta_new();
        (void)pst_meta_set(row->before, PST_STR("service_name"), pst_str(row->service));
        row->why = strdup("service_name from command line: gunicorn\n");
        row->after = synth_labels(row->service, "pod-<1>");
    }
    return snapshot;
}

static bool health(void *context, struct pst_buf *reason)
{
    return true;
}

static bool ready(void *context, struct pst_buf *reason)
{
    const struct demo *demo = context;
    if (demo->not_ready)
        (void)pst_buf_puts(reason, demo->not_ready);
    return !demo->not_ready;
}

static int reload(void *context, struct pst_error *error)
{
    struct demo *demo = context;
    if (demo->reloads++ % 2 == 1)
        return pst_error_set(error, PST_EXIT_USAGE, "agent.yaml:3:7", "write a number",
                             "sampling.hz: \"fast\" is no number");
    return 0;
}

static size_t exporters(void *context, struct pst_server_exporter *rows, size_t max)
{
    if (max < 2)
        return 0;
    int64_t now = (int64_t)pst_clock_realtime_ns();
    rows[0] = (struct pst_server_exporter){.name = "pyroscope",
                                           .type = "pyroscope",
                                           .state = "ok",
                                           .sent = 1204,
                                           .last_success_ns = now - 4000000000LL};
    rows[1] = (struct pst_server_exporter){.name = "parca",
                                           .type = "parca",
                                           .state = "retrying",
                                           .reason = "connection refused",
                                           .sent = 880,
                                           .queued = 37,
                                           .last_success_ns = now - 95000000000LL};
    return 2;
}

static void fill(const struct demo *demo, struct pst_store *store)
{
    const int64_t window = 15000000000LL;
    int64_t now = (int64_t)pst_clock_realtime_ns();
    for (int i = demo->minutes * 4; i >= 1; i--)
        for (int s = 0; s < demo->services; s++)
            for (int mode = 0; mode < 2; mode++) {
                struct pst_item *item =
                    synth_item(service_names[s % SERVICE_NAMES], (enum pst_mode)mode,
                               (uint64_t)(s * 7 + i % 5), (size_t)(10 + 12 * ((i + s) % 4)),
                               now - i * window, window);
                pst_store_put(store, item);
                pst_item_unref(item);
                if (i % 64 == 0 && s == 0)
                    (void)pst_store_flush(store, 10 * PST_NS_PER_S);
            }
    (void)pst_store_flush(store, 30 * PST_NS_PER_S);
}

static atomic_bool ending;

/* New windows keep coming, as from a running agent. */
static int live_after_s;

static void *feed(void *store)
{
    for (int i = 0; i < live_after_s * 10 && !atomic_load(&ending); i++)
        (void)usleep(100000);
    for (int i = 0; !atomic_load(&ending); i++) {
        struct pst_item *item =
            synth_item("live", PST_MODE_CPU, 3, 12, (int64_t)pst_clock_realtime_ns() - 1000000000LL,
                       1000000000LL);
        pst_store_put(store, item);
        pst_item_unref(item);
        (void)usleep(1000000);
    }
    return NULL;
}

static int parse(int argc, char **argv, struct demo *demo)
{
    static const struct option options[] = {{"listen", 1, NULL, 'l'},
                                            {"store", 1, NULL, 's'},
                                            {"minutes", 1, NULL, 'm'},
                                            {"services", 1, NULL, 'n'},
                                            {"token-file", 1, NULL, 't'},
                                            {"targets", 1, NULL, 'g'},
                                            {"not-ready", 1, NULL, 'r'},
                                            {"no-store", 0, NULL, 'x'},
                                            {"live", 0, NULL, 'v'},
                                            {"live-after", 1, NULL, 'a'},
                                            {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'l':
            (void)snprintf(demo->listen, sizeof(demo->listen), "%s", optarg);
            break;
        case 't':
            (void)snprintf(demo->token_file, sizeof(demo->token_file), "%s", optarg);
            break;
        case 's':
            demo->store = optarg;
            break;
        case 'm':
            demo->minutes = atoi(optarg);
            break;
        case 'n':
            demo->services = atoi(optarg);
            break;
        case 'g':
            demo->targets = atoi(optarg);
            break;
        case 'r':
            demo->not_ready = optarg;
            break;
        case 'x':
            demo->no_store = true;
            break;
        case 'a':
            demo->live_after_s = atoi(optarg);
            demo->live = true;
            break;
        case 'v':
            demo->live = true;
            break;
        default:
            return 2;
        }
    }
    return demo->store || demo->no_store ? 0 : 2;
}

int main(int argc, char **argv)
{
    struct demo demo = {.listen = "127.0.0.1:0", .services = 3, .targets = 8};
    if (parse(argc, argv, &demo) != 0)
        return 2;
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    struct pst_error error = {0};
    struct pst_store *store = NULL;
    if (demo.store &&
        pst_store_open(demo.store, 24 * 3600 * PST_NS_PER_S, 256 << 20, &store, &error) < 0) {
        pst_error_print(stderr, &error);
        return error.code;
    }
    if (store)
        fill(&demo, store);
    pst_metric_set(PST_METRIC_BUILD_INFO, PST_VERSION, NULL, 1);
    pst_metric_add(PST_METRIC_SAMPLES, "cpu", NULL, 4711);
    pst_metric_add(PST_METRIC_SAMPLE_ERRORS, "torn", NULL, 3);
    struct pst_config config = {.server = {demo.listen, demo.token_file}};
    struct pst_server_hooks hooks = {.context = &demo,
                                     .targets = targets,
                                     .health = health,
                                     .ready = ready,
                                     .reload = reload,
                                     .exporters = exporters};
    struct pst_server *server = NULL;
    if (pst_server_start(&config, store, &hooks, &server, &error) < 0) {
        pst_error_print(stderr, &error);
        pst_store_close(store, PST_NS_PER_S);
        return error.code;
    }
    pthread_t feeder;
    live_after_s = demo.live_after_s;
    bool feeding = store && demo.live && pthread_create(&feeder, NULL, feed, store) == 0;
    (void)printf("listening on %s\n", pst_server_address(server));
    (void)fflush(stdout);
    int number;
    (void)sigwait(&signals, &number);
    pst_server_stop(server, 5 * PST_NS_PER_S);
    atomic_store(&ending, true);
    if (feeding)
        (void)pthread_join(feeder, NULL);
    pst_store_close(store, 5 * PST_NS_PER_S);
    return 0;
}
