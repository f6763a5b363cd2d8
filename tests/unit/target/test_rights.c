/* What stands in the way of reading a process, in the order in which the kernel looks. The process
 * is this one, which differs from itself in nothing: the rest is said by the rights. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "target/rights.h"

static void assert_told(const struct pst_rights *rights, const char *obstacle, const char *remedy)
{
    struct pst_refusal refusal;

    pst_rights_explain(rights, "process_vm_readv", getpid(), &refusal);
    if (!strstr(refusal.why, obstacle))
        fail_msg("%s: not %s", refusal.why, obstacle);
    if (!strstr(refusal.remedy, remedy))
        fail_msg("%s: not %s", refusal.remedy, remedy);
}

static void each_obstacle_is_named_with_its_remedy(void **state)
{
    struct pst_rights rights = {.uid = geteuid(), .seccomp = 2, .yama = 3, .read_error = EPERM};

    assert_told(&rights, "a seccomp filter refuses process_vm_readv", "seccomp profile");
    rights.read_error = 0;
    assert_told(&rights, "yama 3 forbids every read", "below 3");
    rights.yama = 1;
    rights.ptrace_capability = rights.initial_user_namespace = true;
    assert_told(&rights, "CAP_SYS_PTRACE is held, so a security module refuses", "LSM");
    rights.initial_user_namespace = false;
    assert_told(&rights, "only inside this user namespace", "host's user namespace");
    rights.ptrace_capability = false;
    assert_told(&rights, "yama 1 allows only descendants", "ptrace_scope to 0");
    rights.yama = 2;
    assert_told(&rights, "yama 2 asks for CAP_SYS_PTRACE", "grant CAP_SYS_PTRACE");
    rights.yama = -1;
    assert_told(&rights, "a security module refuses", "LSM");
    rights.uid++;
    assert_told(&rights, "belongs to another user", "run as root");
}

static void a_refusal_says_call_target_and_all_that_decides(void **state)
{
    struct pst_refusal refusal;
    char begin[64];

    pst_rights_refusal("ptrace", getpid(), &refusal);
    (void)snprintf(begin, sizeof(begin), "ptrace of %d is refused: ", (int)getpid());
    assert_memory_equal(refusal.why, begin, strlen(begin));
    assert_non_null(strstr(refusal.why, "seccomp"));
    assert_non_null(strstr(refusal.why, "LSM"));
    assert_true(refusal.remedy[0] != 0);
}

static void our_own_rights_are_read(void **state)
{
    struct pst_rights rights;
    char text[256];

    pst_rights_read(&rights);
    assert_int_equal(rights.uid, geteuid());
    assert_int_equal(rights.read_error, 0);
    assert_in_range(rights.seccomp, 0, 2);
    assert_null(strchr(rights.profile, '\n'));
    rights.seccomp = -1;
    rights.yama = -1;
    rights.profile[0] = 0;
    pst_rights_state(&rights, text, sizeof(text));
    assert_non_null(strstr(text, "yama not there, seccomp unknown, LSM without a label"));
}

/* As a web server is that was started by root and gave that up. */
static void a_process_that_changed_its_user_is_told_from_one_that_a_module_protects(void **state)
{
    enum { OTHER = 1000 };
    struct pst_rights rights = {.uid = geteuid() ? geteuid() : OTHER, .yama = -1};
    struct pst_refusal refusal;
    int ready[2];
    char byte;

    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && setresuid(OTHER, OTHER, OTHER) < 0)
            _exit(1);
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        if (write(ready[1], "", 1) == 1)
            (void)pause();
        _exit(0);
    }
    assert_true(child > 0);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    pst_rights_explain(&rights, "process_vm_readv", child, &refusal);
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    (void)close(ready[0]);
    (void)close(ready[1]);
    if (!strstr(refusal.why, "it is not dumpable (it changed its user"))
        fail_msg("%s", refusal.why);
}

static void a_proc_that_hides_processes_is_seen_as_such(void **state)
{
    int64_t group;

    assert_false(pst_rights_hidepid(PST_STR("45 43 0:21 / /proc rw - proc proc rw\n"), &group));
    assert_int_equal(group, -1);
    assert_true(pst_rights_hidepid(
        PST_STR("45 43 0:21 / /proc rw shared:5 - proc proc rw,gid=27,hidepid=invisible\n"),
        &group));
    assert_int_equal(group, 27);
    assert_true(pst_rights_hidepid(PST_STR("4 4 0:2 / /proc rw - proc proc rw\n"
                                           "6 4 0:9 / /proc rw - proc proc rw,hidepid=2\n"
                                           "7 4 0:3 / /srv/proc rw - proc proc rw\n"),
                                   &group));
    assert_false(pst_rights_hidepid(PST_STR("6 4 0:9 / /proc rw - proc proc rw,hidepid=2\n"
                                            "9 6 0:9 / /proc rw - proc proc rw,hidepid=1"),
                                    &group));
    assert_false(pst_rights_hidepid(PST_STR(""), &group));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_obstacle_is_named_with_its_remedy),
        cmocka_unit_test(a_refusal_says_call_target_and_all_that_decides),
        cmocka_unit_test(our_own_rights_are_read),
        cmocka_unit_test(a_process_that_changed_its_user_is_told_from_one_that_a_module_protects),
        cmocka_unit_test(a_proc_that_hides_processes_is_seen_as_such),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
