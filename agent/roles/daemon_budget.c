/* What the agent itself costs: CPU and memory of all roles, held against the budget. */
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

static void set_gauges(struct pst_daemon *daemon, uint64_t cpu_ns, uint64_t memory)
{
    pst_metric_set(PST_METRIC_OVERHEAD, NULL, NULL, daemon->overhead_ratio);
    pst_metric_set(PST_METRIC_OVERHEAD_MEMORY, NULL, NULL, (double)memory);
    pst_metric_set(PST_METRIC_PROCESS_CPU, NULL, NULL, (double)cpu_ns / (double)PST_NS_PER_S);
}

void pst_daemon_measure(struct pst_daemon *daemon, uint64_t now_ns)
{
    if (daemon->measured_ns && now_ns - daemon->measured_ns < least_interval_ns)
        return;
    daemon->role_cpu_ns[PST_ROLE_DAEMON] = own_cpu_ns();
    daemon->role_memory_bytes[PST_ROLE_DAEMON] = own_memory_bytes();
    uint64_t cpu_ns = 0, memory = 0;
    for (int role = 0; role < PST_ROLE_COUNT; role++) {
        cpu_ns += pst_known_growth(&daemon->measured_cpu_ns[role], daemon->role_cpu_ns[role]);
        memory += daemon->role_memory_bytes[role];
    }
    daemon->used_cpu_ns += cpu_ns;
    bool usable = daemon->measured_ns && daemon->measured_ns - daemon->start_ns >= settle_ns;
    if (daemon->measured_ns)
        daemon->overhead_ratio = (double)cpu_ns / (double)(now_ns - daemon->measured_ns);
    daemon->measured_ns = now_ns;
    set_gauges(daemon, daemon->used_cpu_ns, memory);
    if (!usable)
        return;
    const struct pst_config *config = daemon->config;
    const char *step =
        pst_budget_measure(&daemon->budget, daemon->overhead_ratio, config->sampling.overhead_cpu,
                           memory, config->sampling.overhead_memory_bytes);
    if (!step)
        return;
    pst_metric_add(PST_METRIC_BUDGET_STEPS, step, NULL, 1);
    pst_log_warn("budget", "the agent used %.2f%% of a core and %.1f MiB: step %s, rate now x%.3g",
                 daemon->overhead_ratio * 100, (double)memory / (1 << 20), step,
                 daemon->budget.rate_factor);
    daemon->plan_due = true;
}
