/* The budget's order of steps, and that it comes back only after calm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pipeline/budget.h"

enum { MIB = 1 << 20 };

static void over_budget_widens_intervals_then_drops_wall_then_targets(void **state)
{
    struct pst_budget budget;
    pst_budget_init(&budget);
    const char *const expected[] = {"interval", "interval", "cpu_only", "targets"};
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(pst_budget_measure(&budget, 0.05, 0.02, 10 * MIB, 64 * MIB),
                            expected[i]);
    for (int i = 0; i < 20; i++)
        (void)pst_budget_measure(&budget, 0.05, 0.02, 10 * MIB, 64 * MIB);
    assert_null(pst_budget_measure(&budget, 0.05, 0.02, 10 * MIB, 64 * MIB));
    assert_true(budget.rate_factor >= 1.0 / 16 && budget.target_share >= 1.0 / 16);
}

static void caches_shrink_before_memory_is_used_up_and_rates_only_after_them(void **state)
{
    struct pst_budget budget;
    pst_budget_init(&budget);
    assert_null(pst_budget_memory(&budget, 56 * MIB, 64 * MIB, true));
    assert_string_equal(pst_budget_memory(&budget, 57 * MIB, 64 * MIB, true), "caches");
    assert_null(pst_budget_memory(&budget, 70 * MIB, 64 * MIB, false)); /* not taken yet */
    assert_null(pst_budget_measure(&budget, 0.001, 0.02, 65 * MIB, 64 * MIB));
    assert_int_equal(budget.shrink, 1);
    assert_string_equal(pst_budget_memory(&budget, 65 * MIB, 64 * MIB, true), "caches");
    assert_int_equal(budget.shrink, PST_BUDGET_SHRINK_MAX); /* over it already: all at once */
    assert_null(pst_budget_memory(&budget, 65 * MIB, 64 * MIB, true));
    assert_string_equal(pst_budget_measure(&budget, 0.001, 0.02, 65 * MIB, 64 * MIB), "interval");
}

static void too_much_cpu_leaves_caches_alone(void **state)
{
    struct pst_budget budget;
    pst_budget_init(&budget);
    for (int i = 0; i < 20; i++)
        (void)pst_budget_measure(&budget, 0.05, 0.02, 10 * MIB, 64 * MIB);
    assert_int_equal(budget.shrink, 0);
}

static void caches_grow_back_last_and_slowly(void **state)
{
    struct pst_budget budget;
    pst_budget_init(&budget);
    (void)pst_budget_memory(&budget, 65 * MIB, 64 * MIB, true);
    (void)pst_budget_measure(&budget, 0.001, 0.02, 65 * MIB, 64 * MIB);
    int windows = 0;
    for (; budget.rate_factor < 1; windows++) {
        (void)pst_budget_measure(&budget, 0.001, 0.02, 20 * MIB, 64 * MIB);
        assert_int_equal(budget.shrink, PST_BUDGET_SHRINK_MAX);
    }
    assert_int_equal(windows, 4);
    for (; budget.shrink > 0; windows++)
        (void)pst_budget_measure(&budget, 0.001, 0.02, 20 * MIB, 64 * MIB);
    assert_int_equal(windows, 4 + 3 * 20);
    for (int i = 0; i < 100; i++) /* near the limit nothing is given back */
        assert_null(pst_budget_measure(&budget, 0.001, 0.02, 49 * MIB, 64 * MIB));
}

static void steps_back_come_one_at_a_time_after_four_calm_windows(void **state)
{
    struct pst_budget budget;
    pst_budget_init(&budget);
    for (int i = 0; i < 4; i++)
        (void)pst_budget_measure(&budget, 0.05, 0.02, 10 * MIB, 64 * MIB);
    unsigned steps = 0;
    for (int window = 1; window <= 16; window++) {
        const char *step = pst_budget_measure(&budget, 0.002, 0.02, 10 * MIB, 64 * MIB);
        assert_true((step != NULL) == (window % 4 == 0));
        steps += step != NULL;
    }
    assert_int_equal(steps, 4);
    assert_true(budget.rate_factor == 1 && budget.target_share == 1 && !budget.cpu_only);
    assert_null(pst_budget_measure(&budget, 0.015, 0.02, 10 * MIB, 64 * MIB));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(over_budget_widens_intervals_then_drops_wall_then_targets),
        cmocka_unit_test(caches_shrink_before_memory_is_used_up_and_rates_only_after_them),
        cmocka_unit_test(too_much_cpu_leaves_caches_alone),
        cmocka_unit_test(caches_grow_back_last_and_slowly),
        cmocka_unit_test(steps_back_come_one_at_a_time_after_four_calm_windows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
