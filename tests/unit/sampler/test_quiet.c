/* What is left out where little happens, and that it changes no weight: threads that are not
 * listed, turns that are not looked at. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "look.h"

enum { WALL = 1U << PST_MODE_WALL, GIL = 1U << PST_MODE_GIL };

/* ---- the list of threads ---- */

struct sleeper {
    pthread_t thread;
    pthread_mutex_t held; /* ends with it */
    _Atomic pid_t tid;
};

static void *sleep_until_let_go(void *context)
{
    struct sleeper *sleeper = context;
    atomic_store(&sleeper->tid, gettid());
    pthread_mutex_lock(&sleeper->held);
    pthread_mutex_unlock(&sleeper->held);
    return NULL;
}

static void start(struct sleeper *sleeper)
{
    (void)pthread_mutex_init(&sleeper->held, NULL);
    pthread_mutex_lock(&sleeper->held);
    atomic_store(&sleeper->tid, 0);
    assert_int_equal(pthread_create(&sleeper->thread, NULL, sleep_until_let_go, sleeper), 0);
    while (atomic_load(&sleeper->tid) == 0)
        (void)usleep(1000);
}

/* The kernel lets go of a thread a moment after it has been joined. */
static void end(struct sleeper *sleeper)
{
    char path[64];
    pthread_mutex_unlock(&sleeper->held);
    (void)pthread_join(sleeper->thread, NULL);
    (void)snprintf(path, sizeof(path), "/proc/self/task/%d/stat", atomic_load(&sleeper->tid));
    while (access(path, F_OK) == 0)
        (void)usleep(1000);
    (void)pthread_mutex_destroy(&sleeper->held);
}

static void count_ended(void *context, struct pst_os_thread *thread)
{
    ++*(unsigned *)context;
}

static void measure_all(struct pst_os_threads *threads)
{
    for (size_t i = 0; i < pst_os_threads_count(threads); i++)
        pst_os_thread_measure(threads, pst_os_threads_at(threads, i));
}

static void a_thread_that_takes_the_place_of_another_is_noticed_in_the_same_look(void **state)
{
    struct sleeper first, second;
    struct pst_os_threads *threads;
    unsigned ended = 0;
    start(&first);
    assert_int_equal(pst_os_threads_new(getpid(), false, &threads), 0);
    assert_int_equal(pst_os_threads_refresh(threads, count_ended, &ended), 0);
    measure_all(threads);
    assert_false(pst_os_threads_replaced(threads));
    size_t count = pst_os_threads_count(threads);

    end(&first);
    start(&second);
    assert_int_equal(pst_os_threads_refresh(threads, count_ended, &ended), 0);
    measure_all(threads);
    if (ended == 0) {
        assert_true(pst_os_threads_replaced(threads));
        assert_int_equal(pst_os_threads_refresh(threads, count_ended, &ended), 0);
    }
    assert_int_equal(ended, 1);
    assert_int_equal(pst_os_threads_count(threads), count);
    const struct pst_os_thread *thread = pst_os_threads_find(threads, atomic_load(&second.tid));
    assert_non_null(thread);
    assert_true(thread->fresh);

    measure_all(threads);
    assert_int_equal(pst_os_threads_refresh(threads, count_ended, &ended), 0);
    measure_all(threads);
    assert_false(pst_os_threads_replaced(threads));
    assert_false(thread->fresh);
    end(&second);
    pst_os_threads_free(threads);
}

static void one_look_at_a_sleeping_process_is_enough_to_know_that_it_sleeps_on(void **state)
{
    struct pst_os_threads *threads;
    unsigned ended = 0;
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            (void)pause();
    }
    assert_int_equal(pst_os_threads_new(pid, false, &threads), 0);
    uint64_t deadline = pst_clock_monotonic_ns() + 10 * PST_NS_PER_S;
    do {
        assert_true(pst_clock_monotonic_ns() < deadline);
        assert_int_equal(pst_os_threads_refresh(threads, count_ended, &ended), 0);
        measure_all(threads);
    } while (!pst_os_threads_still(threads));
    assert_true(pst_os_threads_at(threads, 0)->moved);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    assert_false(pst_os_threads_still(threads));
    pst_os_threads_free(threads);
}

/* ---- weights ---- */

struct bench {
    struct pst_shared shared;
    struct pst_sampled *target;
    struct pst_os_thread thread;
    uint32_t asleep, awake; /* stacks */
};

static uint32_t stack_of(struct bench *bench, const char *text)
{
    uint32_t function, stack;
    assert_int_equal(pst_names_synthetic(bench->shared.names, pst_str(text), &function), 0);
    assert_int_equal(pst_sampled_bracket(bench->target, function, &stack), 0);
    return stack;
}

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    (void)pthread_mutex_init(&bench->shared.windows_lock, NULL);
    bench->shared.names = pst_names_new();
    struct pst_sampler_target plan = {.id = 1, .pid = getpid(), .hz = 19, .modes = WALL | GIL};
    bench->target = pst_sampled_new(&bench->shared, &plan);
    bench->target->window = pst_window_new();
    bench->asleep = stack_of(bench, "asleep");
    bench->awake = stack_of(bench, "awake");
    bench->thread = (struct pst_os_thread){.tid = 7,
                                           .tstate = 1,
                                           .slot = PST_NO_STACK,
                                           .stack = bench->asleep,
                                           .charged = bench->asleep,
                                           .asked = false,
                                           .py = -1};
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    pst_sampled_free(bench->target);
    pst_names_free(bench->shared.names);
    free(bench);
    return 0;
}

static uint64_t weight_of(struct bench *bench, enum pst_mode mode, const char *leaf)
{
    struct pst_profile *profile;
    uint64_t total = 0;
    assert_int_equal(
        pst_window_profile(bench->target->window, mode, bench->shared.names, 1, &profile), 0);
    for (uint32_t i = 0; profile && i < pst_profile_sample_count(profile); i++) {
        struct pst_profile_sample sample;
        uint32_t function;
        int64_t line;
        pst_profile_sample(profile, i, &sample);
        pst_profile_location_at(profile, sample.locations[0], &function, &line);
        struct pst_str text =
            pst_profile_text(profile, pst_profile_function_at(profile, function)->name);
        if (!leaf || pst_str_eq(text, pst_str(leaf)))
            total += (uint64_t)sample.value_ns;
    }
    pst_profile_free(profile);
    return total;
}

/* A look that finds the thread awake, with its frames given as a bracketed stack. */
static void find_awake(struct bench *bench, unsigned stands_for)
{
    struct pst_py_thread py = {.verdict = PST_V_OK, .has_gil = true};
    struct pst_look look = {.target = bench->target,
                            .counted_ns = 1000,
                            .stands_for = stands_for,
                            .raw_ns = stands_for * 1000,
                            .sampled = true};
    look.sample.threads = &py;
    look.sample.thread_count = 1;
    bench->shared.no_python_frame = 0;
    assert_int_equal(
        pst_names_synthetic(bench->shared.names, PST_STR("awake"), &bench->shared.no_python_frame),
        0);
    bench->thread.py = 0;
    bench->thread.asked = true;
    pst_look_weigh(&look, &bench->thread);
}

static void time_that_nobody_looked_at_is_shared_by_what_was_before_and_after_it(void **state)
{
    struct bench *bench = *state;
    bench->target->pending_ns = 8000;
    bench->target->pending_turns = 8;
    find_awake(bench, 4);
    assert_int_equal(weight_of(bench, PST_MODE_WALL, "asleep"), 4000);
    assert_int_equal(weight_of(bench, PST_MODE_WALL, "awake"), 4000);
}

static void time_in_which_nothing_ran_belongs_to_what_was_before(void **state)
{
    struct bench *bench = *state;
    bench->target->pending_ns = 8000;
    bench->target->pending_turns = 8;
    bench->target->known_ns = 7000;
    bench->target->known_turns = 7;
    find_awake(bench, 1);
    assert_int_equal(weight_of(bench, PST_MODE_WALL, "asleep"), 7500);
    assert_int_equal(weight_of(bench, PST_MODE_WALL, "awake"), 500);
}

static void a_look_that_stands_for_many_weighs_as_much_for_the_gil(void **state)
{
    struct bench *bench = *state;
    bench->target->pending_ns = 1000;
    bench->target->pending_turns = 1;
    find_awake(bench, 16);
    assert_int_equal(weight_of(bench, PST_MODE_GIL, "awake"), 16000);
}

int main(void)
{
#define BOOKS(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_that_takes_the_place_of_another_is_noticed_in_the_same_look),
        cmocka_unit_test(one_look_at_a_sleeping_process_is_enough_to_know_that_it_sleeps_on),
        BOOKS(time_that_nobody_looked_at_is_shared_by_what_was_before_and_after_it),
        BOOKS(time_in_which_nothing_ran_belongs_to_what_was_before),
        BOOKS(a_look_that_stands_for_many_weighs_as_much_for_the_gil),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
