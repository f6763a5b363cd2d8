/* /proc/PID/stat and status: a name may hold anything and forge nothing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cmocka.h>

#include "target/procfs.h"
#include "target/tids.h"

#define TAIL                                                                                       \
    " S 17 1 1 0 -1 4194560 1 2 3 4 150 25 0 0 20 0 7 0 987654 12345678 9 18446744073709551615 "   \
    "1 2 140727000 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 10 20 30 4000 4100 5000 5200 0\n"

static void parse(const char *comm, struct pst_stat *ret)
{
    char text[512];
    int len = snprintf(text, sizeof(text), "42 (%s)" TAIL, comm);
    assert_int_equal(pst_stat_parse(text, (size_t)len, ret), 0);
}

static void every_field_is_read(void **state)
{
    struct pst_stat stat;
    parse("python3", &stat);
    assert_string_equal(stat.comm, "python3");
    assert_int_equal(stat.state, 'S');
    assert_int_equal(stat.ppid, 17);
    assert_int_equal(stat.utime_ticks, 150);
    assert_int_equal(stat.stime_ticks, 25);
    assert_int_equal(stat.num_threads, 7);
    assert_int_equal(stat.start_ticks, 987654);
    assert_int_equal(stat.vsize_bytes, 12345678);
    assert_int_equal(stat.start_stack, 140727000);
    assert_int_equal(stat.arg_start, 4000);
    assert_int_equal(stat.arg_end, 4100);
    assert_int_equal(stat.env_start, 5000);
    assert_int_equal(stat.env_end, 5200);
}

static void a_name_forges_no_field(void **state)
{
    static const char *const names[] = {") R 1 (", ") R 1 1 1 1", "a b\nc", "((((", "))))", ""};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct pst_stat stat;
        parse(names[i], &stat);
        assert_string_equal(stat.comm, names[i]);
        assert_int_equal(stat.state, 'S');
        assert_int_equal(stat.ppid, 17);
        assert_int_equal(stat.start_ticks, 987654);
    }
}

static void broken_texts_are_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "42",
        "42 (x",
        "42 x) S 1",
        "42 (x) S",
        "42 (x) S 1 2 3",
        ")(",
        "42 (x) S a b c",
        "42 (x) S 99999999999999999999999 1 1 0 -1 1 1 2 3 4 1 2 0 0 20 0 7 0 1 2 3",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct pst_stat stat;
        assert_int_equal(pst_stat_parse(texts[i], strlen(texts[i]), &stat), -EBADMSG);
    }
}

static void our_own_stat_is_read_under_a_hostile_name(void **state)
{
    struct pst_stat before, after;
    assert_int_equal(pst_stat_read(getpid(), &before), 0);
    assert_int_equal(prctl(PR_SET_NAME, ") R 1 (\n(", 0, 0, 0), 0);
    assert_int_equal(pst_stat_read(getpid(), &after), 0);
    assert_int_equal(after.ppid, getppid());
    assert_true(after.start_ticks == before.start_ticks);
    assert_true(after.env_end >= after.env_start);
}

static void a_process_that_is_not_there_is_gone(void **state)
{
    struct pst_stat stat;
    char text[8];
    assert_int_equal(pst_stat_read(0x3fffffff, &stat), -ESRCH);
    assert_int_equal(pst_procfs_read(0x3fffffff, "comm", text, sizeof(text)), -ESRCH);
    assert_int_equal(pst_procfs_link(0x3fffffff, "exe", text, sizeof(text)), -ESRCH);
}

static void the_innermost_id_is_the_own_one(void **state)
{
    static const char text[] = "Name:\tNSpid:\\n\nUid:\t1\t1000\t3\t4\nNSpid:\t4711\t17\t3\nx\n";
    pid_t own;
    uid_t uid;
    assert_int_equal(pst_status_own_id(text, sizeof(text) - 1, &own), 0);
    assert_int_equal(own, 3);
    assert_int_equal(pst_status_uid(text, sizeof(text) - 1, &uid), 0);
    assert_int_equal(uid, 1000);
    assert_int_equal(pst_status_own_id("Name:\tx\n", 8, &own), -ENOENT);
    assert_int_equal(pst_status_own_id("NSpid:\t\n", 8, &own), -ENOENT);
    assert_int_equal(pst_status_own_id("NSpid:\tx", 8, &own), -ENOENT);
    assert_int_equal(pst_status_uid("Uid:\t7\n", 7, &uid), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_is_read),
        cmocka_unit_test(a_name_forges_no_field),
        cmocka_unit_test(broken_texts_are_refused),
        cmocka_unit_test(our_own_stat_is_read_under_a_hostile_name),
        cmocka_unit_test(a_process_that_is_not_there_is_gone),
        cmocka_unit_test(the_innermost_id_is_the_own_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
