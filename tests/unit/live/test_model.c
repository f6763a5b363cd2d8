/* The numbers of `top`: shares of the last interval, sums since the start. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "live/model.h"

#define MS 1000000

static uint32_t location(struct pst_profile *profile, const char *name, const char *file,
                         int64_t line)
{
    struct pst_function function = {.start_line = 1};
    uint32_t id, made;

    assert_int_equal(pst_profile_string(profile, pst_str(name), &function.name), 0);
    function.system_name = function.name;
    assert_int_equal(pst_profile_string(profile, pst_str(file), &function.filename), 0);
    assert_int_equal(pst_profile_function(profile, &function, &id), 0);
    assert_int_equal(pst_profile_location(profile, id, line, &made), 0);
    return made;
}

static void add(struct pst_profile *profile, const uint32_t *stack, size_t depth, int64_t tid,
                int64_t value_ns)
{
    struct pst_label labels[3] = {{.numeric = true, .num = 7}, {.numeric = true, .num = tid}};

    assert_int_equal(pst_profile_string(profile, PST_STR("pid"), &labels[0].key), 0);
    assert_int_equal(pst_profile_string(profile, PST_STR("thread_id"), &labels[1].key), 0);
    assert_int_equal(pst_profile_string(profile, PST_STR("thread_name"), &labels[2].key), 0);
    assert_int_equal(pst_profile_string(profile, PST_STR("id"), &labels[0].unit), 0);
    labels[1].unit = labels[0].unit;
    assert_int_equal(
        pst_profile_string(profile, tid == 8 ? PST_STR("b\033[2J") : PST_STR("a"), &labels[2].str),
        0);
    assert_int_equal(pst_profile_add(profile, stack, depth, labels, 3, 1, value_ns), 0);
}

/* Two threads in one second: f calls itself (300 ms), then g from two lines (200 and 100 ms). */
static struct pst_profile *one_second(void)
{
    struct pst_profile *profile = pst_profile_new(PST_MODE_CPU);
    uint32_t f = location(profile, "f", "/srv/app/a.py", 5);
    uint32_t g = location(profile, "g", "/srv/app/a.py", 8),
             h = location(profile, "g", "/srv/app/a.py", 9);

    add(profile, (uint32_t[]){f, f, f}, 3, 7, 300 * MS);
    add(profile, (uint32_t[]){g, f}, 2, 7, 200 * MS);
    add(profile, (uint32_t[]){h, f}, 2, 8, 100 * MS);
    return profile;
}

static void add_interval(struct pst_live *live, const struct pst_profile *profile, int64_t ms)
{
    struct pst_live_interval interval = {ms * MS, profile, 600 * MS, 250 * MS};

    assert_int_equal(pst_live_add(live, &interval), 0);
}

static struct pst_live_table *table(const struct pst_live *live, enum pst_live_rows rows,
                                    enum pst_live_sort sort, const char *filter)
{
    struct pst_live_query query = {rows, sort, pst_str(filter)};
    struct pst_live_table *made = NULL;

    assert_int_equal(pst_live_table_new(live, &query, &made), 0);
    return made;
}

static void assert_row(const struct pst_live_row *row, const char *text, double own, double total,
                       int64_t own_ms, int64_t total_ms)
{
    if (!pst_str_eq(row->text, pst_str(text)))
        fail_msg("%.*s, not %s", (int)row->text.len, row->text.ptr, text);
    assert_float_equal(row->own, own, 1e-9);
    assert_float_equal(row->total, total, 1e-9);
    assert_int_equal(row->own_ns, own_ms * MS);
    assert_int_equal(row->total_ns, total_ms * MS);
}

static void shares_are_of_elapsed_time_and_recursion_counts_once(void **state)
{
    struct pst_live *live = pst_live_new(0, NULL, NULL, NULL);
    struct pst_profile *profile = one_second();

    add_interval(live, profile, 1000);
    struct pst_live_table *rows = table(live, PST_LIVE_FUNCTIONS, PST_LIVE_BY_TOTAL_TIME, "");
    assert_int_equal(rows->count, 2);
    assert_row(&rows->rows[0], "f (app/a.py)", 0.3, 0.6, 300, 600);
    assert_row(&rows->rows[1], "g (app/a.py)", 0.3, 0.3, 300, 300);
    pst_live_table_free(rows);
    rows = table(live, PST_LIVE_LINES, PST_LIVE_BY_OWN_TIME, "G (APP");
    assert_int_equal(rows->count, 2);
    assert_row(&rows->rows[0], "g (app/a.py:8)", 0.2, 0.2, 200, 200);
    assert_row(&rows->rows[1], "g (app/a.py:9)", 0.1, 0.1, 100, 100);
    pst_live_table_free(rows);
    pst_profile_free(profile);
    pst_live_free(live);
}

static bool command_of(const void *context, int64_t pid, struct pst_str *ret)
{
    *ret = pst_str(context);
    return pid == 7;
}

static void threads_and_processes_are_rows_too(void **state)
{
    struct pst_live *live = pst_live_new(0, NULL, command_of, "python a.py");
    struct pst_profile *profile = one_second();

    add_interval(live, profile, 1000);
    struct pst_live_table *rows = table(live, PST_LIVE_THREADS, PST_LIVE_BY_OWN_SHARE, "");
    assert_int_equal(rows->count, 2);
    assert_row(&rows->rows[0], "thread (7): a", 0.5, 0.5, 500, 500);
    assert_row(&rows->rows[1], "thread (8): b?[2J", 0.1, 0.1, 100, 100); /* no escape sequence */
    pst_live_table_free(rows);
    rows = table(live, PST_LIVE_PROCESSES, PST_LIVE_BY_OWN_SHARE, "");
    assert_int_equal(rows->count, 1);
    assert_row(&rows->rows[0], "process 7:\"python a.py\"", 0.6, 0.6, 600, 600);
    pst_live_table_free(rows);
    pst_profile_free(profile);
    pst_live_free(live);
}

static void shares_are_of_the_last_interval_and_times_of_all(void **state)
{
    struct pst_live *live = pst_live_new(0, NULL, NULL, NULL);
    struct pst_profile *profile = one_second();
    struct pst_live_state numbers;

    add_interval(live, profile, 1000);
    add_interval(live, profile, 2000);
    struct pst_live_table *rows = table(live, PST_LIVE_FUNCTIONS, PST_LIVE_BY_TOTAL_TIME, "");
    assert_row(&rows->rows[0], "f (app/a.py)", 0.15, 0.3, 600, 1200);
    pst_live_table_free(rows);
    add_interval(live, NULL, 1000);
    rows = table(live, PST_LIVE_FUNCTIONS, PST_LIVE_BY_TOTAL_TIME, "");
    assert_row(&rows->rows[0], "f (app/a.py)", 0, 0, 600, 1200);
    pst_live_table_free(rows);
    pst_live_reset(live);
    rows = table(live, PST_LIVE_FUNCTIONS, PST_LIVE_BY_TOTAL_TIME, "");
    assert_int_equal(rows->count, 0);
    pst_live_table_free(rows);
    pst_live_state(live, &numbers);
    assert_int_equal(numbers.elapsed_ns, 0);
    assert_int_equal(numbers.last_ns, 1000 * MS);
    pst_profile_free(profile);
    pst_live_free(live);
}

static void gauges_remember_the_latest(void **state)
{
    struct pst_live *live = pst_live_new(0, NULL, NULL, NULL);
    struct pst_live_state numbers;

    for (int i = 1; i <= PST_LIVE_HISTORY + 5; i++)
        assert_int_equal(
            pst_live_add(live, &(struct pst_live_interval){100 * MS, NULL, i * MS, 2 * i * MS}), 0);
    pst_live_state(live, &numbers);
    assert_int_equal(numbers.active.count, PST_LIVE_HISTORY);
    assert_float_equal(numbers.active.history[0], 0.06, 1e-9);
    assert_float_equal(numbers.active.last, 0.01 * (PST_LIVE_HISTORY + 5), 1e-9);
    assert_float_equal(numbers.gil.last, 0.02 * (PST_LIVE_HISTORY + 5), 1e-9);
    pst_live_free(live);
}

static void rows_past_the_bound_are_left_out_until_a_reset(void **state)
{
    struct pst_live *live = pst_live_new(0, NULL, NULL, NULL);
    struct pst_profile *profile = pst_profile_new(PST_MODE_CPU);
    struct pst_live_interval interval = {1000 * MS, profile, 0, 0};
    struct pst_live_state numbers;
    char name[32];

    pst_profile_set_max_bytes(profile, SIZE_MAX);
    for (int i = 0; i < 65536 + 10; i++) {
        (void)snprintf(name, sizeof(name), "f%d", i);
        uint32_t at = location(profile, name, "a.py", 1);
        add(profile, &at, 1, 7, MS);
    }
    assert_int_equal(pst_live_add(live, &interval), -ENOSPC);
    pst_live_state(live, &numbers);
    assert_true(numbers.full);
    struct pst_live_table *rows = table(live, PST_LIVE_FUNCTIONS, PST_LIVE_BY_OWN_TIME, "");
    assert_int_equal(rows->count, 65536);
    pst_live_table_free(rows);
    pst_live_reset(live);
    pst_live_state(live, &numbers);
    assert_false(numbers.full);
    pst_profile_free(profile);
    profile = one_second();
    add_interval(live, profile, 1000);
    pst_profile_free(profile);
    pst_live_free(live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_are_of_elapsed_time_and_recursion_counts_once),
        cmocka_unit_test(threads_and_processes_are_rows_too),
        cmocka_unit_test(shares_are_of_the_last_interval_and_times_of_all),
        cmocka_unit_test(gauges_remember_the_latest),
        cmocka_unit_test(rows_past_the_bound_are_left_out_until_a_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
