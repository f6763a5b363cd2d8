/* What each role can no longer do, tried in a child that has become it. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "native/native.h"
#include "sandbox.h"

/* Runs attempt in a restricted child and returns what it exits with. */
static int as(enum pst_role role, bool native, int (*attempt)(void))
{
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        if (pst_sandbox_drop(role, false) < 0 || pst_sandbox_filter(role, native) < 0)
            _exit(255);
        _exit(attempt());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int as_role(enum pst_role role, int (*attempt)(void))
{
    return as(role, false, attempt);
}

static int open_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) < 0 ? errno : 0;
}

static int create_file(void)
{
    return open("/tmp/pystrobe-test-sandbox", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0 ? errno : 0;
}

static int write_own_memory_file(void)
{
    return open("/proc/self/comm", O_WRONLY | O_CLOEXEC) < 0 ? errno : 0;
}

static int read_a_file(void)
{
    return open("/proc/self/stat", O_RDONLY | O_CLOEXEC) < 0 ? errno : 0;
}

static int start_program(void)
{
    char *const argv[] = {(char[]){"true"}, NULL};

    (void)execv("/bin/true", argv);
    return errno;
}

static int fork_child(void)
{
    pid_t child = fork();

    if (child == 0)
        _exit(0);
    return child < 0 ? errno : 0;
}

static int map_code(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return page == MAP_FAILED ? errno : 0;
}

static int signal_parent(void)
{
    return kill(getppid(), SIGCONT) < 0 ? errno : 0;
}

static int read_remote(void)
{
    char from = 1, to = 0;
    struct iovec local = {&to, 1}, remote = {&from, 1};

    return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) < 0 ? errno : 0;
}

static int write_remote(void)
{
    char from = 1, to = 0;
    struct iovec local = {&from, 1}, remote = {&to, 1};

    return process_vm_writev(getpid(), &local, 1, &remote, 1, 0) < 0 ? errno : 0;
}

/* Without a process to trace the kernel says so, when it is asked at all. */
static int seize(void)
{
    return ptrace(PTRACE_SEIZE, INT32_MAX, NULL, NULL) < 0 ? errno : 0;
}

static int write_traced(void)
{
    return ptrace(PTRACE_POKEDATA, INT32_MAX, NULL, NULL) < 0 ? errno : 0;
}

static int set_registers(void)
{
    return ptrace(PTRACE_SETREGSET, INT32_MAX, NULL, NULL) < 0 ? errno : 0;
}

static int poke(long where, long what)
{
    return ptrace(PTRACE_POKEUSER, INT32_MAX, where, what) < 0 ? errno : 0;
}

static int end_a_wait(void)
{
    return poke(PST_RESULT_REGISTER, -EINTR);
}

static int choose_a_result(void)
{
    return poke(PST_RESULT_REGISTER, 0);
}

static int choose_a_register(void)
{
    return poke(PST_RESULT_REGISTER + 8, -EINTR);
}

#ifdef PST_SANITIZED
enum { REFUSED = 0 };
#define ONLY_UNDER_THE_REAL_FILTER() skip()
#else
enum { REFUSED = ENOSYS };
#define ONLY_UNDER_THE_REAL_FILTER() (void)0
#endif

static const enum pst_role readers[] = {PST_ROLE_SCAN, PST_ROLE_SAMPLE};

static void test_readers_read_and_nothing_else(void **state)
{
    (void)state;
    ONLY_UNDER_THE_REAL_FILTER();
    for (int i = 0; i < 2; i++) {
        assert_int_equal(as_role(readers[i], read_a_file), 0);
        assert_int_equal(as_role(readers[i], read_remote), 0);
        assert_int_equal(as_role(readers[i], open_socket), REFUSED);
        assert_int_equal(as_role(readers[i], create_file), REFUSED);
        assert_int_equal(as_role(readers[i], write_own_memory_file), REFUSED);
        assert_int_equal(as_role(readers[i], start_program), REFUSED);
        assert_int_equal(as_role(readers[i], fork_child), REFUSED);
        assert_int_equal(as_role(readers[i], map_code), REFUSED);
        assert_int_equal(as_role(readers[i], signal_parent), REFUSED);
        assert_int_equal(as_role(readers[i], write_remote), REFUSED);
        assert_int_equal(as_role(readers[i], seize), REFUSED);
    }
}

static void test_native_frames_allow_to_stop_and_not_to_write(void **state)
{
    (void)state;
    ONLY_UNDER_THE_REAL_FILTER();
    assert_int_equal(as(PST_ROLE_SAMPLE, true, seize), ESRCH);
    assert_int_equal(as(PST_ROLE_SAMPLE, true, write_traced), REFUSED);
    assert_int_equal(as(PST_ROLE_SAMPLE, true, set_registers), REFUSED);
#if defined(__x86_64__)
    assert_int_equal(as(PST_ROLE_SAMPLE, true, end_a_wait), ESRCH);
#endif
    assert_int_equal(as(PST_ROLE_SAMPLE, false, end_a_wait), REFUSED);
    assert_int_equal(as(PST_ROLE_SAMPLE, true, choose_a_result), REFUSED);
    assert_int_equal(as(PST_ROLE_SAMPLE, true, choose_a_register), REFUSED);
    assert_int_equal(as(PST_ROLE_SAMPLE, true, fork_child), REFUSED);
    assert_int_equal(as(PST_ROLE_SAMPLE, true, open_socket), REFUSED);
    assert_int_equal(as(PST_ROLE_SAMPLE, true, create_file), REFUSED);
    assert_int_equal(as(PST_ROLE_SUPERVISOR, false, write_traced), REFUSED);
}

static void test_daemon_has_network_and_files_but_no_target(void **state)
{
    (void)state;
    ONLY_UNDER_THE_REAL_FILTER();
    assert_int_equal(as_role(PST_ROLE_DAEMON, open_socket), 0);
    assert_int_equal(as_role(PST_ROLE_DAEMON, create_file), 0);
    (void)unlink("/tmp/pystrobe-test-sandbox");
    assert_int_equal(as_role(PST_ROLE_DAEMON, read_remote), REFUSED);
    assert_int_equal(as_role(PST_ROLE_DAEMON, write_remote), REFUSED);
    assert_int_equal(as_role(PST_ROLE_DAEMON, start_program), REFUSED);
    assert_int_equal(as_role(PST_ROLE_DAEMON, fork_child), REFUSED);
    assert_int_equal(as_role(PST_ROLE_DAEMON, signal_parent), REFUSED);
}

static void test_supervisor_starts_processes_but_writes_no_memory(void **state)
{
    (void)state;
    ONLY_UNDER_THE_REAL_FILTER();
    assert_int_equal(as_role(PST_ROLE_SUPERVISOR, fork_child), 0);
    assert_int_equal(as_role(PST_ROLE_SUPERVISOR, start_program), 0);
    assert_int_equal(as_role(PST_ROLE_SUPERVISOR, write_remote), REFUSED);
}

/* The set of capabilities left, as bits; exit codes are too small for it. */
static int only_ptrace_is_left(void)
{
    cap_t caps = cap_get_proc();
    int extra = 0;

    for (cap_value_t value = 0; value < cap_max_bits(); value++) {
        for (int set = CAP_EFFECTIVE; set <= CAP_INHERITABLE; set++) {
            cap_flag_value_t on = CAP_CLEAR;
            if (cap_get_flag(caps, value, (cap_flag_t)set, &on) == 0 && on == CAP_SET &&
                value != CAP_SYS_PTRACE)
                extra++;
        }
    }
    cap_free(caps);
    return extra;
}

static int no_capability_is_left(void)
{
    cap_t caps = cap_get_proc(), none = cap_init();
    int differs = cap_compare(caps, none);

    cap_free(caps);
    cap_free(none);
    return differs ? 1 : 0;
}

static void test_capabilities_of_the_roles(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(as_role(readers[i], only_ptrace_is_left), 0);
    assert_int_equal(as_role(PST_ROLE_DAEMON, no_capability_is_left), 0);
}

static pid_t become(enum pst_role role)
{
    pid_t child = fork();

    if (child == 0) {
        struct rlimit core;
        int status = pst_sandbox_drop(role, false);
        if (status == 0)
            status = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 1;
        if (status == 0)
            status = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : 2;
        if (status == 0)
            status = getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0 ? 0 : 3;
        _exit(status < 0 ? 255 : status);
    }
    return child;
}

static void test_every_role_leaves_no_core_and_gains_nothing(void **state)
{
    (void)state;
    for (int role = 0; role < PST_ROLE_COUNT; role++) {
        int status;
        pid_t child = become((enum pst_role)role);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
}

/* Roles are started by a supervisor that has restricted itself: with its 256 files a reader had
 * room for some 60 targets. */
static void test_a_reader_has_files_for_many_targets(void **state)
{
    enum { FEW = 1024 };
    struct rlimit before, after;
    int status;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    if (before.rlim_max < FEW)
        skip();
    pid_t child = fork();
    if (child == 0) {
        bool dropped = pst_sandbox_drop(PST_ROLE_SUPERVISOR, false) == 0 &&
                       pst_sandbox_drop(PST_ROLE_SAMPLE, false) == 0;
        (void)getrlimit(RLIMIT_NOFILE, &after);
        _exit(dropped && after.rlim_cur >= FEW ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readers_read_and_nothing_else),
        cmocka_unit_test(test_native_frames_allow_to_stop_and_not_to_write),
        cmocka_unit_test(test_daemon_has_network_and_files_but_no_target),
        cmocka_unit_test(test_supervisor_starts_processes_but_writes_no_memory),
        cmocka_unit_test(test_capabilities_of_the_roles),
        cmocka_unit_test(test_every_role_leaves_no_core_and_gains_nothing),
        cmocka_unit_test(test_a_reader_has_files_for_many_targets),
    };

    return cmocka_run_group_tests_name("sandbox", tests, NULL, NULL);
}
