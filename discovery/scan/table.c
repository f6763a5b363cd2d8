/* The table of processes and the list of targets. A row is never trusted across a change of start
 * time: what an earlier process of the same pid was is dropped first. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/limits.h"
#include "scan_internal.h"

/* A process without a runtime is looked at again when it has grown by more than this (it may have
 * loaded one) or changed its name (it may have called exec), and now and then in any case. */
static const uint64_t recheck_growth_bytes = 1048576;
static const uint64_t recheck_ns = 300 * PST_NS_PER_S;
struct process *pst_process_get(const struct pst_scan *scan, pid_t pid)
{
    return pst_map_get(scan->processes, &pid);
}

struct target *pst_target_of_pid(const struct pst_scan *scan, pid_t pid)
{
    const struct process *process = pst_process_get(scan, pid);

    return process ? process->target : NULL;
}

static void note_comm(struct process *process, const struct pst_stat *stat)
{
    memset(process->comm, 0, sizeof(process->comm));
    memcpy(process->comm, stat->comm, strnlen(stat->comm, sizeof(process->comm) - 1));
}

struct process *pst_process_put(struct pst_scan *scan, pid_t pid, const struct pst_stat *stat)
{
    bool fresh;
    void *value;

    struct process *known = pst_process_get(scan, pid);
    if (known && known->start_ticks != stat->start_ticks && known->target)
        pst_target_drop(scan, known->target, "gone");
    if (pst_map_put(scan->processes, &pid, &value, &fresh) < 0)
        return NULL;
    struct process *process = value;
    if (!fresh && process->start_ticks == stat->start_ticks)
        return process;
    const struct process *parent = pst_process_get(scan, stat->ppid);
    *process = (struct process){
        .start_ticks = stat->start_ticks,
        .ppid = stat->ppid,
        .kin = parent && (parent->kin || parent->kind == PROCESS_TARGET),
        .kernel = (stat->flags & PST_PF_KTHREAD) != 0,
    };
    note_comm(process, stat);
    return process;
}

void pst_process_remove(struct pst_scan *scan, pid_t pid)
{
    struct process *process = pst_process_get(scan, pid);

    if (process && process->target)
        pst_target_drop(scan, process->target, "gone");
    (void)pst_map_remove(scan->processes, &pid);
}

static int targets_add(struct pst_scan *scan, struct target *target)
{
    if (scan->target_count >= PST_MAX_TARGETS) {
        scan->stats.refused_targets++;
        return -ENOSPC;
    }
    if (scan->target_count == scan->target_capacity) {
        size_t capacity = scan->target_capacity ? scan->target_capacity * 2 : 64;
        struct target **grown = reallocarray(scan->targets, capacity, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        scan->targets = grown;
        scan->target_capacity = capacity;
    }
    target->facts->id = scan->next_id++;
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = target->facts->id};
    if (target->ref.pidfd >= 0)
        (void)epoll_ctl(scan->epoll_fd, EPOLL_CTL_ADD, target->ref.pidfd, &event);
    scan->targets[scan->target_count++] = target;
    return 0;
}

void pst_target_drop(struct pst_scan *scan, struct target *target, const char *reason)
{
    struct process *process = pst_process_get(scan, target->ref.pid);

    if (process && process->target == target) {
        process->target = NULL;
        process->kind = PROCESS_UNKNOWN;
        process->kin = true;
    }
    for (size_t i = 0; i < scan->target_count; i++) {
        if (scan->targets[i] == target) {
            scan->targets[i] = scan->targets[--scan->target_count];
            break;
        }
    }
    target->facts->state = PST_TARGET_GONE;
    target->facts->reason = pst_str(reason);
    if (target->announced && scan->options.emit)
        scan->options.emit(scan->options.context, PST_SCAN_GONE, target->facts);
    pst_target_free(target);
}

int pst_process_inspect(struct pst_scan *scan, pid_t pid, const struct pst_stat *stat)
{
    struct process *process = pst_process_get(scan, pid);
    int status;

    if (!process || process->kind == PROCESS_REFUSED || process->kernel)
        return -ENOENT;
    pst_scan_enter(scan, pid, stat->start_ticks);
    struct target *parent = pst_target_of_pid(scan, stat->ppid);
    struct target *target = pst_target_detect(scan, pid, stat, parent, &status);
    pst_scan_leave(scan);
    process->vsize_bytes = stat->vsize_bytes;
    process->recheck_ns = pst_clock_monotonic_ns() + recheck_ns;
    note_comm(process, stat);
    if (target)
        status = targets_add(scan, target);
    if (status == 0) {
        process->kind = PROCESS_TARGET;
        process->target = target;
        return 0;
    }
    pst_target_free(target);
    process->kind = status == -EACCES || status == -EPERM ? PROCESS_DENIED : PROCESS_PLAIN;
    if (process->kin && process->kind == PROCESS_PLAIN)
        pst_fresh_add(scan, pid, stat->start_ticks);
    return status;
}

static bool wants_recheck(struct pst_scan *scan, const struct process *process,
                          const struct pst_stat *stat)
{
    uint64_t a = process->vsize_bytes, b = stat->vsize_bytes;

    if ((a > b ? a - b : b - a) >= recheck_growth_bytes ||
        strncmp(process->comm, stat->comm, sizeof(process->comm) - 1) != 0)
        return true;
    return scan->pace.run_ns >= process->recheck_ns && pst_pace_recheck(&scan->pace);
}

static uint64_t age_ns(const struct pst_scan *scan, const struct process *process)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    uint64_t now_ns = (uint64_t)now.tv_sec * PST_NS_PER_S + (uint64_t)now.tv_nsec;
    uint64_t born_ns = process->start_ticks * PST_NS_PER_S / scan->ticks_per_second;
    return now_ns > born_ns ? now_ns - born_ns : 0;
}

static bool too_young(struct pst_scan *scan, pid_t pid, const struct process *process)
{
    if (scan->run <= 1 || process->kin || scan->options.min_age_ns == 0 ||
        age_ns(scan, process) >= scan->options.min_age_ns)
        return false;
    return !pst_elf_cache_knows_exe(scan->cache, pid);
}

static bool is_replaced(struct pst_scan *scan, pid_t pid, const struct target *target)
{
    pst_scan_enter(scan, pid, target->ref.start_ticks);
    bool replaced = pst_target_replaced(target);
    pst_scan_leave(scan);
    return replaced;
}

/* The agent's roles refuse to be looked at, each other included: they are our supervisor and its
 * children. */
static bool is_of_this_agent(pid_t pid, pid_t ppid)
{
    pid_t supervisor = getppid();
    return pid == supervisor || ppid == supervisor;
}

/* Nothing is to be asked of a process that the run before has seen and whose turn this is not. */
static bool is_settled(struct pst_scan *scan, pid_t pid, const struct process *process)
{
    switch (process->kind) {
    case PROCESS_TARGET:
        return pst_procref_verify(&process->target->ref) == 0 &&
               !is_replaced(scan, pid, process->target);
    case PROCESS_UNKNOWN:
        return false;
    case PROCESS_REFUSED:
        return true;
    case PROCESS_PLAIN:
    case PROCESS_DENIED:
        break;
    }
    if (process->kernel)
        return true;
    return !pst_pace_turn(&scan->pace, pid, age_ns(scan, process));
}

static void look(struct pst_scan *scan, pid_t pid, const struct process *process,
                 const struct pst_stat *stat)
{
    bool due = true;

    switch (process->kind) {
    case PROCESS_TARGET:
        due = is_replaced(scan, pid, process->target);
        if (due)
            pst_target_drop(scan, process->target, "exec");
        break;
    case PROCESS_PLAIN:
        due = !process->kernel && wants_recheck(scan, process, stat);
        break;
    case PROCESS_UNKNOWN:
        due = !too_young(scan, pid, process);
        break;
    case PROCESS_DENIED:
        break;
    case PROCESS_REFUSED:
        due = false;
        break;
    }
    if (due)
        (void)pst_process_inspect(scan, pid, stat);
}

static void note_seen(struct pst_scan *scan, pid_t pid, struct process *process)
{
    process->run = scan->run;
    scan->stats.processes++;
    if (process->kind == PROCESS_DENIED && !is_of_this_agent(pid, process->ppid)) {
        scan->stats.denied++;
        scan->stats.denied_pid = pid;
    }
}

static void visit(struct pst_scan *scan, pid_t pid, uint64_t inode)
{
    struct pst_stat stat;
    struct process *process = pst_process_get(scan, pid);

    if (process && process->inode == inode && is_settled(scan, pid, process)) {
        note_seen(scan, pid, process);
        return;
    }
    if (pst_stat_read(pid, &stat) < 0 || stat.state == 'Z' || stat.state == 'X')
        return;
    process = pst_process_put(scan, pid, &stat);
    if (!process)
        return;
    process->inode = inode;
    look(scan, pid, process, &stat);
    process = pst_process_get(scan, pid);
    if (process)
        note_seen(scan, pid, process);
}

/* Rows that this run did not see. Removed in batches, as a map may not change under its cursor. */
static void sweep(struct pst_scan *scan)
{
    enum { BATCH = 256 };
    pid_t ended[BATCH];
    size_t count;

    do {
        const void *key;
        void *value;
        size_t cursor = 0;
        count = 0;
        while (count < BATCH && pst_map_next(scan->processes, &cursor, &key, &value)) {
            if (((struct process *)value)->run != scan->run)
                ended[count++] = *(const pid_t *)key;
        }
        for (size_t i = 0; i < count; i++)
            pst_process_remove(scan, ended[i]);
    } while (count == BATCH);
}

int pst_scan_list(struct pst_scan *scan,
                  void (*visit_pid)(struct pst_scan *scan, pid_t pid, uint64_t inode))
{
    char buffer[32768] __attribute__((aligned(8)));
    pst_autofd int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    for (;;) {
        long got = syscall(SYS_getdents64, fd, buffer, sizeof(buffer));
        if (got <= 0)
            return got < 0 ? -errno : 0;
        for (long at = 0; at < got;) {
            const struct dirent64 *entry = (const struct dirent64 *)(buffer + at);
            uint64_t pid;
            at += entry->d_reclen;
            if (pst_str_u64(pst_str(entry->d_name), 10, INT32_MAX, &pid) == 0)
                visit_pid(scan, (pid_t)pid, entry->d_ino);
        }
    }
}

int pst_scan_run(struct pst_scan *scan)
{
    uint64_t start_ns = pst_clock_monotonic_ns();

    scan->run++;
    pst_pace_run(&scan->pace, start_ns);
    scan->stats.processes = 0;
    scan->stats.denied = 0;
    int status = pst_scan_list(scan, visit);
    if (status == 0)
        sweep(scan);
    pst_scan_announce(scan);
    scan->stats.last_run_ns = pst_clock_monotonic_ns() - start_ns;
    return status;
}
