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

static void too_much_memory_counts_like_too_much_cpu(void **state)
{
    struct pst_budget budget;
    pst_budget_init(&budget);
    assert_string_equal(pst_budget_measure(&budget, 0.001, 0.02, 65 * MIB, 64 * MIB), "interval");
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
        cmocka_unit_test(too_much_memory_counts_like_too_much_cpu),
        cmocka_unit_test(steps_back_come_one_at_a_time_after_four_calm_windows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
