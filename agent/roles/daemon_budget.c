/* What the agent itself costs: CPU and memory of all roles, held against the budget. */
#include <malloc.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/metrics.h"
#include "daemon.h"

/* Start-up (first scan, first attach) is not what the budget is about. */
static const uint64_t settle_ns = 20 * PST_NS_PER_S;
/* The roles tell their CPU every few seconds: over less, one such report looks like a burst. */
static const uint64_t least_interval_ns = 5 * PST_NS_PER_S;

static uint64_t own_cpu_ns(void)
{
    struct rusage used;
    if (getrusage(RUSAGE_SELF, &used) < 0)
        return 0;
    return (uint64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * PST_NS_PER_S +
           (uint64_t)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1000;
}

/* PSS from smaps_rollup: pages shared between the roles count once. */
static uint64_t own_memory_bytes(void)
{
    struct pst_buf text;
    uint64_t kib = 0;
    pst_buf_init(&text, 4096);
    if (pst_io_read_file(-1, "/proc/self/smaps_rollup", &text, true) == 0) {
        struct pst_str rest = pst_buf_view(&text), line;
        while (pst_str_next(&rest, '\n', &line)) {
            if (!pst_str_starts(line, PST_STR("Pss:")))
                continue;
            line = pst_str_trim((struct pst_str){line.ptr + 4, line.len - 4});
            line.len = pst_str_find(line, ' ');
            (void)pst_str_u64(line, 10, UINT64_MAX >> 10, &kib);
            break;
        }
    }
    pst_buf_done(&text);
    return kib << 10;
}

static uint64_t memory_of_all(struct pst_daemon *daemon)
{
    uint64_t memory = 0;
    daemon->role_memory_bytes[PST_ROLE_DAEMON] = own_memory_bytes();
    for (int role = 0; role < PST_ROLE_COUNT; role++)
        memory += daemon->role_memory_bytes[role];
    pst_metric_set(PST_METRIC_OVERHEAD_MEMORY, NULL, NULL, (double)memory);
    return memory;
}

void pst_daemon_show_budget(const struct pst_daemon *daemon)
{
    const struct pst_budget *budget = &daemon->budget;
    pst_metric_set(PST_METRIC_BUDGET, "rate", NULL, budget->rate_factor);
    pst_metric_set(PST_METRIC_BUDGET, "caches", NULL, 1.0 / (1U << budget->shrink));
    pst_metric_set(PST_METRIC_BUDGET, "modes", NULL, budget->cpu_only ? 0 : 1);
    pst_metric_set(PST_METRIC_BUDGET, "targets", NULL, budget->target_share);
}

static void take_step(struct pst_daemon *daemon, const char *step, uint64_t memory)
{
    const struct pst_budget *budget = &daemon->budget;
    pst_metric_add(PST_METRIC_BUDGET_STEPS, step, NULL, 1);
    pst_log_warn("budget",
                 "the agent used %.2f%% of a core and %.1f MiB: step %s; now rate x%.3g, caches "
                 "x%.3g, %stargets x%.3g",
                 daemon->overhead_ratio * 100, (double)memory / (1 << 20), step,
                 budget->rate_factor, 1.0 / (1U << budget->shrink),
                 budget->cpu_only ? "cpu alone, " : "", budget->target_share);
    daemon->plan_due = true;
}

void pst_daemon_measure_memory(struct pst_daemon *daemon, uint64_t told_generation)
{
    if (daemon->budget.shrink > 0)
        (void)malloc_trim(0);
    uint64_t memory = memory_of_all(daemon);
    const char *step =
        pst_budget_memory(&daemon->budget, memory, daemon->config->sampling.overhead_memory_bytes,
                          told_generation >= daemon->shrunk_generation);
    if (step) {
        /* The plan that says so is the next one. */
        daemon->shrunk_generation = daemon->plan_generation + 1;
        take_step(daemon, step, memory);
    }
    daemon->caches_settled = told_generation >= daemon->shrunk_generation;
    pst_daemon_show_budget(daemon);
}

void pst_daemon_measure(struct pst_daemon *daemon, uint64_t now_ns)
{
    if (daemon->measured_ns && now_ns - daemon->measured_ns < least_interval_ns)
        return;
    daemon->role_cpu_ns[PST_ROLE_DAEMON] = own_cpu_ns();
    uint64_t cpu_ns = 0, memory = memory_of_all(daemon);
    for (int role = 0; role < PST_ROLE_COUNT; role++)
        cpu_ns += pst_known_growth(&daemon->measured_cpu_ns[role], daemon->role_cpu_ns[role]);
    daemon->used_cpu_ns += cpu_ns;
    bool usable = daemon->measured_ns && daemon->measured_ns - daemon->start_ns >= settle_ns;
    if (daemon->measured_ns)
        daemon->overhead_ratio = (double)cpu_ns / (double)(now_ns - daemon->measured_ns);
    daemon->measured_ns = now_ns;
    pst_metric_set(PST_METRIC_OVERHEAD, NULL, NULL, daemon->overhead_ratio);
    pst_metric_set(PST_METRIC_PROCESS_CPU, NULL, NULL,
                   (double)daemon->used_cpu_ns / (double)PST_NS_PER_S);
    if (!usable)
        return;
    const struct pst_config *config = daemon->config;
    /* Until caches have been shed, what they held says nothing about rates. */
    uint64_t limit = config->sampling.overhead_memory_bytes;
    if (!daemon->caches_settled && memory > limit)
        memory = limit;
    const char *step = pst_budget_measure(&daemon->budget, daemon->overhead_ratio,
                                          config->sampling.overhead_cpu, memory, limit);
    if (step)
        take_step(daemon, step, memory);
    pst_daemon_show_budget(daemon);
}
