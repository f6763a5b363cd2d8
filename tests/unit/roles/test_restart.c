/* When a role that ended comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"
#include "restart.h"

static const struct pst_restart_end killed_at_work = {50 * PST_NS_PER_MS, true, false};
static const struct pst_restart_end killed_early = {PST_NS_PER_MS, false, false};
static const struct pst_restart_end crashed_early = {PST_NS_PER_MS, true, true};
static const struct pst_restart_end crashed_late = {PST_NS_PER_S, true, true};
static const struct pst_restart_end never_ready = {60 * PST_NS_PER_S, false, true};

static void test_killed_fifty_times_comes_back_at_once_each_time(void **state)
{
    struct pst_restart restart = {0};

    (void)state;
    for (int i = 0; i < 50; i++)
        assert_int_equal(pst_restart_delay_ns(&restart, &killed_at_work), 0);
}

static void test_killed_before_it_is_ready_comes_back_within_a_second(void **state)
{
    struct pst_restart restart = {0};

    (void)state;
    for (int i = 0; i < 50; i++)
        assert_true(pst_restart_delay_ns(&restart, &killed_early) <= 500 * PST_NS_PER_MS);
}

static void test_failing_by_itself_waits_longer_up_to_half_a_minute(void **state)
{
    const struct pst_restart_end *ends[] = {&crashed_early, &never_ready};

    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        struct pst_restart restart = {0};
        uint64_t expected = 100 * PST_NS_PER_MS;
        for (int i = 0; i < 100; i++) {
            assert_int_equal(pst_restart_delay_ns(&restart, ends[kind]), expected);
            expected = expected * 2 < 30 * PST_NS_PER_S ? expected * 2 : 30 * PST_NS_PER_S;
        }
    }
}

static void test_a_life_at_work_forgives_earlier_failures(void **state)
{
    struct pst_restart restart = {0};

    (void)state;
    for (int i = 0; i < 9; i++)
        (void)pst_restart_delay_ns(&restart, &crashed_early);
    assert_int_equal(pst_restart_delay_ns(&restart, &crashed_late), 0);
    assert_int_equal(pst_restart_delay_ns(&restart, &crashed_early), 100 * PST_NS_PER_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_fifty_times_comes_back_at_once_each_time),
        cmocka_unit_test(test_killed_before_it_is_ready_comes_back_within_a_second),
        cmocka_unit_test(test_failing_by_itself_waits_longer_up_to_half_a_minute),
        cmocka_unit_test(test_a_life_at_work_forgives_earlier_failures),
    };

    return cmocka_run_group_tests_name("restart", tests, NULL, NULL);
}
