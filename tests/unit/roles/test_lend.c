/* Lending memory of a program's descendants: to whom, of whom, and what a reader does with answers
 * that are not for it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/limits.h"
#include "lend.h"
#include "roles/link.h"
#include "target/procref.h"

static volatile char secret[] = "of the one process";

/* A child of this process that sleeps, and one of its own; each marks its copy of the secret. */
struct family {
    pid_t program, child;
};

static struct family make_family(void)
{
    struct family family;
    int pipes[2];

    assert_int_equal(pipe(pipes), 0);
    family.program = fork();
    if (family.program == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* also after a test that fails */
        secret[0] = 'P';
        pid_t child = fork();
        if (child == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            secret[0] = 'C';
        } else {
            (void)!write(pipes[1], &child, sizeof(child));
        }
        for (;;)
            (void)pause();
    }
    assert_int_equal(read(pipes[0], &family.child, sizeof(family.child)), sizeof(family.child));
    (void)close(pipes[0]);
    (void)close(pipes[1]);
    return family;
}

static void end_family(const struct family *family)
{
    (void)kill(family->child, SIGKILL);
    (void)kill(family->program, SIGKILL);
    (void)waitpid(family->program, NULL, 0);
}

static uint64_t start_of(pid_t pid)
{
    struct pst_procref ref;

    assert_int_equal(pst_procref_open(pid, &ref), 0);
    uint64_t ticks = ref.start_ticks;
    pst_procref_done(&ref);
    return ticks;
}

static int lend(const struct family *family, pid_t pid)
{
    int fd = -1, status = pst_lend_open(family->program, pid, start_of(pid), &fd);

    return status < 0 ? status : fd;
}

static char first_letter(int fd)
{
    char letter = 0;

    assert_int_equal(pread(fd, &letter, 1, (off_t)(uintptr_t)secret), 1);
    return letter;
}

static void the_program_and_its_descendants_are_lent_for_reading(void **state)
{
    struct family family = make_family();
    int program = lend(&family, family.program), child = lend(&family, family.child);
    char letter = 'X';

    (void)state;
    assert_true(program >= 0 && child >= 0);
    while (first_letter(program) != 'P' || first_letter(child) != 'C')
        (void)usleep(1000);
    assert_int_equal(pwrite(program, &letter, 1, (off_t)(uintptr_t)secret), -1);
    assert_int_equal(fcntl(program, F_GETFL) & O_ACCMODE, O_RDONLY);
    (void)close(program);
    (void)close(child);
    end_family(&family);
}

static void nobody_else_is_lent(void **state)
{
    struct family family = make_family(), stranger = make_family();

    (void)state;
    assert_int_equal(lend(&family, getpid()), -EPERM);
    assert_int_equal(lend(&family, getppid()), -EPERM);
    /* A child of this process that runs the same file, as a role does. */
    assert_int_equal(lend(&family, stranger.program), -EPERM);
    assert_int_equal(lend(&family, stranger.child), -EPERM);
    end_family(&stranger);
    end_family(&family);
}

static void another_process_of_the_same_pid_is_not_lent(void **state)
{
    struct family family = make_family();
    int fd = -1;

    (void)state;
    assert_int_equal(
        pst_lend_open(family.program, family.program, start_of(family.program) + 1, &fd), -ESRCH);
    assert_int_equal(fd, -1);
    end_family(&family);
    assert_int_equal(pst_lend_open(family.program, family.program, 1, &fd), -ESRCH);
}

static void what_was_lent_reads_nothing_after_exec(void **state)
{
    int go[2];
    char byte = 0;
    ssize_t got;

    (void)state;
    assert_int_equal(pipe(go), 0);
    pid_t program = fork();
    if (program == 0) {
        (void)!read(go[0], &byte, 1);
        (void)execl("/bin/sleep", "sleep", "100", (char *)NULL);
        _exit(1);
    }
    struct family family = {.program = program};
    int fd = lend(&family, program);
    assert_true(fd >= 0);
    assert_int_equal(first_letter(fd), secret[0]);
    assert_int_equal(write(go[1], "", 1), 1);
    while ((got = pread(fd, &byte, 1, (off_t)(uintptr_t)secret)) == 1)
        (void)usleep(1000);
    assert_int_equal(got, 0);
    (void)close(fd);
    (void)kill(program, SIGKILL);
    (void)waitpid(program, NULL, 0);
    (void)close(go[0]);
    (void)close(go[1]);
}

static void readers_ask_over_their_sockets(void **state)
{
    struct family family = make_family();
    int scan[2], sample[2];

    (void)state;
    assert_int_equal(pst_link_pair(scan), 0);
    assert_int_equal(pst_link_pair(sample), 0);
    /* A predecessor has asked, and so has somebody who does not speak the language. */
    struct pst_lend_request old = {1, start_of(family.program), family.program};
    assert_int_equal(pst_link_send(sample[0], &old, sizeof(old), NULL, 0, 0), 0);
    assert_int_equal(pst_link_send(sample[0], "hello", 5, NULL, 0, 0), 0);
    old.pid = INT64_MAX;
    assert_int_equal(pst_link_send(sample[0], &old, sizeof(old), NULL, 0, 0), 0);
    assert_int_equal(pst_lend_start(scan[1], sample[1], family.program), 0);
    for (int i = 0; i < 20; i++) {
        int fd = pst_lend_ask(i & 1 ? scan[0] : sample[0], family.child, start_of(family.child));
        assert_true(fd >= 0);
        while (first_letter(fd) != 'C')
            (void)usleep(1000);
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        (void)close(fd);
    }
    assert_int_equal(pst_lend_ask(scan[0], getppid(), start_of(getppid())), -EPERM);
    end_family(&family);
}

static void past_a_burst_a_reader_waits_for_its_turn(void **state)
{
    enum { LATER = 8 };
    struct family family = make_family();
    int scan[2], sample[2];

    (void)state;
    assert_int_equal(pst_link_pair(scan), 0);
    assert_int_equal(pst_link_pair(sample), 0);
    assert_int_equal(pst_lend_start(scan[1], sample[1], family.program), 0);
    uint64_t begun = pst_clock_monotonic_ns(), start_ticks = start_of(family.program);
    for (int i = 0; i < PST_MAX_LENDS + LATER; i++) {
        int fd = pst_lend_ask(scan[0], family.program, start_ticks);
        assert_true(fd >= 0);
        (void)close(fd);
    }
    assert_true(pst_clock_monotonic_ns() - begun >= (LATER - 1) * PST_NS_PER_S / 32);
    end_family(&family);
}

static void a_lender_that_does_not_answer_is_left_alone_for_a_while(void **state)
{
    int mute[2];
    char waiting[64];

    (void)state;
    assert_int_equal(pst_link_pair(mute), 0);
    assert_int_equal(pst_lend_ask(mute[0], getpid(), 1), -EAGAIN);
    assert_int_equal(pst_lend_ask(mute[0], getpid(), 1), -EAGAIN);
    assert_true(pst_link_receive(mute[1], waiting, sizeof(waiting), NULL, 0, NULL) > 0);
    assert_int_equal(pst_link_receive(mute[1], waiting, sizeof(waiting), NULL, 0, NULL), -EAGAIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_program_and_its_descendants_are_lent_for_reading),
        cmocka_unit_test(nobody_else_is_lent),
        cmocka_unit_test(another_process_of_the_same_pid_is_not_lent),
        cmocka_unit_test(what_was_lent_reads_nothing_after_exec),
        cmocka_unit_test(readers_ask_over_their_sockets),
        cmocka_unit_test(past_a_burst_a_reader_waits_for_its_turn),
        cmocka_unit_test(a_lender_that_does_not_answer_is_left_alone_for_a_while),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
