/* Programs that are held, let go, cancelled. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "session/launch.h"

static sigset_t mask;
static struct sigaction child;

static int ended(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return pst_launch_exit_code(status);
}

static int start(char *const *argv, struct pst_launch *launch)
{
    struct pst_launch_options options = {.mask = &mask, .child = &child, .capture = -1};

    assert_int_equal(sigprocmask(SIG_SETMASK, NULL, &mask), 0);
    assert_int_equal(sigaction(SIGCHLD, NULL, &child), 0);
    return pst_launch_hold(argv, &options, launch);
}

static void a_program_that_was_let_go_gives_its_code(void **state)
{
    char *const argv[] = {"sh", "-c", "exit 7", NULL};
    struct pst_launch launch;

    assert_int_equal(start(argv, &launch), 0);
    assert_int_equal(pst_launch_go(&launch), 0);
    assert_int_equal(ended(launch.pid), 7);
}

static void death_by_a_signal_is_told_as_a_shell_tells_it(void **state)
{
    char *const argv[] = {"sh", "-c", "kill -9 $$", NULL};
    struct pst_launch launch;

    assert_int_equal(start(argv, &launch), 0);
    assert_int_equal(pst_launch_go(&launch), 0);
    assert_int_equal(ended(launch.pid), 128 + SIGKILL);
}

static void what_cannot_be_executed_says_why(void **state)
{
    char *const argv[] = {"/no/such/program", NULL};
    struct pst_launch launch;

    assert_int_equal(start(argv, &launch), 0);
    assert_int_equal(pst_launch_go(&launch), -ENOENT);
    assert_int_equal(ended(launch.pid), 127);
}

static void a_cancelled_program_never_ran(void **state)
{
    char name[] = "/tmp/pst-launch-XXXXXX";
    int fd = mkstemp(name);
    char *const argv[] = {"rm", name, NULL};
    struct pst_launch launch;

    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(start(argv, &launch), 0);
    pst_launch_cancel(&launch);
    assert_int_equal(waitpid(launch.pid, NULL, 0), -1);
    assert_int_equal(access(name, F_OK), 0);
    assert_int_equal(unlink(name), 0);
}

static void what_it_prints_can_be_captured(void **state)
{
    char *const argv[] = {"sh", "-c", "echo out; echo err >&2", NULL};
    struct pst_launch launch;
    char text[16] = "", name[] = "/tmp/pst-launch-XXXXXX";
    int fd = mkostemp(name, O_CLOEXEC);

    assert_true(fd >= 0);
    struct pst_launch_options options = {.mask = &mask, .child = &child, .capture = fd};
    assert_int_equal(pst_launch_hold(argv, &options, &launch), 0);
    assert_int_equal(pst_launch_go(&launch), 0);
    assert_int_equal(ended(launch.pid), 0);
    assert_int_equal(pread(fd, text, sizeof(text) - 1, 0), 8);
    assert_string_equal(text, "out\nerr\n");
    (void)close(fd);
    assert_int_equal(unlink(name), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_that_was_let_go_gives_its_code),
        cmocka_unit_test(death_by_a_signal_is_told_as_a_shell_tells_it),
        cmocka_unit_test(what_cannot_be_executed_says_why),
        cmocka_unit_test(a_cancelled_program_never_ran),
        cmocka_unit_test(what_it_prints_can_be_captured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
