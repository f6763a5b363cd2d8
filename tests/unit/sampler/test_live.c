/* Both threads of the sampler on live Pythons, while plans change, a target ends and windows close:
 * every nanosecond of a process's clock is in its profiles once, and no thread races another (this
 * is the program for -fsanitize=thread). */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
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
#include "sampler/sampler.h"
#include "scan/scan.h"
#include "threads.h"

enum { CHILDREN = 3, CPU = 1U << PST_MODE_CPU, WALL = 1U << PST_MODE_WALL };

static const char program[] = "import threading, time\n"
                              "print(flush=True)\n"
                              "def burn():\n"
                              "    while True:\n"
                              "        end = time.monotonic() + 0.02\n"
                              "        while time.monotonic() < end:\n"
                              "            sum(range(200))\n"
                              "        time.sleep(0.05)\n"
                              "def visitor():\n"
                              "    sum(range(20000))\n"
                              "threading.Thread(target=burn, daemon=True).start()\n"
                              "while True:\n"
                              "    t = threading.Thread(target=visitor); t.start(); t.join()\n"
                              "    time.sleep(0.02)\n";

struct run {
    struct pst_sampler *sampler;
    struct pst_sampler_target rows[CHILDREN];
    _Atomic bool sampled;
    /* Shipping thread. */
    uint64_t cpu_ns[CHILDREN + 1], clock_ns[CHILDREN + 1];
    uint64_t windows[CHILDREN + 1], ends, last_end;
    bool gone[CHILDREN + 1], ordered;
};

/* Returns once the child runs Python code. */
static pid_t start_python(void)
{
    int running[2];
    char byte;
    assert_int_equal(pipe2(running, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)dup2(running[1], STDOUT_FILENO);
        (void)execl("/usr/bin/python3", "python3", "-S", "-c", program, NULL);
        _exit(127);
    }
    (void)close(running[1]);
    assert_int_equal(read(running[0], &byte, 1), 1);
    (void)close(running[0]);
    return pid;
}

static void sleep_until(uint64_t until_ns)
{
    struct timespec until = {(time_t)(until_ns / PST_NS_PER_S), (long)(until_ns % PST_NS_PER_S)};
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static void find(struct pst_scan *scan, pid_t pid, uint64_t id, struct pst_sampler_target *ret)
{
    const struct pst_facts *facts;
    uint64_t deadline = pst_clock_monotonic_ns() + 20 * PST_NS_PER_S;
    for (;;) {
        if (pst_scan_one(scan, pid, &facts) == 0 && facts->state == PST_TARGET_READY)
            break;
        assert_true(pst_clock_monotonic_ns() < deadline);
        sleep_until(pst_clock_monotonic_ns() + 20 * PST_NS_PER_MS);
    }
    *ret = (struct pst_sampler_target){.id = id,
                                       .pid = pid,
                                       .start_ticks = facts->start_ticks,
                                       .runtime = facts->runtime,
                                       .hz = 97,
                                       .modes = CPU | WALL,
                                       .window_ns = PST_NS_PER_S / 5,
                                       .max_frames = 64};
}

static void on_window(void *context, const struct pst_sampler_window *window,
                      struct pst_profile *const profiles[PST_MODE_COUNT])
{
    struct run *run = context;
    int64_t samples, value = 0;
    if (profiles[PST_MODE_CPU])
        pst_profile_total(profiles[PST_MODE_CPU], &samples, &value);
    run->windows[window->target]++;
    run->cpu_ns[window->target] += (uint64_t)value;
    run->clock_ns[window->target] += window->cpu_ns;
    run->gone[window->target] = run->gone[window->target] || window->gone;
}

static void on_end(void *context, uint64_t sequence)
{
    struct run *run = context;
    run->ordered = run->ordered && (run->ends == 0 || sequence == run->last_end + 1);
    run->last_end = sequence;
    run->ends++;
}

static void *ship(void *context)
{
    struct run *run = context;
    uint64_t target;
    while (!atomic_load(&run->sampled)) {
        (void)pst_sampler_ship(run->sampler, 20);
        (void)pst_sampler_stalled(run->sampler, pst_clock_monotonic_ns(), &target);
    }
    while (pst_sampler_ship(run->sampler, 0))
        continue;
    return NULL;
}

static void sample_for(struct run *run, uint64_t ms)
{
    uint64_t end = pst_clock_monotonic_ns() + ms * PST_NS_PER_MS;
    for (uint64_t now; (now = pst_clock_monotonic_ns()) < end;) {
        uint64_t next = pst_sampler_tick(run->sampler, now);
        sleep_until(next < end ? next : end);
    }
}

/* The third target is left out for a while and its modes change, the second one ends. */
static void sample(struct run *run)
{
    assert_int_equal(pst_sampler_plan(run->sampler, run->rows, CHILDREN), 0);
    sample_for(run, 1000);
    assert_int_equal(pst_sampler_plan(run->sampler, run->rows, CHILDREN - 1), 0);
    sample_for(run, 300);
    run->rows[2].modes = CPU;
    assert_int_equal(pst_sampler_plan(run->sampler, run->rows, CHILDREN), 0);
    (void)kill(run->rows[1].pid, SIGKILL);
    sample_for(run, 700);
    run->rows[2].modes = CPU | WALL;
    run->rows[2].hz = 300;
    assert_int_equal(pst_sampler_plan(run->sampler, run->rows, CHILDREN), 0);
    sample_for(run, 700);
    pst_sampler_finish(run->sampler);
}

static void two_threads_lose_no_cpu_while_plans_change_and_targets_end(void **state)
{
    static struct run run;
    pid_t pids[CHILDREN];
    pthread_t shipping;
    struct pst_scan_options options = {.min_age_ns = 0};
    struct pst_scan *scan = pst_scan_new(&options);
    struct pst_sampler_hooks hooks = {&run, on_window, on_end};
    for (int i = 0; i < CHILDREN; i++)
        pids[i] = start_python();
    for (int i = 0; i < CHILDREN; i++)
        find(scan, pids[i], (uint64_t)i + 1, &run.rows[i]);
    run.ordered = true;
    run.sampler = pst_sampler_new(&hooks);
    assert_int_equal(pthread_create(&shipping, NULL, ship, &run), 0);
    sample(&run);
    atomic_store(&run.sampled, true);
    (void)pthread_join(shipping, NULL);
    pst_sampler_free(run.sampler);
    pst_scan_free(scan);
    for (int i = 0; i < CHILDREN; i++) {
        (void)kill(pids[i], SIGKILL);
        (void)waitpid(pids[i], NULL, 0);
    }
    assert_true(run.ordered && run.ends > 5);
    assert_true(run.gone[2] && !run.gone[1] && !run.gone[3]);
    /* Windows say what the process's clock moved by; the profiles hold the same. */
    for (int id = 1; id <= CHILDREN; id++) {
        print_message("target %d: %.1f of %.1f ms CPU\n", id, (double)run.cpu_ns[id] / 1e6,
                      (double)run.clock_ns[id] / 1e6);
        assert_true(run.windows[id] > 1 && run.clock_ns[id] > 50 * PST_NS_PER_MS);
        uint64_t slack = run.clock_ns[id] / 20;
        assert_in_range(run.cpu_ns[id], run.clock_ns[id] - slack, run.clock_ns[id] + slack);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_threads_lose_no_cpu_while_plans_change_and_targets_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
