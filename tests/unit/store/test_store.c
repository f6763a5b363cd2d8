/* The store's everyday life: what was put is found again, merged, counted, listed; bounds hold. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../scratch.h"
#include "internal.h"
#include "synth.h"

static const uint64_t second = 1000000000ULL;
static const int64_t window = 15000000000LL;
static const uint64_t day = 86400000000000ULL, mib = 1048576;

static int setup(void **state)
{
    *state = new_directory();
    return 0;
}

static int teardown(void **state)
{
    remove_directory(*state);
    return 0;
}

static struct pst_store *open_store(const char *directory, uint64_t retention_ns,
                                    uint64_t max_bytes)
{
    struct pst_store *store = NULL;
    struct pst_error error = {0};
    if (pst_store_open(directory, retention_ns, max_bytes, &store, &error) < 0)
        fail_msg("%s", error.text);
    return store;
}

static void put(struct pst_store *store, const char *service, enum pst_mode mode, uint64_t seed,
                int64_t time_ns)
{
    struct pst_item *item = synth_item(service, mode, seed, 20, time_ns, window);
    pst_store_put(store, item);
    pst_item_unref(item);
}

static int64_t now_ns(void)
{
    return (int64_t)pst_clock_realtime_ns();
}

static int64_t merged_value(struct pst_store *store, const char *service, enum pst_mode mode,
                            int64_t from_ns, int64_t to_ns, uint64_t *ret_windows)
{
    struct pst_store_query query = {
        .service = pst_str(service), .mode = mode, .from_ns = from_ns, .to_ns = to_ns};
    struct pst_store_query_result result;
    struct pst_profile *profile = NULL;
    assert_int_equal(pst_store_merge(store, &query, NULL, NULL, &profile, &result), 0);
    int64_t samples, value;
    pst_profile_total(profile, &samples, &value);
    pst_profile_free(profile);
    *ret_windows = result.windows;
    return value;
}

static void test_what_was_put_is_merged_again(void **state)
{
    struct pst_store *store = open_store(*state, day, 64 * mib);
    int64_t start = now_ns() - 10 * window, expected = 0;
    for (int i = 0; i < 8; i++) {
        struct pst_item *item =
            synth_item("shop", PST_MODE_CPU, (uint64_t)i, 20, start + i * window, window);
        if (i >= 2 && i < 5)
            expected += item->value_ns;
        pst_store_put(store, item);
        pst_item_unref(item);
        put(store, "shop", PST_MODE_WALL, 100, start + i * window);
        put(store, "other", PST_MODE_CPU, 200, start + i * window);
    }
    assert_true(pst_store_flush(store, 10 * second));
    uint64_t windows = 0;
    int64_t value =
        merged_value(store, "shop", PST_MODE_CPU, start + 2 * window, start + 5 * window, &windows);
    assert_int_equal(windows, 3);
    assert_int_equal(value, expected);
    pst_store_close(store, 5 * second);
    /* And by a later agent. */
    store = open_store(*state, day, 64 * mib);
    struct pst_store_stats stats;
    for (int i = 0; i < 100; i++) {
        pst_store_stats(store, &stats);
        if (stats.profiles)
            break;
        (void)usleep(100000);
    }
    assert_int_equal(stats.profiles, 24);
    assert_int_equal(
        merged_value(store, "shop", PST_MODE_CPU, start + 2 * window, start + 5 * window, &windows),
        expected);
    pst_store_close(store, 5 * second);
}

static void test_a_window_counts_when_it_overlaps_the_range(void **state)
{
    struct pst_store *store = open_store(*state, day, 64 * mib);
    int64_t start = now_ns() - 10 * window;
    put(store, "shop", PST_MODE_CPU, 1, start);
    assert_true(pst_store_flush(store, 10 * second));
    const struct {
        int64_t from, to;
        uint64_t windows;
    } rows[] = {{start - 5, start, 0},
                {start - 5, start + 1, 1},
                {start + window - 1, start + window + 5, 1},
                {start + window, start + window + 5, 0},
                {INT64_MIN, INT64_MAX, 1}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t windows = 9;
        (void)merged_value(store, "shop", PST_MODE_CPU, rows[i].from, rows[i].to, &windows);
        assert_int_equal(windows, rows[i].windows);
    }
    pst_store_close(store, 5 * second);
}

static bool drop_labels(void *context, struct pst_str key)
{
    return false;
}

static void test_labels_are_dropped_and_series_are_chosen(void **state)
{
    struct pst_store *store = open_store(*state, day, 64 * mib);
    int64_t start = now_ns() - 10 * window;
    const char *pods[] = {"a", "b"};
    for (int i = 0; i < 2; i++) {
        struct pst_profile *profile = synth_profile(PST_MODE_CPU, 7, 20, start, window);
        struct pst_labels *labels = synth_labels("shop", pods[i]);
        struct pst_item *item = NULL;
        assert_int_equal(pst_item_new(labels, profile, &item), 0);
        pst_store_put(store, item);
        pst_item_unref(item);
        pst_labels_free(labels);
        pst_profile_free(profile);
    }
    assert_true(pst_store_flush(store, 10 * second));
    struct pst_labels *match = pst_labels_new();
    assert_int_equal(pst_labels_set(match, PST_STR("pod"), PST_STR("b")), 0);
    struct pst_store_query query = {.mode = PST_MODE_CPU,
                                    .from_ns = start,
                                    .to_ns = start + window,
                                    .match = match,
                                    .keep_label = drop_labels};
    struct pst_store_query_result result;
    struct pst_profile *profile = NULL;
    assert_int_equal(pst_store_merge(store, &query, NULL, NULL, &profile, &result), 0);
    assert_int_equal(result.windows, 1);
    struct pst_profile_sample sample;
    for (uint32_t i = 0; i < pst_profile_sample_count(profile); i++) {
        pst_profile_sample(profile, i, &sample);
        assert_int_equal(sample.label_count, 0);
    }
    pst_profile_free(profile);
    pst_labels_free(match);
    pst_store_close(store, 5 * second);
}

static int count_service(void *context, const struct pst_store_service *service)
{
    int *seen = context;
    if (pst_str_eq(service->name, PST_STR("shop")) && service->mode == PST_MODE_CPU) {
        seen[0]++;
        assert_int_equal(service->windows, 3);
    }
    seen[1]++;
    return 0;
}

static int count_series(void *context, const struct pst_labels *labels, int64_t value_ns,
                        uint64_t windows)
{
    int *seen = context;
    assert_true(pst_str_eq(pst_labels_get(labels, "service_name"), PST_STR("shop")));
    assert_true(value_ns > 0);
    seen[0] += (int)windows;
    return 0;
}

static void test_services_series_and_the_time_line_agree(void **state)
{
    struct pst_store *store = open_store(*state, day, 64 * mib);
    int64_t start = now_ns() - 10 * window;
    int64_t total = 0;
    for (int i = 0; i < 3; i++) {
        struct pst_item *item = synth_item("shop", PST_MODE_CPU, 5, 20, start + i * window, window);
        total += item->value_ns;
        pst_store_put(store, item);
        pst_item_unref(item);
        put(store, "mail", PST_MODE_WALL, 5, start + i * window);
    }
    assert_true(pst_store_flush(store, 10 * second));
    int seen[2] = {0, 0};
    assert_int_equal(pst_store_services(store, start, start + 3 * window, count_service, seen), 0);
    assert_int_equal(seen[0], 1);
    assert_int_equal(seen[1], 2);
    seen[0] = 0;
    assert_int_equal(pst_store_series(store, PST_STR("shop"), PST_MODE_CPU, start,
                                      start + 3 * window, count_series, seen),
                     0);
    assert_int_equal(seen[0], 3);
    double buckets[7], sum = 0;
    assert_int_equal(pst_store_timeline(store, PST_STR("shop"), PST_MODE_CPU, start - window,
                                        start + 6 * window, 7, buckets),
                     0);
    for (int i = 0; i < 7; i++)
        sum += buckets[i];
    assert_true(sum > (double)total * 0.999 && sum < (double)total * 1.001);
    assert_true(buckets[0] < 1 && buckets[1] > 1 && buckets[3] > 1 && buckets[4] < 1);
    pst_store_close(store, 5 * second);
}

static void test_a_second_agent_is_told_who_holds_the_store(void **state)
{
    struct pst_store *store = open_store(*state, day, 64 * mib), *second_store = NULL;
    struct pst_error error = {0};
    assert_true(pst_store_open(*state, day, 64 * mib, &second_store, &error) < 0);
    char pid[32];
    (void)snprintf(pid, sizeof(pid), "pid %d", (int)getpid());
    assert_non_null(strstr(error.text, pid));
    pst_store_close(store, 5 * second);
    store = open_store(*state, day, 64 * mib);
    pst_store_close(store, 5 * second);
}

static void test_the_directory_is_made_private_and_a_symlink_is_refused(void **state)
{
    char nested[128], link[128];
    (void)snprintf(nested, sizeof(nested), "%s/made/here", (char *)*state);
    struct pst_store *store = open_store(nested, day, 64 * mib);
    put(store, "shop", PST_MODE_CPU, 1, now_ns());
    assert_true(pst_store_flush(store, 10 * second));
    struct stat st;
    assert_int_equal(stat(nested, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    char file[160];
    (void)snprintf(file, sizeof(file), "%s/store.db", nested);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    pst_store_close(store, 5 * second);
    (void)snprintf(link, sizeof(link), "%s/link", (char *)*state);
    assert_int_equal(symlink(nested, link), 0);
    struct pst_error error = {0};
    assert_true(pst_store_open(link, day, 64 * mib, &store, &error) < 0);
    assert_non_null(strstr(error.text, "symbolic link"));
    (void)snprintf(link, sizeof(link), "%s/link/", (char *)*state);
    assert_true(pst_store_open(link, day, 64 * mib, &store, &error) < 0);
    /* An emptyDir of Kubernetes. */
    assert_int_equal(chmod(nested, 0777), 0);
    store = open_store(nested, day, 64 * mib);
    assert_int_equal(stat(nested, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    pst_store_close(store, 5 * second);
    (void)unlink(file);
    (void)snprintf(file, sizeof(file), "%s/store.lock", nested);
    (void)unlink(file);
    (void)rmdir(nested);
    (void)snprintf(nested, sizeof(nested), "%s/made", (char *)*state);
    (void)rmdir(nested);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_was_put_is_merged_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_window_counts_when_it_overlaps_the_range, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_labels_are_dropped_and_series_are_chosen, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_services_series_and_the_time_line_agree, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_second_agent_is_told_who_holds_the_store, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_the_directory_is_made_private_and_a_symlink_is_refused,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
