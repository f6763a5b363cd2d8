/* Stopping a process: all of its threads, and nothing of it afterwards. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "target/procfs.h"
#include "target/stop.h"

enum { THREADS = 3 };

static atomic_long *counts; /* shared: one for each thread of the child */

#define eventually(condition)                                                                      \
    do {                                                                                           \
        uint64_t until_ns = pst_clock_monotonic_ns() + 20 * PST_NS_PER_S;                          \
        while (!(condition) && pst_clock_monotonic_ns() < until_ns)                                \
            (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);                         \
        assert_true(condition);                                                                    \
    } while (0)

static void *spin(void *argument)
{
    for (;;) {
        atomic_fetch_add((atomic_long *)argument, 1);
        (void)nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    }
    return NULL;
}

static bool all_run(void)
{
    long before[THREADS];

    for (int i = 0; i < THREADS; i++)
        before[i] = atomic_load(&counts[i]);
    (void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    for (int i = 0; i < THREADS; i++) {
        if (atomic_load(&counts[i]) == before[i])
            return false;
    }
    return true;
}

static pid_t start(void)
{
    pthread_t thread;

    counts = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(counts, MAP_FAILED);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        for (int i = 1; i < THREADS; i++)
            (void)pthread_create(&thread, NULL, spin, &counts[i]);
        (void)spin(&counts[0]);
    }
    eventually(all_run());
    return pid;
}

static void end(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    (void)munmap(counts, 4096);
}

static char state_of(pid_t pid)
{
    struct pst_stat stat;

    assert_int_equal(pst_stat_read(pid, &stat), 0);
    return stat.state;
}

static void all_threads_stand_still_and_go_on(void **state)
{
    pid_t pid = start(), tracer;
    struct pst_stop *stop;

    assert_int_equal(pst_stop_all(pid, PST_NS_PER_S * 20, &stop, &tracer), 0);
#ifdef PST_SANITIZED /* which may have threads of its own */
    assert_true(pst_stop_count(stop) >= THREADS);
#else
    assert_int_equal(pst_stop_count(stop), THREADS);
#endif
    assert_int_equal(state_of(pid), 't');
    long before = atomic_load(&counts[1]);
    (void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    assert_int_equal(atomic_load(&counts[1]), before);
    assert_true(pst_stop_release(stop) >= 20000000);
    eventually(all_run());
    end(pid);
}

static void one_that_was_stopped_before_stays_so(void **state)
{
    pid_t pid = start(), tracer;
    struct pst_stop *stop;
    siginfo_t info;

    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WSTOPPED), 0);
    assert_int_equal(pst_stop_all(pid, PST_NS_PER_S * 20, &stop, &tracer), 0);
    (void)pst_stop_release(stop);
    eventually(state_of(pid) == 'T');
    assert_int_equal(kill(pid, SIGCONT), 0);
    eventually(all_run());
    end(pid);
}

/* Who stopped it ends, as `dump` does: until then the threads that the signal ended are his. */
static void a_signal_on_its_way_is_delivered(void **state)
{
    pid_t pid = start(), tracer = fork();
    int status;

    if (tracer == 0) {
        struct pst_stop *stop;
        pid_t other;
        if (pst_stop_all(pid, PST_NS_PER_S * 20, &stop, &other) < 0 || kill(pid, SIGTERM) < 0)
            _exit(1);
        (void)pst_stop_release(stop);
        _exit(0);
    }
    assert_int_equal(waitpid(tracer, &status, 0), tracer);
    assert_int_equal(status, 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    (void)munmap(counts, 4096);
}

static void another_tracer_is_named_and_nothing_stopped(void **state)
{
    pid_t pid = start(), found;
    struct pst_stop *stop;
    int ready[2];
    char word;

    assert_int_equal(pipe(ready), 0);
    pid_t tracer = fork();
    if (tracer == 0) {
        if (ptrace(PTRACE_SEIZE, pid, 0, 0) == 0)
            (void)!write(ready[1], "x", 1);
        for (;;)
            (void)pause();
    }
    assert_int_equal(read(ready[0], &word, 1), 1);
    assert_int_equal(pst_stop_all(pid, PST_NS_PER_S * 20, &stop, &found), -EPERM);
    assert_int_equal(found, tracer);
    assert_true(all_run());
    assert_int_equal(kill(tracer, SIGKILL), 0);
    assert_int_equal(waitpid(tracer, NULL, 0), tracer);
    (void)close(ready[0]);
    (void)close(ready[1]);
    end(pid);
}

static void one_that_has_ended_is_gone(void **state)
{
    struct pst_stop *stop;
    pid_t pid = fork(), tracer;
    siginfo_t info;

    if (pid == 0)
        _exit(0);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(pst_stop_all(pid, PST_NS_PER_S, &stop, &tracer), -ESRCH);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(pst_stop_all(pid, PST_NS_PER_S, &stop, &tracer), -ESRCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_threads_stand_still_and_go_on),
        cmocka_unit_test(one_that_was_stopped_before_stays_so),
        cmocka_unit_test(a_signal_on_its_way_is_delivered),
        cmocka_unit_test(another_tracer_is_named_and_nothing_stopped),
        cmocka_unit_test(one_that_has_ended_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
