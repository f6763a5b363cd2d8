/* Which targets are left out because their memory, or a neighbour's, did not answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "refusals.h"

static struct pst_facts target(uint64_t id, pid_t pid, const char *cgroup)
{
    struct pst_facts facts;

    memset(&facts, 0, sizeof(facts));
    facts.id = id;
    facts.pid = pid;
    facts.start_ticks = 70;
    facts.cgroup = pst_str(cgroup);
    return facts;
}

static void test_a_stall_told_before_the_facts_counts(void **state)
{
    struct pst_refusals refusals = {0};
    struct pst_facts by_id = target(4097, 7, "a"), by_pid = target(4098, 8, "a"),
                     other = target(4099, 9, "a");

    (void)state;
    pst_refusals_take(&refusals,
                      &(struct pst_control){PST_CONTROL_STALLED, PST_ROLE_SAMPLE, 4097, 0});
    pst_refusals_take(&refusals, &(struct pst_control){PST_CONTROL_STALLED, PST_ROLE_SCAN, 8, 70});
    pst_refusals_take(&refusals, &(struct pst_control){PST_CONTROL_STALLED, PST_ROLE_SCAN, 9, 69});
    assert_true(pst_refusals_stalled(&refusals, &by_id));
    assert_true(pst_refusals_stalled(&refusals, &by_pid));
    assert_false(pst_refusals_stalled(&refusals, &other));
}

static void test_a_cgroup_is_refused_only_while_too_many_readers_are_stuck(void **state)
{
    struct pst_refusals refusals = {0};
    struct pst_facts stalled = target(4097, 7, "bad"), neighbour = target(4098, 8, "bad"),
                     stranger = target(4099, 9, "good");
    struct pst_control abandoned = {PST_CONTROL_ABANDONED, PST_ROLE_SAMPLE, 0, 0};

    (void)state;
    pst_refusals_take(&refusals,
                      &(struct pst_control){PST_CONTROL_STALLED, PST_ROLE_SAMPLE, 4097, 0});
    assert_true(pst_refusals_stalled(&refusals, &stalled));
    abandoned.value = PST_MAX_ABANDONED_READERS - 1;
    pst_refusals_take(&refusals, &abandoned);
    assert_false(pst_refusals_by_cgroup(&refusals, &neighbour));
    abandoned.value = PST_MAX_ABANDONED_READERS;
    pst_refusals_take(&refusals, &abandoned);
    assert_true(pst_refusals_by_cgroup(&refusals, &neighbour));
    assert_false(pst_refusals_by_cgroup(&refusals, &stranger));
    abandoned.value = 0;
    pst_refusals_take(&refusals, &abandoned);
    assert_false(pst_refusals_by_cgroup(&refusals, &neighbour));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_stall_told_before_the_facts_counts),
        cmocka_unit_test(test_a_cgroup_is_refused_only_while_too_many_readers_are_stuck),
    };

    return cmocka_run_group_tests_name("refusals", tests, NULL, NULL);
}
