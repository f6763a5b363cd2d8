/* What is known of targets: ends heard of twice, totals of readers that start again, room for the
 * living, and whom a plan asks for first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/limits.h"
#include "pipeline/known.h"

static int put(struct pst_known_table *table, uint64_t id, struct pst_known **ret)
{
    struct pst_facts facts = {.id = id, .pid = (pid_t)id, .state = PST_TARGET_READY};
    return pst_known_put(table, &facts, 1, ret);
}

static void totals_of_a_reader_that_started_again_are_added_not_lost(void **state)
{
    uint64_t last = 0;
    assert_int_equal(pst_known_growth(&last, 100), 100);
    assert_int_equal(pst_known_growth(&last, 100), 0);
    assert_int_equal(pst_known_growth(&last, 130), 30);
    assert_int_equal(pst_known_growth(&last, 20), 20);
    assert_int_equal(pst_known_growth(&last, 25), 5);
}

static void cpu_of_a_target_that_ended_unsampled_is_told_once_whoever_says_so_first(void **state)
{
    struct pst_known_table *table = pst_known_new();
    struct pst_known *known;
    struct pst_sampler_window window = {.target = 5, .verdict = PST_V_NOT_READY, .cpu_ns = 40};
    assert_int_equal(put(table, 5, &known), 0);
    pst_known_window(known, &window, 10);
    assert_int_equal(pst_known_unseen_ns(known), 0);
    window.gone = true;
    pst_known_window(known, &window, 20);
    assert_int_equal(pst_known_unseen_ns(known), 80);
    assert_int_equal(pst_known_unseen_ns(known), 0);
    pst_known_window(known, &window, 30);
    assert_int_equal(pst_known_unseen_ns(known), 40);
    pst_known_free(table);
}

static void cpu_of_a_target_that_was_looked_at_is_in_its_profiles_not_unseen(void **state)
{
    struct pst_known_table *table = pst_known_new();
    struct pst_known *known;
    struct pst_sampler_window window = {
        .target = 5, .verdict = PST_V_OK, .ticks = 3, .cpu_ns = 40, .gone = true};
    assert_int_equal(put(table, 5, &known), 0);
    pst_known_window(known, &window, 20);
    assert_int_equal(pst_known_unseen_ns(known), 0);
    pst_known_free(table);
}

static void ended_targets_make_room_for_living_ones(void **state)
{
    struct pst_known_table *table = pst_known_new();
    struct pst_known *known;
    for (uint64_t id = 1; id <= 2 * PST_MAX_TARGETS; id++)
        assert_int_equal(put(table, id, &known), 0);
    assert_int_not_equal(put(table, 99999, &known), 0);
    pst_known_get(table, 7)->gone = true;
    pst_known_get(table, 7)->gone_ns = 50;
    pst_known_get(table, 9)->gone = true;
    pst_known_get(table, 9)->gone_ns = 40;
    assert_int_equal(put(table, 99999, &known), 0);
    assert_null(pst_known_get(table, 9));
    assert_non_null(pst_known_get(table, 7));
    assert_true(pst_known_get(table, 99999) == known);
    pst_known_free(table);
}

static void a_target_of_which_nothing_is_known_yet_is_never_left_out_for_a_busy_one(void **state)
{
    struct pst_known busy = {.id = 1, .has_window = true, .last.cpu_ns = 900};
    struct pst_known calm = {.id = 2, .has_window = true, .last.cpu_ns = 10};
    struct pst_known fresh = {.id = 3};
    struct pst_known *order[] = {&calm, &busy, &fresh};
    qsort(order, 3, sizeof(order[0]), pst_known_by_need);
    assert_true(order[0] == &fresh);
    assert_true(order[1] == &busy);
    assert_true(order[2] == &calm);
}

static struct pst_meta *says(const char *value)
{
    struct pst_meta *meta = pst_meta_new();
    assert_int_equal(pst_meta_set(meta, PST_STR("__meta_pod"), pst_str(value)), 0);
    return meta;
}

/* With a watch nobody asked for a quiet container again, and after five minutes it was forgotten.
 */
static void what_an_engine_said_stays_when_its_table_has_forgotten_the_container(void **state)
{
    struct pst_known_table *table = pst_known_new();
    struct pst_known *known;
    struct pst_meta *first = says("web-1"), *second = says("web-1, changed");
    struct pst_engines engines = {.of[PST_ENGINE_KUBERNETES] = pst_meta_ref(first)}, none = {0};
    assert_int_equal(put(table, 5, &known), 0);
    assert_true(pst_known_engines(known, &engines, false));
    assert_false(pst_known_engines(known, &none, false));
    assert_true(known->engines.of[PST_ENGINE_KUBERNETES] == first);
    engines = (struct pst_engines){.of[PST_ENGINE_KUBERNETES] = pst_meta_ref(first)};
    assert_false(pst_known_engines(known, &engines, false));
    assert_true(pst_known_engines(known, &none, true)); /* a wait that begins or ends is news */
    engines = (struct pst_engines){.of[PST_ENGINE_KUBERNETES] = pst_meta_ref(second)};
    assert_true(pst_known_engines(known, &engines, true));
    assert_true(known->engines.of[PST_ENGINE_KUBERNETES] == second);
    pst_meta_unref(first);
    pst_meta_unref(second);
    struct pst_facts moved = {.id = 5, .pid = 5, .container_id = PST_STR("another")};
    assert_int_equal(pst_known_put(table, &moved, 2, &known), 0);
    assert_null(known->engines.of[PST_ENGINE_KUBERNETES]);
    pst_known_free(table);
}

/* Where hundreds end in a minute, five minutes of them took tens of MiB. */
static void of_many_that_ended_only_some_stay_once_their_last_windows_have_come(void **state)
{
    struct pst_known_table *table = pst_known_new();
    struct pst_known *known;
    for (uint64_t id = 1; id <= 1000; id++) {
        assert_int_equal(put(table, id, &known), 0);
        known->gone = id > 10;
        known->gone_ns = 1;
        known->waiting = id > 990;
    }
    pst_known_expire(table, PST_NS_PER_S, 300 * PST_NS_PER_S);
    assert_int_equal(pst_known_count(table), 1000);
    pst_known_expire(table, 31 * PST_NS_PER_S, 300 * PST_NS_PER_S);
    assert_int_equal(pst_known_count(table), 10 + 256);
    for (uint64_t id = 1; id <= 10; id++)
        assert_non_null(pst_known_get(table, id));
    for (uint64_t id = 991; id <= 1000; id++)
        assert_non_null(pst_known_get(table, id));
    pst_known_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(totals_of_a_reader_that_started_again_are_added_not_lost),
        cmocka_unit_test(cpu_of_a_target_that_ended_unsampled_is_told_once_whoever_says_so_first),
        cmocka_unit_test(cpu_of_a_target_that_was_looked_at_is_in_its_profiles_not_unseen),
        cmocka_unit_test(ended_targets_make_room_for_living_ones),
        cmocka_unit_test(what_an_engine_said_stays_when_its_table_has_forgotten_the_container),
        cmocka_unit_test(of_many_that_ended_only_some_stay_once_their_last_windows_have_come),
        cmocka_unit_test(a_target_of_which_nothing_is_known_yet_is_never_left_out_for_a_busy_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
