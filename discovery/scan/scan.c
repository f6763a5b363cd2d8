/* The scan object: its life, its questions and its events. */
#include "scan/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "scan_internal.h"

void pst_scan_enter(struct pst_scan *scan, pid_t pid, uint64_t start_ticks)
{
    struct pst_scan_watch *watch = scan->options.watch;

    if (!watch)
        return;
    atomic_store_explicit(&watch->pid, pid, memory_order_relaxed);
    atomic_store_explicit(&watch->start_ticks, start_ticks, memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&watch->sequence, 1, memory_order_release);
}

void pst_scan_leave(struct pst_scan *scan)
{
    if (scan->options.watch)
        (void)atomic_fetch_add_explicit(&scan->options.watch->sequence, 1, memory_order_release);
}

static uint64_t boot_realtime_ns(void)
{
    struct timespec boot, real;

    (void)clock_gettime(CLOCK_BOOTTIME, &boot);
    (void)clock_gettime(CLOCK_REALTIME, &real);
    int64_t seconds = (int64_t)real.tv_sec - boot.tv_sec;
    return (uint64_t)(seconds * (int64_t)PST_NS_PER_S + real.tv_nsec - boot.tv_nsec);
}

/* Milliseconds since 2020 in the upper bits: a scan that follows another never meets its ids, since
 * nobody issues 4096 in a millisecond; and they stay exact in JSON numbers until the year 2089. */
static uint64_t id_from_clock(void)
{
    static const uint64_t year_2020_ms = 1577836800000;
    uint64_t now_ms = pst_clock_realtime_ns() / PST_NS_PER_MS;

    return (now_ms > year_2020_ms ? now_ms - year_2020_ms : 0) << 12 | 1;
}

struct pst_scan *pst_scan_new(const struct pst_scan_options *options)
{
    struct pst_scan *scan = calloc(1, sizeof(*scan));
    long ticks = sysconf(_SC_CLK_TCK);

    if (!scan)
        return NULL;
    scan->options = *options;
    scan->next_id = options->first_id ? options->first_id : id_from_clock();
    scan->ticks_per_second = ticks > 0 ? (uint64_t)ticks : 100;
    scan->boot_realtime_ns = boot_realtime_ns();
    scan->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    scan->loadavg_fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
    scan->processes = pst_map_new(sizeof(pid_t), sizeof(struct process), PST_MAX_PROCESSES);
    scan->cache = pst_elf_cache_new();
    if (scan->epoll_fd < 0 || !scan->processes || !scan->cache)
        return pst_scan_free(scan);
    return scan;
}

struct pst_scan *pst_scan_free(struct pst_scan *scan)
{
    if (!scan)
        return NULL;
    for (size_t i = 0; i < scan->target_count; i++)
        pst_target_free(scan->targets[i]);
    free(scan->targets);
    pst_map_free(scan->processes);
    pst_elf_cache_free(scan->cache);
    if (scan->epoll_fd >= 0)
        (void)close(scan->epoll_fd);
    if (scan->loadavg_fd >= 0)
        (void)close(scan->loadavg_fd);
    free(scan);
    return NULL;
}

void pst_scan_set_min_age(struct pst_scan *scan, uint64_t min_age_ns)
{
    scan->options.min_age_ns = min_age_ns;
}

static void link_parent(const struct pst_scan *scan, struct target *target)
{
    const struct target *parent = pst_target_of_pid(scan, target->facts->ppid);

    /* A parent is never younger; one that is has only its pid. */
    if (target->facts->parent_id != 0 || !parent || parent == target ||
        parent->facts->start_ticks > target->facts->start_ticks)
        return;
    target->facts->parent_id = parent->facts->id;
    target->changed = true;
}

void pst_scan_announce(struct pst_scan *scan)
{
    for (size_t i = 0; i < scan->target_count; i++) {
        struct target *target = scan->targets[i];
        link_parent(scan, target);
        if (!target->announced && target->wants_environ)
            pst_target_environ(scan, target);
    }
    for (size_t i = 0; i < scan->target_count; i++) {
        struct target *target = scan->targets[i];
        if (target->announced && !target->changed)
            continue;
        enum pst_scan_event event = target->announced ? PST_SCAN_CHANGED : PST_SCAN_NEW;
        target->announced = true;
        target->changed = false;
        if (scan->options.emit)
            scan->options.emit(scan->options.context, event, target->facts);
    }
}

int pst_scan_one(struct pst_scan *scan, pid_t pid, const struct pst_facts **ret)
{
    struct pst_stat stat;

    int status = pst_stat_read(pid, &stat);
    if (status < 0)
        return status;
    if (stat.state == 'Z' || stat.state == 'X')
        return -ESRCH;
    struct process *process = pst_process_put(scan, pid, &stat);
    if (!process)
        return -ENOMEM;
    process->run = scan->run;
    if (process->target && pst_target_replaced(process->target))
        pst_target_drop(scan, process->target, "exec");
    process = pst_process_get(scan, pid);
    if (process && !process->target)
        status = pst_process_inspect(scan, pid, &stat);
    if (status < 0)
        return status == -EACCES ? -EPERM : status;
    pst_scan_announce(scan);
    struct target *target = pst_target_of_pid(scan, pid);
    if (!target)
        return -ENOENT;
    *ret = target->facts;
    return 0;
}

int pst_scan_refuse(struct pst_scan *scan, pid_t pid, uint64_t start_ticks)
{
    struct pst_stat identity = {.start_ticks = start_ticks};
    struct process *process = pst_process_get(scan, pid);

    if (!process)
        process = pst_process_put(scan, pid, &identity);
    if (!process)
        return -ENOMEM;
    if (process->start_ticks != start_ticks)
        return -ESRCH;
    process->run = scan->run;
    process->kind = PROCESS_REFUSED;
    if (!process->target)
        return 0;
    /* No look at it may follow, not even for exec. */
    process->target->wants_environ = false;
    process->target->facts->random_address = 0;
    int status = pst_target_state(process->target, PST_TARGET_FAILED, "stalled");
    pst_scan_announce(scan);
    return status;
}

size_t pst_scan_count(const struct pst_scan *scan)
{
    return scan->target_count;
}

bool pst_scan_next(const struct pst_scan *scan, size_t *cursor, const struct pst_facts **ret)
{
    if (*cursor >= scan->target_count)
        return false;
    *ret = scan->targets[(*cursor)++]->facts;
    return true;
}

const struct pst_facts *pst_scan_get(const struct pst_scan *scan, uint64_t id)
{
    for (size_t i = 0; i < scan->target_count; i++) {
        if (scan->targets[i]->facts->id == id)
            return scan->targets[i]->facts;
    }
    return NULL;
}

void pst_scan_stats(const struct pst_scan *scan, struct pst_scan_stats *ret)
{
    *ret = scan->stats;
    pst_elf_cache_stats(scan->cache, &ret->elf_read, &ret->elf_cached);
}
