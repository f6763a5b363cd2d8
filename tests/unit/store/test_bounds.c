/* The store's bounds: size and age free disk, the queue never blocks, an hour out of a day is
 * merged quickly and within little memory. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/metrics.h"
#include "folder.h"
#include "internal.h"
#include "synth.h"

static const uint64_t second = 1000000000ULL;
static const int64_t window = 15000000000LL;
static const uint64_t day = 86400000000000ULL, mib = 1048576;

static struct pst_store *open_store(uint64_t retention_ns, uint64_t max_bytes)
{
    struct pst_store *store = NULL;
    struct pst_error error = {0};
    if (pst_store_open(directory, retention_ns, max_bytes, &store, &error) < 0)
        fail_msg("%s", error.text);
    return store;
}

static uint64_t disk_bytes(void)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/store.db", directory);
    return pst_store_disk_bytes(path);
}

/* Waits for the writer's next turns until the condition holds. */
#define eventually(store, condition)                                                               \
    do {                                                                                           \
        struct pst_store_stats stats;                                                              \
        bool held = false;                                                                         \
        for (int turn = 0; turn < 300 && !held; turn++) {                                          \
            pst_store_stats(store, &stats);                                                        \
            held = (condition);                                                                    \
            if (!held)                                                                             \
                (void)usleep(100000);                                                              \
        }                                                                                          \
        if (!held)                                                                                 \
            fail_msg("never: %s (%llu profiles, %llu bytes)", #condition,                          \
                     (unsigned long long)stats.profiles, (unsigned long long)stats.bytes);         \
    } while (0)

/* One body for many rows: what is measured here is the store, not the encoder. */
static struct pst_item *item_at(const struct pst_item *body, const char *service, int64_t time_ns)
{
    struct pst_labels *labels = synth_labels(service, "");
    struct pst_profile_meta meta = {body->mode, time_ns, window, 52631578};
    struct pst_item *item = NULL;
    assert_int_equal(pst_item_from_body(labels, &meta, body->samples, body->value_ns, body->body,
                                        body->body_bytes, &item),
                     0);
    pst_labels_free(labels);
    return item;
}

static void fill(struct pst_store *store, const struct pst_item *body, int count, int64_t first_ns)
{
    for (int i = 0; i < count; i++) {
        struct pst_item *item = item_at(body, "shop", first_ns + i * INT64_C(1000000));
        pst_store_put(store, item);
        pst_item_unref(item);
        if (i % 1000 == 999)
            assert_true(pst_store_flush(store, 30 * second));
    }
    assert_true(pst_store_flush(store, 30 * second));
}

static void test_size_is_bounded_and_the_oldest_goes_first(void **state)
{
    struct pst_store *store = open_store(day, 4 * mib);
    int64_t now = (int64_t)pst_clock_realtime_ns();
    struct pst_item *body = synth_item("shop", PST_MODE_CPU, 1, 200, now, window);
    assert_true(body->body_bytes * 3000 > 6 * mib);
    fill(store, body, 3000, now - 3000 * INT64_C(1000000));
    eventually(store, stats.bytes <= 4 * mib && stats.profiles > 200);
    assert_true(disk_bytes() <= 4 * mib);
    struct pst_store_query query = {.mode = PST_MODE_CPU, .to_ns = INT64_MAX};
    struct pst_store_query_result result;
    struct pst_profile *profile = NULL;
    assert_int_equal(pst_store_merge(store, &query, NULL, NULL, &profile, &result), 0);
    pst_profile_free(profile);
    assert_int_equal(result.last_ns, now - 1000000 + window);
    assert_true(result.first_ns > now - 3000 * INT64_C(1000000));
    /* A smaller bound after a reload makes the file smaller. */
    pst_store_configure(store, day, 1 * mib);
    eventually(store, stats.bytes <= 1 * mib);
    assert_true(disk_bytes() <= 1 * mib);
    pst_item_unref(body);
    pst_store_close(store, 5 * second);
}

static uint64_t later_ns;
static uint64_t later(void)
{
    return later_ns;
}

static void test_age_frees_the_disk(void **state)
{
    int64_t now = (int64_t)pst_clock_realtime_ns();
    struct pst_store *store = open_store(day, 64 * mib);
    struct pst_item *body = synth_item("shop", PST_MODE_CPU, 1, 200, now, window);
    fill(store, body, 2000, now - (int64_t)day / 2);
    fill(store, body, 20, now);
    eventually(store, stats.profiles == 2020);
    pst_store_close(store, 5 * second);
    uint64_t before = disk_bytes();
    assert_true(before > 2 * mib);
    /* Most of a day later. */
    later_ns = (uint64_t)now + day * 3 / 4;
    pst_clock_set_source(NULL, later);
    store = open_store(day, 64 * mib);
    eventually(store, stats.profiles == 20);
    eventually(store, stats.bytes < before / 8);
    pst_item_unref(body);
    pst_store_close(store, 5 * second);
    assert_true(disk_bytes() < before / 8);
}

static void test_a_full_queue_drops_the_oldest_and_counts(void **state)
{
    struct pst_store *store = open_store(day, 64 * mib);
    int64_t now = (int64_t)pst_clock_realtime_ns();
    struct pst_item *item = synth_item("shop", PST_MODE_CPU, 1, 5, now, window);
    double before = pst_metric_get(PST_METRIC_STORE_DROPPED, "queue_full", NULL);
    enum { PUT = 3 * PST_MAX_STORE_QUEUE_ITEMS };
    for (int i = 0; i < PUT; i++)
        pst_store_put(store, item); /* faster than any disk */
    assert_true(pst_store_flush(store, 30 * second));
    struct pst_store_stats stats;
    pst_store_stats(store, &stats);
    assert_int_equal(stats.written + stats.dropped, PUT);
    assert_true(stats.dropped > 0 && stats.written >= PST_MAX_STORE_QUEUE_ITEMS);
    assert_int_equal(
        (uint64_t)(pst_metric_get(PST_METRIC_STORE_DROPPED, "queue_full", NULL) - before),
        stats.dropped);
    pst_item_unref(item);
    pst_store_close(store, 5 * second);
}

static void write_day(const char *path, struct pst_item *const *bodies, size_t body_count,
                      int64_t start)
{
    /* Straight into the file, 100 times faster than through the queue. */
    sqlite3 *db = NULL;
    assert_int_equal(pst_db_open(path, 16384, false, &db), 0);
    assert_int_equal(pst_store_schema(db), 0);
    assert_int_equal(pst_db_exec(db, "BEGIN"), 0);
    sqlite3_stmt *series = NULL, *profile = NULL;
    assert_int_equal(
        sqlite3_prepare_v2(db, "INSERT INTO series VALUES (?1, ?2, ?3)", -1, &series, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(
                         db, "INSERT INTO profile VALUES (NULL, ?1, 0, ?2, ?3, ?4, ?5, x'00', ?6)",
                         -1, &profile, NULL),
                     SQLITE_OK);
    for (int s = 0; s < 20; s++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "service-%d", s);
        struct pst_labels *labels = synth_labels(name, "");
        struct pst_buf bytes;
        pst_buf_init(&bytes, 4096);
        assert_int_equal(pst_labels_encode(labels, &bytes), 0);
        (void)sqlite3_bind_int(series, 1, s + 1);
        (void)sqlite3_bind_text(series, 2, name, -1, SQLITE_TRANSIENT);
        (void)sqlite3_bind_blob(series, 3, bytes.data, (int)bytes.len, SQLITE_TRANSIENT);
        assert_int_equal(sqlite3_step(series), SQLITE_DONE);
        (void)sqlite3_reset(series);
        pst_buf_done(&bytes);
        pst_labels_free(labels);
    }
    for (int w = 0; w < 24 * 240; w++)
        for (int s = 0; s < 20; s++) {
            const struct pst_item *body = bodies[(size_t)(w + s) % body_count];
            (void)sqlite3_bind_int(profile, 1, s + 1);
            (void)sqlite3_bind_int64(profile, 2, start + w * window);
            (void)sqlite3_bind_int64(profile, 3, window);
            (void)sqlite3_bind_int64(profile, 4, body->samples);
            (void)sqlite3_bind_int64(profile, 5, body->value_ns);
            (void)sqlite3_bind_blob(profile, 6, body->body, (int)body->body_bytes, SQLITE_STATIC);
            assert_int_equal(sqlite3_step(profile), SQLITE_DONE);
            (void)sqlite3_reset(profile);
        }
    (void)sqlite3_finalize(series);
    (void)sqlite3_finalize(profile);
    assert_int_equal(pst_db_exec(db, "COMMIT"), 0);
    pst_db_close(&db);
}

static uint64_t peak_kib(void)
{
    char line[256];
    unsigned long long peak = 0;
    FILE *file = fopen("/proc/self/status", "re");
    while (fgets(line, sizeof(line), file))
        if (sscanf(line, "VmHWM: %llu", &peak) == 1)
            break;
    (void)fclose(file);
    return peak;
}

static void reset_peak(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "we");
    (void)fputs("5", file);
    (void)fclose(file);
}

/* 24 h of 20 services at 15 s: 115 200 profiles of 100 stacks each. The figure to hold is an hour
 * in a second within 16 MiB; the bound here leaves room for a machine that does other things too.
 */
static void test_an_hour_out_of_a_day_merges_quickly_in_little_memory(void **state)
{
    enum { BODIES = 40 };
    struct pst_item *bodies[BODIES];
    char path[256];
    int64_t start = (int64_t)pst_clock_realtime_ns() - (int64_t)day;
    for (size_t i = 0; i < BODIES; i++)
        bodies[i] = synth_item("shop", PST_MODE_CPU, i, 100, start, window);
    (void)snprintf(path, sizeof(path), "%s/store.db", directory);
    write_day(path, bodies, BODIES, start);
    for (size_t i = 0; i < BODIES; i++)
        pst_item_unref(bodies[i]);
    uint64_t opened_ns = pst_clock_monotonic_ns();
    struct pst_store *store = open_store(2 * day, 2048 * mib);
    eventually(store, stats.profiles == 24 * 240 * 20);
    opened_ns = pst_clock_monotonic_ns() - opened_ns;
    (void)malloc_trim(0);
    reset_peak();
    uint64_t before_kib = peak_kib(), at_ns = pst_clock_monotonic_ns();
    struct pst_store_query query = {.service = PST_STR("service-7"),
                                    .mode = PST_MODE_CPU,
                                    .from_ns = start + 12 * 240 * window,
                                    .to_ns = start + 13 * 240 * window};
    struct pst_store_query_result result;
    struct pst_profile *profile = NULL;
    assert_int_equal(pst_store_merge(store, &query, NULL, NULL, &profile, &result), 0);
    double hour_s = (double)(pst_clock_monotonic_ns() - at_ns) / 1e9;
    double more_mib = (double)(peak_kib() - before_kib) / 1024;
    assert_int_equal(result.windows, 240);
    pst_profile_free(profile);
    at_ns = pst_clock_monotonic_ns();
    query.from_ns = start;
    query.to_ns = start + (int64_t)day;
    assert_int_equal(pst_store_merge(store, &query, NULL, NULL, &profile, &result), 0);
    double day_s = (double)(pst_clock_monotonic_ns() - at_ns) / 1e9;
    assert_int_equal(result.windows, 24 * 240);
    pst_profile_free(profile);
    print_message("store of %.0f MiB with 115200 profiles: opened in %.2f s; 1 h merged in %.3f s "
                  "with %.1f MiB more; 24 h in %.2f s\n",
                  (double)disk_bytes() / (double)mib, (double)opened_ns / 1e9, hour_s, more_mib,
                  day_s);
#ifndef PST_SANITIZED
    assert_true(more_mib <= 16);
    assert_true(hour_s < 5);
#endif
    pst_store_close(store, 5 * second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_size_is_bounded_and_the_oldest_goes_first, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_age_frees_the_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_full_queue_drops_the_oldest_and_counts, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_an_hour_out_of_a_day_merges_quickly_in_little_memory,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
