/* Workers and reload with exporters that only write down what they get. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "exporters/runner.h"
#include "worker.h"

struct pst_exporter {
    atomic_bool cancelled;
};

static _Atomic enum pst_export_word next_word;
static atomic_int sends, created, destroyed, at_once, most_at_once, overlaps, overtaken;
static atomic_bool hang;
static atomic_int slow_ms;
static atomic_int_fast64_t in_series[8]; /* the item under way, or minus the last one */

/* An item's number says its series: number % 8. */
static void enter(int64_t number)
{
    int now = atomic_fetch_add(&at_once, 1) + 1, most = atomic_load(&most_at_once);
    while (now > most && !atomic_compare_exchange_weak(&most_at_once, &most, now))
        continue;
    int64_t before = atomic_exchange(&in_series[number % 8], number);
    atomic_fetch_add(&overlaps, before > 0);
    atomic_fetch_add(&overtaken, -before > number);
}

static void leave(int64_t number)
{
    atomic_store(&in_series[number % 8], -number);
    atomic_fetch_sub(&at_once, 1);
}

static struct pst_export_verdict answer(struct pst_exporter *exporter)
{
    struct timespec duration = {.tv_nsec = atomic_load(&slow_ms) * 1000000L};
    (void)nanosleep(&duration, NULL);
    while (atomic_load(&hang) && !atomic_load(&exporter->cancelled)) {
        struct timespec pause = {.tv_nsec = 1000000};
        (void)nanosleep(&pause, NULL);
    }
    return (struct pst_export_verdict){.word = next_word, .reason = "fake", .detail = "as told"};
}

static struct pst_export_verdict fake_send(struct pst_exporter *exporter,
                                           const struct pst_item *item,
                                           struct pst_export_progress *progress)
{
    enter(item->time_ns);
    atomic_fetch_add(&sends, 1);
    struct pst_export_verdict verdict = answer(exporter);
    leave(item->time_ns);
    return verdict;
}

static int fake_create(const struct pst_config_exporter *settings, struct pst_exporter **ret,
                       struct pst_error *error)
{
    *ret = calloc(1, sizeof(struct pst_exporter));
    atomic_fetch_add(&created, 1);
    return *ret ? 0 : -ENOMEM;
}

static void fake_cancel(struct pst_exporter *exporter)
{
    atomic_store(&exporter->cancelled, true);
}

static void fake_destroy(struct pst_exporter *exporter)
{
    atomic_fetch_add(&destroyed, 1);
    free(exporter);
}

static struct pst_exporter_type fake = {.name = "fake",
                                        .create = fake_create,
                                        .send = fake_send,
                                        .cancel = fake_cancel,
                                        .destroy = fake_destroy};

static struct pst_config *load(const char *const *overrides, size_t count)
{
    char *environment[] = {NULL};
    struct pst_config *config = NULL;
    struct pst_error error = {0};
    if (pst_config_load(NULL, overrides, count, environment, &config, &error) < 0)
        fail_msg("%s", error.text);
    return config;
}

static struct pst_config_exporter settings;
static const char *spool_size = "spool.max_size=256MiB";
static char folder[] = "/tmp/pystrobe-runner-XXXXXX";

static struct pst_instance instance(void)
{
    settings.name = (char *)(uintptr_t) "fake";
    settings.type = settings.name;
    static int number;
    char spool[96];
    (void)snprintf(spool, sizeof(spool), "spool.directory=%s/%d", folder, number++);
    const char *overrides[] = {spool, spool_size};
    struct pst_exporter *made = NULL;
    assert_int_equal(fake_create(&settings, &made, NULL), 0);
    return (struct pst_instance){
        .type = &fake, .exporter = made, .settings = &settings, .config = load(overrides, 2)};
}

static struct pst_worker *start_lanes(enum pst_export_word word, unsigned lanes)
{
    next_word = word;
    atomic_store(&sends, 0);
    atomic_store(&created, 0);
    atomic_store(&destroyed, 0);
    atomic_store(&most_at_once, 0);
    atomic_store(&hang, false);
    for (int i = 0; i < 8; i++)
        atomic_store(&in_series[i], 0);
    fake.lanes = lanes;
    struct pst_worker *worker = pst_worker_new(instance());
    assert_non_null(worker);
    return worker;
}

static struct pst_worker *start(enum pst_export_word word)
{
    return start_lanes(word, 1);
}

static void push(struct pst_worker *worker, int64_t number)
{
    struct pst_profile_meta meta = {.mode = PST_MODE_CPU, .time_ns = number};
    struct pst_labels *labels = pst_labels_new();
    struct pst_item *item = NULL;
    char series[2] = {(char)('a' + number % 8), '\0'};
    assert_int_equal(pst_labels_set(labels, PST_STR("service_name"), pst_str(series)), 0);
    assert_int_equal(pst_item_from_body(labels, &meta, 1, 1, "body", 4, &item), 0);
    pst_worker_push(worker, item);
    pst_item_unref(item);
    pst_labels_free(labels);
}

static struct pst_exporter_status wait_sends(struct pst_worker *worker, int count, size_t left)
{
    struct pst_exporter_status status;
    for (int i = 0; i < 5000; i++) {
        pst_worker_status(worker, &status);
        if (atomic_load(&sends) >= count && status.queue_items == left)
            return status;
        struct timespec pause = {.tv_nsec = 1000000};
        (void)nanosleep(&pause, NULL);
    }
    fail_msg("%d sends, %zu left", atomic_load(&sends), status.queue_items);
    return status;
}

static uint64_t in_ms(uint64_t ms)
{
    return pst_clock_monotonic_ns() + ms * PST_NS_PER_MS;
}

static void end(struct pst_worker *worker)
{
    pst_worker_finish(worker, in_ms(1000), "shutdown");
    pst_worker_join(worker, in_ms(3000));
    assert_int_equal(atomic_load(&destroyed), atomic_load(&created));
}

static void delivered_items_are_counted_and_gone(void **state)
{
    double before = pst_metric_get(PST_METRIC_EXPORT_SENT, "fake", NULL);
    struct pst_worker *worker = start(PST_EXPORT_DELIVERED);
    for (int i = 0; i < 5; i++)
        push(worker, i);
    struct pst_exporter_status status = wait_sends(worker, 5, 0);
    assert_int_equal(status.delivered, 5);
    assert_int_equal(status.state, PST_EXPORTER_OK);
    assert_true(pst_metric_get(PST_METRIC_EXPORT_SENT, "fake", NULL) == before + 5);
    end(worker);
}

static void rejected_items_are_counted_by_reason_and_gone(void **state)
{
    double before = pst_metric_get(PST_METRIC_EXPORT_DROPPED, "fake", "fake");
    struct pst_worker *worker = start(PST_EXPORT_REJECTED);
    push(worker, 1);
    push(worker, 2);
    struct pst_exporter_status status = wait_sends(worker, 2, 0);
    assert_int_equal(status.dropped, 2);
    assert_int_equal(status.state, PST_EXPORTER_REJECTING);
    assert_string_equal(status.last_error, "fake: as told");
    assert_true(pst_metric_get(PST_METRIC_EXPORT_DROPPED, "fake", "fake") == before + 2);
    end(worker);
}

static void a_retry_keeps_the_item_and_the_end_tries_once_more(void **state)
{
    double before = pst_metric_get(PST_METRIC_EXPORT_DROPPED, "fake", "shutdown");
    struct pst_worker *worker = start(PST_EXPORT_RETRY);
    push(worker, 1);
    push(worker, 2);
    while (wait_sends(worker, 1, 2).state != PST_EXPORTER_FAILING)
        continue;
    int sent = atomic_load(&sends);
    pst_worker_finish(worker, in_ms(5000), "shutdown");
    pst_worker_join(worker, in_ms(6000));
    assert_in_range(atomic_load(&sends), sent + 1, sent + 2);
    /* They are on disk. */
    assert_true(pst_metric_get(PST_METRIC_EXPORT_DROPPED, "fake", "shutdown") == before);
}

static void a_hanging_attempt_is_cancelled(void **state)
{
    struct pst_worker *worker = start(PST_EXPORT_RETRY);
    atomic_store(&hang, true);
    push(worker, 1);
    (void)wait_sends(worker, 1, 1);
    uint64_t started_ns = pst_clock_monotonic_ns();
    pst_worker_finish(worker, in_ms(10), "shutdown");
    pst_worker_cancel(worker);
    pst_worker_join(worker, in_ms(3000));
    assert_true(pst_clock_monotonic_ns() - started_ns < 2 * PST_NS_PER_S);
    assert_int_equal(atomic_load(&destroyed), 1);
}

static void a_replacement_takes_over_the_queue_at_once(void **state)
{
    struct pst_worker *worker = start(PST_EXPORT_RETRY);
    push(worker, 1);
    while (wait_sends(worker, 1, 1).state != PST_EXPORTER_FAILING)
        continue;
    next_word = PST_EXPORT_DELIVERED;
    pst_worker_replace(worker, instance());
    struct pst_exporter_status status = wait_sends(worker, 2, 0);
    assert_int_equal(status.delivered, 1);
    assert_int_equal(atomic_load(&destroyed), 1);
    pst_worker_finish(worker, in_ms(100), "shutdown");
    pst_worker_join(worker, in_ms(3000));
    assert_int_equal(atomic_load(&destroyed), 2);
}

static void a_replacement_brings_the_bounds_of_the_queue(void **state)
{
    struct pst_worker *worker = start(PST_EXPORT_RETRY);
    struct pst_exporter_status status;
    for (int n = 1; n <= 2500; n++)
        push(worker, n);
    pst_worker_status(worker, &status);
    assert_int_equal(status.queue_items, 2500);
    spool_size = "spool.max_size=1MiB";
    pst_worker_replace(worker, instance());
    spool_size = "spool.max_size=256MiB";
    push(worker, 2501);
    pst_worker_status(worker, &status);
    assert_true(status.queue_bytes <= 1 << 20);
    end(worker);
}

/* What the process writes to stderr meanwhile. */
static int begin_log(int *ret_read)
{
    int pipes[2], kept = dup(STDERR_FILENO);
    assert_int_equal(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(dup2(pipes[1], STDERR_FILENO), STDERR_FILENO);
    (void)close(pipes[1]);
    *ret_read = pipes[0];
    return kept;
}

static void end_log(int kept, int from, char *text, size_t size)
{
    assert_int_equal(dup2(kept, STDERR_FILENO), STDERR_FILENO);
    ssize_t n = read(from, text, size - 1);
    text[n > 0 ? n : 0] = '\0';
    (void)close(kept);
    (void)close(from);
}

static void what_a_full_queue_drops_has_a_line_and_its_number(void **state)
{
    char text[8192];
    int from = -1;
    struct pst_worker *worker = start(PST_EXPORT_RETRY);
    spool_size = "spool.max_size=1MiB";
    pst_worker_replace(worker, instance());
    spool_size = "spool.max_size=256MiB";
    int kept = begin_log(&from);
    for (int n = 1; n <= 2600; n++)
        push(worker, n);
    end(worker);
    end_log(kept, from, text, sizeof(text));
    assert_non_null(strstr(text, "cause=exporter_dropped"));
    assert_non_null(strstr(text, "exporter fake: gave up 1 of its profiles: queue_full: no more"));
    char *last = strstr(strstr(text, "queue_full") + 1, "of its profiles: queue_full");
    assert_non_null(last);
    assert_null(strstr(last + 1, "of its profiles")); /* one line for all the others */
}

static void names_of_queue_files_are_told_from_others(void **state)
{
    static const char *const ours[] = {"pyroscope-a-01234567", "file-a-b-89abcdef",
                                       "otlp--fedcba98"};
    static const char *const others[] = {"mail",           "mail-a-01234567",  "file-01234567",
                                         "file-a-0123456", "file-a-0123456g",  "-a-01234567",
                                         "file",           "file-a-012345678", ""};
    char made[128];
    pst_worker_file_name("parca", "a/b", made, sizeof(made));
    assert_true(pst_worker_is_file_name(made));
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        assert_true(pst_worker_is_file_name(ours[i]));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_false(pst_worker_is_file_name(others[i]));
}

/* ---- lanes ---- */

static void wait_for(atomic_int *number, int least)
{
    for (int i = 0; i < 10000 && atomic_load(number) < least; i++) {
        struct timespec pause = {.tv_nsec = 1000000};
        (void)nanosleep(&pause, NULL);
    }
    assert_true(atomic_load(number) >= least);
}

static void lanes_send_at_once_and_each_series_in_order(void **state)
{
    atomic_store(&overlaps, 0);
    atomic_store(&overtaken, 0);
    struct pst_worker *worker = start_lanes(PST_EXPORT_DELIVERED, 6);
    atomic_store(&slow_ms, 20);
    for (int i = 0; i < 24; i++)
        push(worker, i + 8);
    (void)wait_sends(worker, 24, 0);
    atomic_store(&slow_ms, 0);
    atomic_store(&hang, true);
    for (int i = 0; i < 800; i++)
        push(worker, 1000 + i);
    wait_for(&at_once, 6); /* of 8 series, no more than there are lanes */
    struct pst_exporter_status status;
    pst_worker_status(worker, &status);
    assert_int_equal(status.queue_items, 800);
    atomic_store(&hang, false);
    status = wait_sends(worker, 824, 0);
    assert_int_equal(status.delivered, 824);
    assert_int_equal(atomic_load(&most_at_once), 6);
    assert_int_equal(atomic_load(&overlaps), 0);
    assert_int_equal(atomic_load(&overtaken), 0);
    end(worker);
}

static void a_dead_backend_sees_one_attempt_at_a_time(void **state)
{
    settings.retry_initial_ns = settings.retry_max_ns = 20 * PST_NS_PER_MS;
    struct pst_worker *worker = start_lanes(PST_EXPORT_RETRY, 6);
    for (int i = 0; i < 40; i++)
        push(worker, i + 8);
    wait_for(&sends, 20);
    assert_int_equal(atomic_load(&most_at_once), 1);
    assert_int_equal(atomic_load(&created), 1);
    next_word = PST_EXPORT_DELIVERED;
    struct pst_exporter_status status = wait_sends(worker, 50, 0);
    assert_int_equal(status.delivered, 40);
    assert_int_equal(status.state, PST_EXPORTER_OK);
    settings.retry_initial_ns = settings.retry_max_ns = 0;
    end(worker);
}

static void the_end_uses_all_lanes_at_once(void **state)
{
    struct pst_worker *worker = start_lanes(PST_EXPORT_DELIVERED, 6);
    atomic_store(&hang, true);
    for (int i = 0; i < 40; i++)
        push(worker, i + 8);
    wait_for(&at_once, 1);
    assert_int_equal(atomic_load(&most_at_once), 1); /* nothing was delivered yet */
    pst_worker_finish(worker, in_ms(20000), "shutdown");
    wait_for(&at_once, 6);
    atomic_store(&hang, false);
    pst_worker_join(worker, in_ms(20000));
    assert_int_equal(atomic_load(&sends), 40);
    assert_int_equal(atomic_load(&destroyed), atomic_load(&created));
}

/* ---- the whole list ---- */

static void reload_takes_the_new_list_whole_or_keeps_the_old(void **state)
{
    const char *directory = folder;
    char file[128], text[512];
    (void)snprintf(file, sizeof(file), "%s/config.yaml", directory);
    static const char *const names[][2] = {{"one", "two"}, {"two", "three"}};
    struct pst_exporters *exporters = NULL;
    struct pst_error error = {0};
    struct pst_exporter_status status[4];
    char *environment[] = {NULL};
    for (int i = 0; i < 2; i++) {
        FILE *out = fopen(file, "w");
        (void)snprintf(text, sizeof(text),
                       "spool: {directory: %s}\nexporters: [{type: file, name: %s, directory: %s}, "
                       "{type: file, name: %s, directory: %s}]\n",
                       directory, names[i][0], directory, names[i][1], directory);
        (void)fputs(text, out);
        (void)fclose(out);
        struct pst_config *config = NULL;
        if (pst_config_load(file, NULL, 0, environment, &config, &error) < 0)
            fail_msg("%s", error.text);
        int r = i == 0 ? pst_exporters_new(config, &exporters, &error)
                       : pst_exporters_reload(exporters, config, &error);
        assert_int_equal(r, 0);
        (void)pst_config_unref(config);
    }
    assert_int_equal(pst_exporters_status(exporters, status, 4), 2);
    assert_string_equal(status[0].name, "two");
    assert_string_equal(status[1].name, "three");
    pst_exporters_stop(exporters, in_ms(100));
    assert_int_equal(pst_exporters_status(exporters, status, 4), 0);
    (void)pst_exporters_free(exporters);
}

static void every_type_of_the_list_is_there(void **state)
{
    static const char *const names[] = {"pyroscope", "parca", "otlp", "file"};
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(pst_exporter_type(pst_str(names[i]))->name, names[i]);
    assert_null(pst_exporter_type(PST_STR("kafka")));
}

static int remove_one(const char *path, const struct stat *stat, int flag, struct FTW *ftw)
{
    (void)remove(path);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delivered_items_are_counted_and_gone),
        cmocka_unit_test(rejected_items_are_counted_by_reason_and_gone),
        cmocka_unit_test(a_retry_keeps_the_item_and_the_end_tries_once_more),
        cmocka_unit_test(a_hanging_attempt_is_cancelled),
        cmocka_unit_test(a_replacement_takes_over_the_queue_at_once),
        cmocka_unit_test(a_replacement_brings_the_bounds_of_the_queue),
        cmocka_unit_test(what_a_full_queue_drops_has_a_line_and_its_number),
        cmocka_unit_test(names_of_queue_files_are_told_from_others),
        cmocka_unit_test(lanes_send_at_once_and_each_series_in_order),
        cmocka_unit_test(a_dead_backend_sees_one_attempt_at_a_time),
        cmocka_unit_test(the_end_uses_all_lanes_at_once),
        cmocka_unit_test(reload_takes_the_new_list_whole_or_keeps_the_old),
        cmocka_unit_test(every_type_of_the_list_is_there),
    };
    if (!mkdtemp(folder))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return failed;
}
