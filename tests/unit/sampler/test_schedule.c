/* Deadlines: one in each period, every phase equally likely, missed periods skipped and counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schedule.h"

enum { PERIOD = 1000000, DRAWS = 100000, BINS = 20 };

static void every_phase_of_periodic_work_is_equally_likely(void **state)
{
    struct pst_random random = {.state = 7};
    struct pst_schedule schedule;
    unsigned bins[BINS] = {0};
    pst_schedule_start(&schedule, PERIOD, 12345, &random);
    for (int i = 0; i < DRAWS; i++) {
        assert_true(schedule.deadline_ns >= schedule.start_ns);
        assert_true(schedule.deadline_ns < schedule.start_ns + PERIOD);
        bins[(schedule.deadline_ns - schedule.start_ns) * BINS / PERIOD]++;
        assert_int_equal(pst_schedule_advance(&schedule, schedule.deadline_ns, &random), 0);
    }
    assert_true(schedule.start_ns == 12345 + (uint64_t)DRAWS * PERIOD);
    /* 5000 expected a bin, standard deviation 69. */
    for (int i = 0; i < BINS; i++)
        assert_in_range(bins[i], 5000 - 5 * 69, 5000 + 5 * 69);
}

static void missed_periods_are_skipped_not_caught_up(void **state)
{
    struct pst_random random = {.state = 3};
    struct pst_schedule schedule;
    pst_schedule_start(&schedule, PERIOD, 0, &random);
    assert_int_equal(pst_schedule_advance(&schedule, 5 * PERIOD + 10, &random), 4);
    assert_int_equal(schedule.start_ns, 5 * PERIOD);
    assert_true(schedule.deadline_ns < 6 * PERIOD);
    assert_int_equal(pst_schedule_advance(&schedule, schedule.deadline_ns, &random), 0);
    assert_int_equal(schedule.start_ns, 6 * PERIOD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_phase_of_periodic_work_is_equally_likely),
        cmocka_unit_test(missed_periods_are_skipped_not_caught_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
