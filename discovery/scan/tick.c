/* What happens between two full runs: exits, new children of targets, interpreters that come up,
 * and in turn exec and further runtimes. Cost follows what happened, not how many processes there
 * are. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "scan_internal.h"

enum {
    PIDS_PER_TICK = 512,        /* more new ids than this in one tick: one look at /proc instead */
    EXEC_ROUND_TICKS = 20,      /* each target is asked about exec once in so many ticks */
    RUNTIMES_ROUND_TICKS = 200, /* and about other runtimes: every 10 s where there are many */
    FRESH_TRIES = 7,            /* 50 ms doubling: for some 6 s */
};

static const uint64_t listing_ns = PST_NS_PER_S;

void pst_fresh_add(struct pst_scan *scan, pid_t pid, uint64_t start_ticks)
{
    for (size_t i = 0; i < scan->fresh_count; i++) {
        if (scan->fresh[i].pid == pid && scan->fresh[i].start_ticks == start_ticks)
            return;
    }
    if (scan->fresh_count < FRESH_MAX)
        scan->fresh[scan->fresh_count++] =
            (struct fresh){pid, start_ticks, 0, pst_clock_monotonic_ns() + 50 * PST_NS_PER_MS};
}

static void reap(struct pst_scan *scan)
{
    enum { EVENTS = 64 };
    struct epoll_event events[EVENTS];
    int count;

    do {
        count = epoll_wait(scan->epoll_fd, events, EVENTS, 0);
        for (int i = 0; i < count; i++) {
            for (size_t j = 0; j < scan->target_count; j++) {
                struct target *target = scan->targets[j];
                if (target->facts->id == events[i].data.u64) {
                    pst_process_remove(scan, target->ref.pid);
                    break;
                }
            }
        }
    } while (count == EVENTS);
}

/* A new process or thread id: of interest only when it descends from a target. */
static void probe(struct pst_scan *scan, pid_t pid)
{
    struct pst_stat stat;

    if (pst_stat_read(pid, &stat) < 0 || stat.state == 'Z' || stat.state == 'X')
        return;
    const struct process *known = pst_process_get(scan, pid);
    if (known && known->start_ticks == stat.start_ticks)
        return;
    const struct process *parent = pst_process_get(scan, stat.ppid);
    if (!parent || !(parent->kin || parent->kind == PROCESS_TARGET))
        return;
    struct pst_procref ref;
    if (pst_procref_open(pid, &ref) < 0) /* a thread of one */
        return;
    pst_procref_done(&ref);
    struct process *process = pst_process_put(scan, pid, &stat);
    if (process)
        process->run = scan->run;
    if (process)
        (void)pst_process_inspect(scan, pid, &stat);
}

/* The last field of /proc/loadavg is the newest process or thread id. */
static int newest_pid(const struct pst_scan *scan, pid_t *ret)
{
    char text[128];
    uint64_t value;

    ssize_t len = pst_procfs_read_fd(scan->loadavg_fd, text, sizeof(text));
    if (len < 0)
        return (int)len;
    struct pst_str line = pst_str_trim((struct pst_str){text, (size_t)len});
    size_t blank = pst_str_rfind(line, ' ');
    if (blank == line.len)
        return -EBADMSG;
    line = (struct pst_str){line.ptr + blank + 1, line.len - blank - 1};
    int status = pst_str_u64(line, 10, INT32_MAX, &value);
    if (status == 0)
        *ret = (pid_t)value;
    return status;
}

static void probe_listed(struct pst_scan *scan, pid_t pid, uint64_t inode)
{
    const struct process *known = pst_process_get(scan, pid);

    if (!known || known->inode != inode)
        probe(scan, pid);
}

static void find_children(struct pst_scan *scan)
{
    pid_t newest = 0;

    if (newest_pid(scan, &newest) < 0 || newest == scan->last_pid)
        return;
    pid_t last = scan->last_pid;
    if (newest > last && newest - last <= PIDS_PER_TICK) {
        scan->last_pid = newest;
        for (pid_t pid = last + 1; pid <= newest; pid++)
            probe(scan, pid);
        return;
    }
    /* Ids were used up fast, or wrapped around. */
    uint64_t now = pst_clock_monotonic_ns();
    if (now - scan->listed_ns < listing_ns)
        return;
    scan->listed_ns = now;
    scan->last_pid = newest;
    (void)pst_scan_list(scan, probe_listed);
}

static void retry_fresh(struct pst_scan *scan)
{
    uint64_t now = pst_clock_monotonic_ns();
    size_t kept = 0, count = scan->fresh_count;
    struct fresh due[FRESH_MAX];
    struct pst_stat stat;

    memcpy(due, scan->fresh, count * sizeof(due[0]));
    for (size_t i = 0; i < count; i++) {
        struct fresh *one = &due[i];
        if (now >= one->next_try_ns) {
            const struct process *process = pst_process_get(scan, one->pid);
            if (!process || process->start_ticks != one->start_ticks ||
                process->kind != PROCESS_PLAIN || pst_stat_read(one->pid, &stat) < 0 ||
                stat.start_ticks != one->start_ticks ||
                pst_process_inspect(scan, one->pid, &stat) != -ENOENT ||
                ++one->tries >= FRESH_TRIES)
                continue;
            one->next_try_ns = now + ((50 * PST_NS_PER_MS) << one->tries);
        }
        scan->fresh[kept++] = *one;
    }
    scan->fresh_count = kept;
}

static void retry_targets(struct pst_scan *scan)
{
    uint64_t now = pst_clock_monotonic_ns();

    for (size_t i = 0; i < scan->target_count; i++) {
        struct target *target = scan->targets[i];
        if (now < target->next_try_ns)
            continue;
        if (target->facts->state == PST_TARGET_STARTING ||
            pst_str_eq(target->facts->reason, PST_STR("eperm")))
            pst_target_retry(scan, target);
        if (target->facts->state == PST_TARGET_READY && target->wants_environ)
            pst_target_environ(scan, target);
    }
}

static void check_exec(struct pst_scan *scan)
{
    struct pst_stat stat;
    size_t count = (scan->target_count + EXEC_ROUND_TICKS - 1) / EXEC_ROUND_TICKS;

    for (size_t i = 0; i < count && scan->target_count > 0; i++) {
        struct target *target = scan->targets[scan->exec_cursor++ % scan->target_count];
        pid_t pid = target->ref.pid;
        pst_scan_enter(scan, pid, target->ref.start_ticks);
        bool replaced = pst_target_replaced(target);
        bool ended = target->ref.pidfd < 0 && pst_procref_verify(&target->ref) == -ESRCH;
        pst_scan_leave(scan);
        if (ended) {
            pst_process_remove(scan, pid);
        } else if (replaced) {
            pst_target_drop(scan, target, "exec");
            if (pst_stat_read(pid, &stat) == 0)
                (void)pst_process_inspect(scan, pid, &stat);
        }
    }
}

static void check_runtimes(struct pst_scan *scan)
{
    size_t count = (scan->target_count + RUNTIMES_ROUND_TICKS - 1) / RUNTIMES_ROUND_TICKS;

    for (size_t i = 0; i < count; i++)
        pst_runtimes_check(scan, scan->targets[scan->runtimes_cursor++ % scan->target_count]);
}

int pst_scan_tick(struct pst_scan *scan)
{
    reap(scan);
    find_children(scan);
    retry_fresh(scan);
    retry_targets(scan);
    check_exec(scan);
    check_runtimes(scan);
    pst_scan_announce(scan);
    return 0;
}
