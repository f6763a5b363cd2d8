/* The retry policy, by table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "retry.h"

#define S PST_NS_PER_S

static void delays_lie_in_their_bounds_and_use_all_of_them(void **state)
{
    static const struct {
        struct pst_retry_policy policy;
        unsigned failures;
        uint64_t after_ns, least_ns, most_ns;
    } rows[] = {
        {{0, 0, 0}, 1, 0, 1, 1 * S},
        {{0, 0, 0}, 2, 0, 1, 2 * S},
        {{0, 0, 0}, 6, 0, 1, 32 * S},
        {{0, 0, 0}, 7, 0, 1, 60 * S},
        {{0, 0, 0}, 64, 0, 1, 60 * S},
        {{5 * S, 30 * S, 0}, 1, 0, 1, 5 * S},
        {{5 * S, 30 * S, 0}, 4, 0, 1, 30 * S},
        {{S, UINT64_MAX, 0}, 80, 0, 1, UINT64_MAX},
        {{0, 0, 0}, 1, 7 * S, 7 * S, 7 * S + 7 * S / 10},
        {{0, 0, 0}, 9, 60 * S, 60 * S, 66 * S},
        {{0, 0, 0}, 1, UINT64_MAX, 300 * S, 330 * S},
    };
    struct pst_random random = {42};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t least = UINT64_MAX, most = 0;
        for (int n = 0; n < 2000; n++) {
            uint64_t delay =
                pst_retry_delay_ns(&rows[i].policy, rows[i].failures, rows[i].after_ns, &random);
            least = delay < least ? delay : least;
            most = delay > most ? delay : most;
        }
        uint64_t span = rows[i].most_ns - rows[i].least_ns;
        assert_true(least >= rows[i].least_ns && least <= rows[i].least_ns + span / 50);
        assert_true(most <= rows[i].most_ns && most >= rows[i].most_ns - span / 50);
    }
}

static void an_hour_of_outage_makes_few_attempts(void **state)
{
    struct pst_retry_policy policy = {0, 0, 0};
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct pst_random random = {seed};
        uint64_t now_ns = 0;
        unsigned failures = 0;
        while (now_ns < 3600 * S)
            now_ns += pst_retry_delay_ns(&policy, ++failures, 0, &random);
        assert_in_range(failures, 60, 12 * 60);
    }
}

static void time_is_used_up_only_when_there_is_a_limit(void **state)
{
    struct pst_retry_policy none = {0, 0, 0}, ten = {0, 0, 10 * S};
    assert_false(pst_retry_exhausted(&none, 0, UINT64_MAX));
    assert_false(pst_retry_exhausted(&ten, 5 * S, 14 * S));
    assert_true(pst_retry_exhausted(&ten, 5 * S, 15 * S));
    assert_false(pst_retry_exhausted(&ten, 5 * S, 1 * S));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delays_lie_in_their_bounds_and_use_all_of_them),
        cmocka_unit_test(an_hour_of_outage_makes_few_attempts),
        cmocka_unit_test(time_is_used_up_only_when_there_is_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
