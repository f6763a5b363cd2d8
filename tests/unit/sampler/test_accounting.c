/* CPU accounting against a live child that burns exactly what it is told to: none lost, none twice,
 * none of a time that is not ours. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "sampled.h"

enum { BURN_MS = 40, LEAST_MS = 35, CPU = 1U << PST_MODE_CPU, WALL = 1U << PST_MODE_WALL };
static const uint64_t least_ns = LEAST_MS * PST_NS_PER_MS;

struct bench {
    pid_t pid;
    int ask, answer;
    struct pst_shared shared;
    struct pst_sampled *target;
    uint32_t work; /* function */
};

static uint64_t cpu_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * PST_NS_PER_S + (uint64_t)now.tv_nsec;
}

static _Noreturn void child(int ask, int answer)
{
    char byte;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (read(ask, &byte, 1) == 1) {
        uint64_t end = cpu_now_ns() + BURN_MS * PST_NS_PER_MS;
        while (cpu_now_ns() < end)
            continue;
        (void)!write(answer, &byte, 1);
    }
    _exit(0);
}

static uint32_t name(struct bench *bench, const char *text)
{
    uint32_t id;
    assert_int_equal(pst_names_synthetic(bench->shared.names, pst_str(text), &id), 0);
    return id;
}

static void burn(struct bench *bench)
{
    char byte = 0;
    assert_int_equal(write(bench->ask, &byte, 1), 1);
    assert_int_equal(read(bench->answer, &byte, 1), 1);
}

/* What an attachment and its first turn set up, without a walker. */
static void join(struct bench *bench)
{
    struct pst_sampled *target = bench->target;
    assert_int_equal(pst_os_threads_new(bench->pid, false, &target->threads), 0);
    assert_int_equal(pst_process_cpu_ns(bench->pid, &target->clock_ns), 0);
}

static void on_ended(void *context, struct pst_os_thread *thread)
{
}

static struct pst_os_thread *list(struct bench *bench)
{
    struct pst_os_threads *threads = bench->target->threads;
    assert_int_equal(pst_os_threads_refresh(threads, on_ended, NULL), 0);
    /* A sanitizer may run a thread of its own there. */
    struct pst_os_thread *thread = pst_os_threads_find(threads, bench->pid);
    assert_non_null(thread);
    return thread;
}

static void sample_work(struct bench *bench)
{
    uint32_t stack;
    struct pst_os_thread *thread = list(bench);
    pst_os_thread_measure(bench->target->threads, thread);
    assert_int_equal(pst_sampled_bracket(bench->target, bench->work, &stack), 0);
    pst_window_add_raw_cpu(bench->target->window, pst_sampled_slot(bench->target, thread), stack, 1,
                           1);
}

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    int ask[2], answer[2];
    assert_int_equal(pipe(ask) | pipe(answer), 0);
    bench->pid = fork();
    if (bench->pid == 0) {
        (void)close(ask[1]);
        child(ask[0], answer[1]);
    }
    (void)close(ask[0]);
    (void)close(answer[1]);
    bench->ask = ask[1];
    bench->answer = answer[0];
    struct pst_shared *shared = &bench->shared;
    (void)pthread_mutex_init(&shared->windows_lock, NULL);
    shared->names = pst_names_new();
    shared->not_observed = name(bench, "[not observed]");
    shared->cpu_not_observed = name(bench, "[cpu not observed]");
    shared->ended_threads = name(bench, "[ended threads]");
    bench->work = name(bench, "work");
    struct pst_procref ref;
    assert_int_equal(pst_procref_open(bench->pid, &ref), 0);
    struct pst_sampler_target plan = {
        .id = 1, .pid = bench->pid, .start_ticks = ref.start_ticks, .hz = 100, .modes = CPU};
    pst_procref_done(&ref);
    bench->target = pst_sampled_new(shared, &plan);
    *state = bench;
    return 0;
}

/* As after the first look: all it used so far is not ours. */
static void start(struct bench *bench)
{
    struct pst_sampled *target = bench->target;
    burn(bench);
    join(bench);
    target->window = pst_window_new();
    target->cpu_base_ns = target->window_clock_ns = target->clock_ns;
    target->counting = true;
    (void)list(bench);
    for (size_t i = 0; i < pst_os_threads_count(target->threads); i++)
        pst_os_thread_measure(target->threads, pst_os_threads_at(target->threads, i));
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    pst_sampled_free(bench->target);
    pst_names_free(bench->shared.names);
    (void)close(bench->ask);
    (void)close(bench->answer);
    (void)waitpid(bench->pid, NULL, 0);
    free(bench);
    return 0;
}

struct told {
    uint64_t work, not_observed, cpu_not_observed, total;
};

static uint64_t value_of(const struct pst_profile *profile, const char *leaf)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < pst_profile_sample_count(profile); i++) {
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
    return total;
}

static struct told end_window(struct bench *bench, bool reopen)
{
    struct pst_sampler_window stats;
    struct pst_profile *profile;
    struct told told = {0};
    struct pst_window *window =
        pst_sampled_close(bench->target, pst_clock_monotonic_ns(), reopen, &stats);
    assert_non_null(window);
    assert_int_equal(
        pst_window_profile(window, PST_MODE_CPU, bench->shared.names, bench->pid, &profile), 0);
    if (profile)
        told = (struct told){value_of(profile, "work"), value_of(profile, "[not observed]"),
                             value_of(profile, "[cpu not observed]"), value_of(profile, NULL)};
    pst_profile_free(profile);
    pst_window_free(window);
    return told;
}

static void what_was_sampled_before_the_walker_lost_the_process_keeps_its_cpu(void **state)
{
    struct bench *bench = *state;
    start(bench);
    burn(bench);
    sample_work(bench);
    pst_sampled_lost(bench->target, PST_V_TORN, 1);
    struct told told = end_window(bench, true);
    assert_in_range(told.work, least_ns, 2 * least_ns);
}

static void cpu_between_two_attachments_is_told_as_not_observed(void **state)
{
    struct bench *bench = *state;
    start(bench);
    burn(bench);
    sample_work(bench);
    pst_sampled_lost(bench->target, PST_V_TORN, 1);
    burn(bench);
    join(bench);
    pst_sampled_rejoin(bench->target);
    sample_work(bench);
    struct told told = end_window(bench, true);
    assert_in_range(told.work, least_ns, 2 * least_ns);
    assert_in_range(told.not_observed, least_ns, 2 * least_ns);
}

static void cpu_without_a_sample_is_carried_but_told_when_the_target_ends(void **state)
{
    struct bench *bench = *state;
    start(bench);
    burn(bench);
    assert_true(end_window(bench, true).total < least_ns);
    struct told told = end_window(bench, false);
    assert_in_range(told.cpu_not_observed, least_ns, 2 * least_ns);
}

static void cpu_used_while_the_mode_was_off_is_never_told(void **state)
{
    struct bench *bench = *state;
    bench->target->plan.modes = WALL;
    start(bench);
    burn(bench);
    (void)end_window(bench, true);
    bench->target->plan.modes = CPU | WALL;
    sample_work(bench);
    assert_true(end_window(bench, true).total < least_ns);
}

static void a_thread_that_was_listed_but_not_measured_starts_with_what_it_had(void **state)
{
    struct bench *bench = *state;
    burn(bench);
    join(bench);
    (void)list(bench);
    struct pst_os_thread *thread = list(bench);
    assert_false(thread->fresh);
    pst_os_thread_measure(bench->target->threads, thread);
    assert_true(thread->run_ns >= least_ns);
    assert_true(thread->accounted_ns == thread->run_ns);
}

static void a_process_that_could_never_be_attached_to_still_tells_its_cpu(void **state)
{
    struct bench *bench = *state;
    struct pst_sampler_window stats;
    pst_sampled_read_clock(bench->target);
    burn(bench);
    assert_null(pst_sampled_close(bench->target, 1, true, &stats));
    assert_in_range(stats.cpu_ns, least_ns, 2 * least_ns);
    assert_null(pst_sampled_close(bench->target, 2, true, &stats));
    assert_true(stats.cpu_ns < least_ns);
}

static void names_begin_anew_while_a_closed_window_still_has_its_own(void **state)
{
    struct bench *bench = *state;
    struct pst_sampler_window stats;
    struct pst_profile *profile;
    start(bench);
    assert_true(pst_sampled_take_names(bench->target));
    burn(bench);
    sample_work(bench);
    struct pst_os_thread *thread = pst_os_threads_find(bench->target->threads, bench->pid);
    assert_int_equal(pst_sampled_bracket(bench->target, bench->work, &thread->stack), 0);
    struct pst_names *old = pst_names_ref(bench->shared.names);
    pst_names_free(bench->shared.names);
    bench->shared.names = pst_names_new();
    struct pst_window *window = pst_sampled_close(bench->target, 1, true, &stats);
    assert_true(bench->target->names == bench->shared.names);
    assert_int_equal(thread->stack, PST_NO_STACK);
    assert_int_equal(pst_window_profile(window, PST_MODE_CPU, old, bench->pid, &profile), 0);
    assert_true(value_of(profile, "work") >= least_ns);
    pst_profile_free(profile);
    pst_window_free(window);
    pst_names_free(old);
}

static void names_say_when_their_room_is_nearly_taken(void **state)
{
    struct pst_names *names = pst_names_new();
    uint32_t id, made = 0;
    char text[64];
    while (!pst_names_full(names) && made < 1000000) {
        (void)snprintf(text, sizeof(text), "[made up name %u]", made++);
        assert_int_equal(pst_names_synthetic(names, pst_str(text), &id), 0);
    }
    assert_in_range(made, 50000, 300000);
    pst_names_free(names);
}

static struct pst_os_thread *measured(struct bench *bench)
{
    struct pst_os_thread *thread = list(bench);
    pst_os_thread_measure(bench->target->threads, thread);
    return thread;
}

static void what_ran_before_a_window_closed_is_not_taken_for_asleep_since_the_look(void **state)
{
    struct bench *bench = *state;
    join(bench);
    struct pst_os_threads *threads = bench->target->threads;
    struct pst_os_thread *thread = measured(bench);
    while (!pst_os_threads_still(threads)) /* until it waits to be asked */
        thread = measured(bench);
    burn(bench);
    pst_os_thread_cpu(threads, thread); /* as a closing window does */
    assert_false(pst_os_threads_still(threads));
    assert_true(measured(bench)->moved);
}

int main(void)
{
#define LIVE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        LIVE(what_was_sampled_before_the_walker_lost_the_process_keeps_its_cpu),
        LIVE(cpu_between_two_attachments_is_told_as_not_observed),
        LIVE(cpu_without_a_sample_is_carried_but_told_when_the_target_ends),
        LIVE(cpu_used_while_the_mode_was_off_is_never_told),
        LIVE(a_thread_that_was_listed_but_not_measured_starts_with_what_it_had),
        LIVE(a_process_that_could_never_be_attached_to_still_tells_its_cpu),
        LIVE(what_ran_before_a_window_closed_is_not_taken_for_asleep_since_the_look),
        LIVE(names_begin_anew_while_a_closed_window_still_has_its_own),
        cmocka_unit_test(names_say_when_their_room_is_nearly_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
