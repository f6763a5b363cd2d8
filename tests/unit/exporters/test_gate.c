/* What the lanes of an exporter may do together, by table of events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "gate.h"

#define S PST_NS_PER_S

static const struct pst_retry_policy policy = {S, 64 * S, 0};

static unsigned width(const struct pst_gate *gate, uint64_t now_ns)
{
    unsigned under_way = 0;
    while (under_way < 100 && pst_gate_allows(gate, under_way, now_ns))
        under_way++;
    return under_way;
}

static bool delivered(struct pst_gate *gate, uint64_t started_ns)
{
    return pst_gate_delivered(gate, started_ns, started_ns + S);
}

static void each_delivery_lets_one_more_through(void **state)
{
    struct pst_gate gate;
    pst_gate_init(&gate, 4);
    for (unsigned i = 1; i <= 6; i++) {
        assert_int_equal(width(&gate, 10), i < 4 ? i : 4);
        assert_true(delivered(&gate, 10));
    }
    pst_gate_init(&gate, 0);
    (void)delivered(&gate, 10);
    assert_int_equal(width(&gate, 10), 1);
}

static void quick_answers_need_no_company(void **state)
{
    static const struct {
        uint64_t answer_ns;
        size_t waiting;
        unsigned lanes;
    } rows[] = {
        {S / 1000, 0, 1}, {S / 1000, 20, 1}, {S / 1000, 3000, 4},  {S / 2, 1, 1},
        {S / 2, 10, 6},   {S / 2, 100, 51},  {UINT64_MAX, 2, 100},
    };
    struct pst_gate gate;
    pst_gate_init(&gate, 64);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unsigned lanes = 0;
        gate.answer_ns = rows[i].answer_ns;
        while (lanes < 100 && pst_gate_wants_lane(&gate, lanes, rows[i].waiting))
            lanes++;
        assert_int_equal(lanes, rows[i].lanes);
    }
    pst_gate_hurry(&gate);
    assert_true(pst_gate_wants_lane(&gate, 50, 1));
}

static void while_failing_one_goes_after_the_backoff(void **state)
{
    struct pst_random random = {1};
    struct pst_gate gate;
    pst_gate_init(&gate, 8);
    for (unsigned i = 0; i < 8; i++)
        (void)delivered(&gate, 10);
    uint64_t delay = pst_gate_failed(&gate, &policy, 0, 20, 100, &random);
    assert_in_range(delay, 1, S);
    assert_int_equal(width(&gate, 100), 0);
    assert_int_equal(width(&gate, 100 + delay), 1);
    assert_true(delivered(&gate, 100 + delay));
    assert_int_equal(width(&gate, 100 + delay), 5); /* half, and one for the delivery */
}

static void attempts_that_fail_together_are_one_failure(void **state)
{
    struct pst_random random = {1};
    struct pst_gate gate;
    pst_gate_init(&gate, 8);
    (void)pst_gate_failed(&gate, &policy, 0, 20, 100, &random);
    for (unsigned i = 0; i < 40; i++)
        assert_in_range(pst_gate_failed(&gate, &policy, 0, 30, 101 + i, &random), 0, S);
    assert_int_equal(gate.rounds, 1);
    /* A longer wait that the server asks for counts all the same, a shorter one does not. */
    assert_in_range(pst_gate_failed(&gate, &policy, 30 * S, 30, 200, &random), 30 * S, 33 * S);
    assert_in_range(pst_gate_failed(&gate, &policy, S, 30, 300, &random), 29 * S, 33 * S);
    assert_int_equal(gate.rounds, 1);
    (void)pst_gate_failed(&gate, &policy, 0, 40 * S, 41 * S, &random);
    assert_int_equal(gate.rounds, 2);
}

static void a_delivery_begun_before_the_failure_opens_nothing(void **state)
{
    struct pst_random random = {1};
    struct pst_gate gate;
    pst_gate_init(&gate, 8);
    (void)pst_gate_failed(&gate, &policy, 30 * S, 20, 100, &random);
    assert_false(delivered(&gate, 30));
    pst_gate_answered(&gate, 30);
    assert_int_equal(width(&gate, 200), 0);
    pst_gate_answered(&gate, 400);
    assert_int_equal(width(&gate, 400), 1);
    assert_true(delivered(&gate, 400));
}

static void at_the_end_all_go_unless_it_fails(void **state)
{
    struct pst_random random = {1};
    struct pst_gate gate;
    pst_gate_init(&gate, 8);
    pst_gate_hurry(&gate);
    assert_int_equal(width(&gate, 0), 8);
    pst_gate_init(&gate, 8);
    (void)pst_gate_failed(&gate, &policy, 30 * S, 20, 100, &random);
    pst_gate_hurry(&gate);
    assert_int_equal(width(&gate, 100), 1);
    assert_true(delivered(&gate, 101));
    assert_int_equal(width(&gate, 101), 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_delivery_lets_one_more_through),
        cmocka_unit_test(quick_answers_need_no_company),
        cmocka_unit_test(while_failing_one_goes_after_the_backoff),
        cmocka_unit_test(attempts_that_fail_together_are_one_failure),
        cmocka_unit_test(a_delivery_begun_before_the_failure_opens_nothing),
        cmocka_unit_test(at_the_end_all_go_unless_it_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
