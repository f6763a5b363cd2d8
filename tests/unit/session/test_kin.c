/* Children files, and descendants of real processes. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "kin.h"

static void numbers_are_read_and_the_rest_is_passed_over(void **state)
{
    pid_t pids[8];

    assert_int_equal(pst_kin_parse(PST_STR("12 345 6 \n"), pids, 8), 3);
    assert_int_equal(pids[0], 12);
    assert_int_equal(pids[1], 345);
    assert_int_equal(pids[2], 6);
    assert_int_equal(pst_kin_parse(PST_STR(""), pids, 8), 0);
    assert_int_equal(pst_kin_parse(PST_STR("0 -4 x 99999999999 7"), pids, 8), 1);
    assert_int_equal(pids[0], 7);
    assert_int_equal(pst_kin_parse(PST_STR("1 2 3 4"), pids, 2), 2);
}

/* A child with a child of its own; both wait for the pipe's end. */
static pid_t start_family(int *ret_end, pid_t *ret_grandchild)
{
    int hold[2], tell[2];

    assert_int_equal(pipe(hold), 0);
    assert_int_equal(pipe(tell), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char byte;
        (void)close(hold[1]);
        pid_t grandchild = fork();
        if (grandchild > 0)
            (void)!write(tell[1], &grandchild, sizeof(grandchild));
        (void)!read(hold[0], &byte, 1);
        if (grandchild > 0)
            (void)waitpid(grandchild, NULL, 0);
        _exit(0);
    }
    (void)close(hold[0]);
    assert_int_equal(read(tell[0], ret_grandchild, sizeof(*ret_grandchild)),
                     sizeof(*ret_grandchild));
    (void)close(tell[0]);
    (void)close(tell[1]);
    *ret_end = hold[1];
    return child;
}

static void descendants_are_due_until_they_end(void **state)
{
    pid_t grandchild, seen[4] = {0};
    int end;
    pid_t child = start_family(&end, &grandchild);
    struct pst_kin *kin = pst_kin_new();
    uint64_t now = pst_clock_monotonic_ns();

    assert_non_null(kin);
    assert_true(pst_kin_news(kin));
    pst_kin_look(kin, getpid());
    seen[0] = pst_kin_due(kin, now);
    seen[1] = pst_kin_due(kin, now);
    assert_int_equal(seen[0], child);
    assert_int_equal(seen[1], grandchild);
    assert_int_equal(pst_kin_due(kin, now), 0); /* both were just asked */
    assert_int_equal(pst_kin_due(kin, now + PST_NS_PER_S), child);
    assert_int_equal(pst_kin_due(kin, now + PST_NS_PER_S), grandchild);

    (void)close(end);
    assert_int_equal(waitpid(child, NULL, 0), child);
    pst_kin_look(kin, getpid());
    assert_int_equal(pst_kin_due(kin, now + 100 * PST_NS_PER_S), 0);
    pst_kin_free(kin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_read_and_the_rest_is_passed_over),
        cmocka_unit_test(descendants_are_due_until_they_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
