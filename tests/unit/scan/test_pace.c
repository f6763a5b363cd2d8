/* How a run shares out its looks among processes that are known already; and what it knows them by.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "pace.h"

static const uint64_t old_ns = 3600 * PST_NS_PER_S;

static unsigned looks_of_run(struct pst_pace *pace, uint64_t now_s, pid_t count, uint64_t age_ns,
                             uint8_t *looked)
{
    unsigned looks = 0;

    pst_pace_run(pace, now_s * PST_NS_PER_S);
    for (pid_t pid = 1; pid <= count; pid++) {
        bool turn = pst_pace_turn(pace, pid, age_ns);
        looked[pid] = (uint8_t)(looked[pid] + turn);
        looks += turn;
    }
    return looks;
}

static void few_have_their_turn_in_every_run(void **state)
{
    struct pst_pace pace = {0};
    uint8_t looked[501] = {0};

    for (uint64_t run = 1; run <= 5; run++)
        assert_int_equal(looks_of_run(&pace, 1000 + run, 500, old_ns, looked), 500);
}

static void each_of_twenty_thousand_has_its_turn_within_ten_runs(void **state)
{
    enum { COUNT = 20000, RUNS = 10, INTERVAL_S = 10 };
    struct pst_pace pace = {0};
    static uint8_t looked[COUNT + 1];

    (void)looks_of_run(&pace, 1000, COUNT, old_ns, looked); /* it learns how many there are */
    memset(looked, 0, sizeof(looked));
    for (uint64_t run = 1; run <= RUNS; run++)
        assert_in_range(looks_of_run(&pace, 1000 + run * INTERVAL_S, COUNT, old_ns, looked), 1500,
                        2000);
    for (pid_t pid = 1; pid <= COUNT; pid++)
        assert_int_equal(looked[pid], 1);
}

static void the_young_do_not_wait_for_their_turn(void **state)
{
    enum { COUNT = 20000 };
    struct pst_pace pace = {0};
    static uint8_t looked[COUNT + 1];

    (void)looks_of_run(&pace, 1000, COUNT, old_ns, looked);
    assert_int_equal(looks_of_run(&pace, 1010, COUNT, 30 * PST_NS_PER_S, looked), COUNT);
}

static void full_looks_for_time_alone_are_few(void **state)
{
    struct pst_pace pace = {0};
    unsigned granted = 0;

    pst_pace_run(&pace, PST_NS_PER_S);
    for (int i = 0; i < 20000; i++)
        granted += pst_pace_recheck(&pace);
    assert_int_equal(granted, 64);
    pst_pace_run(&pace, 11 * PST_NS_PER_S);
    assert_true(pst_pace_recheck(&pace));
}

static ino_t listed(pid_t pid)
{
    DIR *folder = opendir("/proc");
    const struct dirent *entry;
    ino_t found = 0;

    while (folder && (entry = readdir(folder)))
        if (strtol(entry->d_name, NULL, 10) == pid)
            found = entry->d_ino;
    if (folder)
        (void)closedir(folder);
    return found;
}

/* A sleeping process; with this pid where one is wanted. */
static pid_t sleeper(pid_t wanted)
{
    int fd = wanted ? open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC) : -1;

    if (fd >= 0) {
        (void)dprintf(fd, "%d", (int)wanted - 1);
        (void)close(fd);
    }
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            (void)pause();
    return pid;
}

static void end(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

enum outcome { OTHER_NUMBER, SAME_NUMBER, UNSTEADY_NUMBER, NO_SUCH_NAMESPACE };

/* First process of a pid namespace, where nobody else takes a pid. */
static enum outcome use_a_pid_twice(void)
{
    if (mount("proc", "/proc", "proc", 0, NULL) < 0)
        return NO_SUCH_NAMESPACE;
    pid_t first = sleeper(0);
    ino_t before = listed(first), again = listed(first);
    end(first);
    pid_t second = sleeper(first);
    ino_t after = listed(second);
    end(second);
    if (second != first)
        return NO_SUCH_NAMESPACE;
    if (before == 0 || before != again)
        return UNSTEADY_NUMBER;
    return after == before ? SAME_NUMBER : OTHER_NUMBER;
}

static void the_entry_of_another_process_with_the_same_pid_has_another_number(void **state)
{
    int status = 0;
    pid_t parent = fork();

    if (parent == 0) {
        if (unshare(CLONE_NEWPID | CLONE_NEWNS) < 0 ||
            mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
            _exit(NO_SUCH_NAMESPACE);
        pid_t first = fork();
        if (first == 0)
            _exit((int)use_a_pid_twice());
        (void)waitpid(first, &status, 0);
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : NO_SUCH_NAMESPACE);
    }
    assert_int_equal(waitpid(parent, &status, 0), parent);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == NO_SUCH_NAMESPACE)
        skip();
    assert_int_equal(WEXITSTATUS(status), OTHER_NUMBER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_have_their_turn_in_every_run),
        cmocka_unit_test(each_of_twenty_thousand_has_its_turn_within_ten_runs),
        cmocka_unit_test(the_young_do_not_wait_for_their_turn),
        cmocka_unit_test(full_looks_for_time_alone_are_few),
        cmocka_unit_test(the_entry_of_another_process_with_the_same_pid_has_another_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
