/* Sends profiles through the exporters of a configuration and says what became of them, as JSON:
 * the agent's delivery without the agent. Driven by the tests beside it.
 *
 *   exporter_push --config FILE [--label NAME=VALUE]... [--wait SECONDS] [--stop SECONDS]
 *                 [--probe] [--age SECONDS] [--repeat N] [--series N] (FILE.pb.gz |
 * made:THREADS:STACKS:MODE)...
 *
 * With --series each profile goes out once for each of N services named series-0 and up.
 * A made profile has STACKS different leaves for each of THREADS named threads. It ends when all is
 * delivered or given up, or after --wait, but not before each exporter has had an answer, for which
 * a busy machine may need longer; then it stops the exporters with --stop as the deadline. SIGTERM
 * stops at once. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/limits.h"
#include "base/metrics.h"
#include "exporters/exporter.h"
#include "exporters/runner.h"
#include "profile/pprof.h"

#define MAX_ITEMS 4096
#define ANSWER_S  20.0

static volatile sig_atomic_t terminated;
extern char **environ;

struct options {
    const char *config_file;
    struct pst_labels *labels;
    double wait_s, stop_s, age_s;
    unsigned repeat, series;
    bool probe;
    const char *profiles[64];
    size_t profile_count;
};

static void on_term(int signal_number)
{
    terminated = signal_number;
}

static void die(const char *what, const char *detail)
{
    (void)fprintf(stderr, "exporter_push: %s: %s\n", what, detail);
    exit(2);
}

static void need(int r, const char *what)
{
    if (r < 0)
        die(what, strerror(-r));
}

static uint32_t leaf(struct pst_profile *profile, const char *name, int64_t line)
{
    struct pst_function function = {.start_line = 1};
    uint32_t id = 0, location = 0;
    need(pst_profile_string(profile, pst_str(name), &function.name), "name");
    function.system_name = function.name;
    need(pst_profile_string(profile, PST_STR("/app/shop.py"), &function.filename), "file");
    need(pst_profile_function(profile, &function, &id), "function");
    need(pst_profile_location(profile, id, line, &location), "location");
    return location;
}

static struct pst_profile *make_profile(unsigned threads, unsigned stacks, enum pst_mode mode)
{
    struct pst_profile *profile = pst_profile_new(mode);
    uint32_t key = 0, tid_key = 0;
    need(profile ? 0 : -ENOMEM, "profile");
    need(pst_profile_string(profile, PST_STR("thread_name"), &key), "label");
    need(pst_profile_string(profile, PST_STR("thread_id"), &tid_key), "label");
    uint32_t stack[3] = {0, leaf(profile, "Shop.handle", 20), leaf(profile, "<module>", 3)};
    for (unsigned s = 0; s < stacks; s++) {
        char name[64];
        (void)snprintf(name, sizeof(name), "Shop.step_%u", s);
        stack[0] = leaf(profile, name, 100 + s);
        for (unsigned t = 0; t < threads; t++) {
            struct pst_label labels[2] = {{.key = key}, {.key = tid_key, .numeric = true}};
            (void)snprintf(name, sizeof(name), "worker-%u", t);
            need(pst_profile_string(profile, pst_str(name), &labels[0].str), "thread");
            labels[1].num = 1000 + t;
            need(pst_profile_add(profile, stack, 3, labels, 2, 1, 10000000 * (int64_t)(s % 5 + 1)),
                 "sample");
        }
    }
    need(pst_profile_add_comment(profile, PST_STR("made by exporter_push")), "comment");
    return profile;
}

static struct pst_profile *read_profile(const char *path)
{
    struct pst_buf bytes;
    struct pst_profile *profile = NULL;
    pst_buf_init(&bytes, PST_MAX_PPROF_BYTES);
    need(pst_io_read_file(AT_FDCWD, path, &bytes, false), path);
    need(pst_pprof_decode(bytes.data, bytes.len, &profile), path);
    pst_buf_done(&bytes);
    return profile;
}

static struct pst_item *make_item(const struct options *options, const char *what, unsigned number)
{
    unsigned threads = 0, stacks = 0;
    char word[16] = "";
    struct pst_profile *profile = NULL;
    struct pst_item *item = NULL;
    if (sscanf(what, "made:%u:%u:%15s", &threads, &stacks, word) == 3) {
        enum pst_mode mode = PST_MODE_CPU;
        need(pst_mode_parse(pst_str(word), &mode), word);
        profile = make_profile(threads, stacks, mode);
        struct pst_profile_meta meta = {
            .mode = mode,
            .time_ns = (int64_t)pst_clock_realtime_ns() -
                       (int64_t)(options->age_s * (double)PST_NS_PER_S) + number,
            .duration_ns = 10 * (int64_t)PST_NS_PER_S,
            .period_ns = 10000000,
        };
        pst_profile_set_meta(profile, &meta);
    } else {
        profile = read_profile(what);
    }
    need(pst_item_new(options->labels, profile, &item), "item");
    pst_profile_free(profile);
    return item;
}

static void set_label(struct options *options, const char *pair)
{
    struct pst_str text = pst_str(pair);
    size_t equals = pst_str_find(text, '=');
    if (equals == text.len)
        die("label without =", pair);
    need(
        pst_labels_set(options->labels, (struct pst_str){pair, equals}, pst_str(pair + equals + 1)),
        pair);
}

static void parse(int argc, char **argv, struct options *options)
{
    options->wait_s = 30;
    options->stop_s = 1;
    options->repeat = 1;
    options->labels = pst_labels_new();
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(word, "--probe") == 0) {
            options->probe = true;
            continue;
        }
        if (word[0] != '-') {
            if (options->profile_count == 64)
                die("too many profiles", word);
            options->profiles[options->profile_count++] = word;
            continue;
        }
        i++;
        if (strcmp(word, "--config") == 0)
            options->config_file = value;
        else if (strcmp(word, "--label") == 0)
            set_label(options, value);
        else if (strcmp(word, "--wait") == 0)
            options->wait_s = strtod(value, NULL);
        else if (strcmp(word, "--stop") == 0)
            options->stop_s = strtod(value, NULL);
        else if (strcmp(word, "--age") == 0)
            options->age_s = strtod(value, NULL);
        else if (strcmp(word, "--repeat") == 0)
            options->repeat = (unsigned)strtoul(value, NULL, 10);
        else if (strcmp(word, "--series") == 0)
            options->series = (unsigned)strtoul(value, NULL, 10);
        else
            die("unknown option", word);
    }
}

static bool settled(struct pst_exporters *exporters, uint64_t pushed)
{
    struct pst_exporter_status status[16];
    size_t count = pst_exporters_status(exporters, status, 16);
    for (size_t i = 0; i < count && i < 16; i++) {
        if (status[i].delivered + status[i].dropped < pushed)
            return false;
    }
    return true;
}

static bool all_had_an_answer(struct pst_exporters *exporters)
{
    struct pst_exporter_status status[16];
    size_t count = pst_exporters_status(exporters, status, 16);
    for (size_t i = 0; i < count && i < 16; i++) {
        if (status[i].delivered + status[i].dropped + status[i].failures == 0)
            return false;
    }
    return true;
}

static json_t *status_json(struct pst_exporters *exporters)
{
    struct pst_exporter_status status[16];
    size_t count = pst_exporters_status(exporters, status, 16);
    json_t *list = json_object();
    for (size_t i = 0; i < count && i < 16; i++) {
        json_t *entry = json_pack(
            "{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:f}", "type", status[i].type, "state",
            pst_exporter_state_word(status[i].state), "last_error", status[i].last_error,
            "delivered", (json_int_t)status[i].delivered, "dropped", (json_int_t)status[i].dropped,
            "failures", (json_int_t)status[i].failures, "queued", (json_int_t)status[i].queue_items,
            "retry_in_s", (double)status[i].retry_in_ns / (double)PST_NS_PER_S);
        if (entry)
            json_object_set_new(list, status[i].name, entry);
    }
    return list;
}

static json_t *metrics_json(void)
{
    struct pst_buf text;
    pst_buf_init(&text, 1 << 20);
    need(pst_metrics_write(&text), "metrics");
    json_t *value = json_string(text.data);
    pst_buf_done(&text);
    return value;
}

static void print_result(json_t *status, json_t *metrics, double seconds, double stop_seconds)
{
    json_t *root = json_pack("{s:o, s:f, s:f, s:o, s:o}", "exporters", status, "seconds", seconds,
                             "stop_seconds", stop_seconds, "metrics", metrics, "metrics_after_stop",
                             metrics_json());
    (void)json_dumpf(root, stdout, JSON_INDENT(1));
    (void)putchar('\n');
    json_decref(root);
}

static int probe(const struct pst_config *config)
{
    int result = 0;
    for (size_t i = 0; i < config->exporter_count; i++) {
        const struct pst_exporter_type *type =
            pst_exporter_type(pst_str(config->exporters[i].type));
        struct pst_exporter *exporter = NULL;
        struct pst_error error = {0};
        if (!type || type->create(&config->exporters[i], &exporter, &error) < 0)
            die("exporter", error.text);
        struct pst_export_verdict verdict = type->probe(exporter);
        (void)printf("%s %s %s %s\n", config->exporters[i].name,
                     verdict.word == PST_EXPORT_DELIVERED ? "reached" : "failed", verdict.reason,
                     verdict.detail);
        result |= verdict.word != PST_EXPORT_DELIVERED;
        type->destroy(exporter);
    }
    return result;
}

static double since(uint64_t start_ns)
{
    return (double)(pst_clock_monotonic_ns() - start_ns) / (double)PST_NS_PER_S;
}

static void push_one(const struct options *options, struct pst_exporters *exporters,
                     const char *profile)
{
    static unsigned number;
    struct pst_item *item = make_item(options, profile, number++);
    pst_exporters_push(exporters, item);
    pst_item_unref(item);
}

static void push_series(struct options *options, struct pst_exporters *exporters,
                        const char *profile)
{
    for (unsigned i = 0; i < options->series; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "series-%u", i);
        need(pst_labels_set(options->labels, PST_STR("service_name"), pst_str(name)), name);
        push_one(options, exporters, profile);
    }
}

static uint64_t push_all(struct options *options, struct pst_exporters *exporters)
{
    for (unsigned r = 0; r < options->repeat; r++) {
        for (size_t i = 0; i < options->profile_count; i++) {
            if (options->series)
                push_series(options, exporters, options->profiles[i]);
            else
                push_one(options, exporters, options->profiles[i]);
        }
    }
    return (uint64_t)options->repeat * options->profile_count *
           (options->series ? options->series : 1);
}

int main(int argc, char **argv)
{
    struct options options = {0};
    struct pst_error error = {0};
    struct pst_config *config = NULL;
    struct pst_exporters *exporters = NULL;
    (void)signal(SIGTERM, on_term);
    parse(argc, argv, &options);
    if (pst_config_load(options.config_file, NULL, 0, environ, &config, &error) < 0) {
        pst_error_print(stderr, &error);
        return 2;
    }
    if (options.probe) {
        int result = probe(config);
        (void)pst_config_unref(config);
        pst_labels_free(options.labels);
        return result;
    }
    if (pst_exporters_new(config, &exporters, &error) < 0) {
        pst_error_print(stderr, &error);
        return 2;
    }
    uint64_t start_ns = pst_clock_monotonic_ns();
    uint64_t pushed = push_all(&options, exporters);
    while (!terminated && !settled(exporters, pushed) &&
           since(start_ns) < (all_had_an_answer(exporters) ? 0 : ANSWER_S) + options.wait_s) {
        struct timespec pause = {.tv_nsec = 5000000};
        (void)nanosleep(&pause, NULL);
    }
    double seconds = since(start_ns);
    json_t *status = status_json(exporters), *metrics = metrics_json();
    uint64_t stop_ns = pst_clock_monotonic_ns();
    pst_exporters_stop(exporters, stop_ns + (uint64_t)(options.stop_s * (double)PST_NS_PER_S));
    print_result(status, metrics, seconds, since(stop_ns));
    (void)pst_exporters_free(exporters);
    (void)pst_config_unref(config);
    pst_labels_free(options.labels);
    return 0;
}
