/* Stopping a child of ours again and again, while it does what could be disturbed by that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "seize.h"
#include "target/procfs.h"

/* On a machine with other work a stop often comes too late, so that few in a second are whole. */
enum { ROUNDS = 3000, FEWEST = ROUNDS / 10, LONGEST_S = 20, PATIENCE_S = 200 };

struct shared {
    _Atomic uint64_t sent, got;
    _Atomic bool end;
};

static struct shared *shared;

static void count(int number)
{
    (void)number;
    atomic_fetch_add(&shared->got, 1);
}

/* Each signal is taken before the next is sent. */
static _Noreturn void raise_and_count(void)
{
    (void)signal(SIGUSR1, count);
    while (!atomic_load(&shared->end)) {
        atomic_fetch_add(&shared->sent, 1);
        (void)raise(SIGUSR1);
    }
    _exit(0);
}

static pid_t start(void)
{
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(shared, MAP_FAILED);
    pid_t child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves nobody who spins */
        raise_and_count();
    }
    return child;
}

/* As a thread that waits for the same child does: it takes the news of stops from the tracer. */
static void *wait_for_the_same(void *context)
{
    int status;

    while (!atomic_load(&shared->end))
        (void)waitpid(*(pid_t *)context, &status, WNOHANG);
    return NULL;
}

struct rounds {
    pid_t child;
    int done;
};

/* Ends early where a stop comes late: only its end lets go then. */
static void *stop_often(void *context)
{
    struct rounds *rounds = context;
    int status = pst_seize_prepare();

    while (status == 0 && rounds->done < ROUNDS) {
        struct pst_seized stop;
        status = pst_seize_begin(&stop, rounds->child, true);
        if (status == 0)
            pst_seize_end(&stop);
        rounds->done += status == 0;
    }
    pst_seize_done();
    return NULL;
}

static void end(pid_t child)
{
    int status;

    atomic_store(&shared->end, true);
    (void)kill(child, SIGCONT);
    (void)waitpid(child, &status, 0);
    assert_int_equal(atomic_load(&shared->got), atomic_load(&shared->sent));
    (void)munmap(shared, sizeof(*shared));
}

static void no_signal_is_lost_where_another_thread_waits_for_the_same_child(void **state)
{
    pid_t child = start();
    struct rounds rounds = {.child = child};
    uint64_t began = pst_clock_monotonic_ns();
    pthread_t tracer, waiter;

    (void)state;
    assert_int_equal(pthread_create(&waiter, NULL, wait_for_the_same, &child), 0);
    while (rounds.done < ROUNDS &&
           pst_clock_monotonic_ns() - began <
               (rounds.done > FEWEST ? LONGEST_S : PATIENCE_S) * PST_NS_PER_S) {
        assert_int_equal(pthread_create(&tracer, NULL, stop_often, &rounds), 0);
        (void)pthread_join(tracer, NULL);
    }
    printf("%d stops, %llu signals\n", rounds.done, (unsigned long long)atomic_load(&shared->sent));
    atomic_store(&shared->end, true);
    (void)pthread_join(waiter, NULL);
    end(child);
    assert_true(rounds.done > FEWEST);
}

static char state_of(pid_t child)
{
    struct pst_stat stat;

    return pst_stat_read(child, &stat) == 0 ? stat.state : '?';
}

static void await_state(pid_t child, bool stopped)
{
    uint64_t until = pst_clock_monotonic_ns() + LONGEST_S * PST_NS_PER_S;

    while ((state_of(child) == 'T') != stopped && pst_clock_monotonic_ns() < until)
        (void)usleep(100);
    assert_int_equal(state_of(child) == 'T', stopped);
}

/* However long a machine with other work takes for it. */
static void hold(struct pst_seized *stop, pid_t child)
{
    uint64_t until = pst_clock_monotonic_ns() + LONGEST_S * PST_NS_PER_S;
    int status = pst_seize_begin(stop, child, true);

    while (status == -ETIMEDOUT && pst_clock_monotonic_ns() < until)
        status = pst_seize_wait(stop);
    assert_int_equal(status, 0);
}

static void stop_it(pid_t child)
{
    (void)kill(child, SIGSTOP);
}

static void let_it_run(pid_t child)
{
    (void)kill(child, SIGCONT);
}

/* What a shell does with ^Z and fg, while a thread is held. */
static void a_stop_by_signal_stays_one_and_ends_when_it_is_told_to(void **state)
{
    pid_t child = start();
    struct pst_seized stop;

    (void)state;
    assert_int_equal(pst_seize_prepare(), 0);
    for (int i = 0; i < 20; i++) {
        static void (*const first[])(pid_t) = {stop_it, let_it_run};
        for (int step = 0; step < 2; step++) {
            if (i % 2) /* before the thread is held, not while it is */
                first[step](child);
            hold(&stop, child);
            if (i % 2 == 0)
                first[step](child);
            pst_seize_end(&stop);
            await_state(child, step == 0);
        }
    }
    pst_seize_done();
    end(child);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_signal_is_lost_where_another_thread_waits_for_the_same_child),
        cmocka_unit_test(a_stop_by_signal_stays_one_and_ends_when_it_is_told_to),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
