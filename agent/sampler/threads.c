/* OS threads through /proc/PID/task: descriptors are kept open, since opening costs several times
 * the read (schedstat 6.0 µs opened, 1.0 µs kept open). */
#include "threads.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/limits.h"
#include "base/map.h"
#include "target/procfs.h"

struct pst_os_threads {
    pid_t pid;
    int task_fd;
    bool translated; /* the target lives in a pid namespace of its own */
    bool born_later;
    bool listed;
    bool lost;     /* since then a thread of the list could not be read: it has ended */
    bool taken_on; /* the last refresh took the list to be whole */
    struct pst_os_thread *items;
    size_t count, cap;
    struct pst_map *by_tid, *by_inner; /* pid_t -> index */
    uint32_t generation;
};

/* Descriptors kept open for threads, over all targets; half of the limit is left to the rest. */
static atomic_long kept_open;

static long keep_limit(void)
{
    static long limit;
    if (limit == 0) {
        struct rlimit files;
        bool known = getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY;
        limit = known ? (long)(files.rlim_cur / 2) : 4096;
    }
    return limit;
}

static void close_kept(int *fd)
{
    if (*fd < 0)
        return;
    (void)close(*fd);
    *fd = -1;
    atomic_fetch_sub(&kept_open, 1);
}

static void thread_done(struct pst_os_thread *thread)
{
    close_kept(&thread->schedstat_fd);
    close_kept(&thread->wchan_fd);
    close_kept(&thread->stat_fd);
    close_kept(&thread->status_fd);
}

/* Does the process number its threads in another namespace than ours? NSpid lists one number per
 * namespace from ours inwards (Linux 4.1). */
static pid_t innermost(struct pst_str status, bool *ret_nested)
{
    struct pst_str line;
    *ret_nested = false;
    while (pst_str_next(&status, '\n', &line)) {
        if (!pst_str_starts(line, PST_STR("NSpid:")))
            continue;
        line.ptr += 6;
        line.len -= 6;
        struct pst_str part;
        uint64_t last = 0;
        unsigned numbers = 0;
        while (pst_str_next(&line, '\t', &part))
            if (pst_str_u64(pst_str_trim(part), 10, INT32_MAX, &last) == 0)
                numbers++;
        *ret_nested = numbers > 1;
        return (pid_t)last;
    }
    return 0;
}

static pid_t inner_of(pid_t pid, pid_t tid, bool *ret_nested)
{
    char name[48], text[4096];
    (void)snprintf(name, sizeof(name), "task/%d/status", tid);
    ssize_t n = pst_procfs_read(pid, name, text, sizeof(text));
    *ret_nested = false;
    return n > 0 ? innermost((struct pst_str){text, (size_t)n}, ret_nested) : 0;
}

int pst_os_threads_new(pid_t pid, bool born_later, struct pst_os_threads **ret)
{
    struct pst_os_threads *threads = calloc(1, sizeof(*threads));
    if (!threads)
        return -ENOMEM;
    threads->pid = pid;
    threads->born_later = born_later;
    threads->by_tid = pst_map_new(sizeof(pid_t), sizeof(uint32_t), PST_MAX_THREADS);
    threads->by_inner = pst_map_new(sizeof(pid_t), sizeof(uint32_t), PST_MAX_THREADS);
    char path[48];
    (void)snprintf(path, sizeof(path), "/proc/%d/task", pid);
    threads->task_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = threads->task_fd < 0 ? (errno == ENOENT ? -ESRCH : -errno) : 0;
    if (r == 0 && (!threads->by_tid || !threads->by_inner))
        r = -ENOMEM;
    if (r < 0) {
        pst_os_threads_free(threads);
        return r;
    }
    (void)inner_of(pid, pid, &threads->translated);
    *ret = threads;
    return 0;
}

struct pst_os_threads *pst_os_threads_free(struct pst_os_threads *threads)
{
    if (!threads)
        return NULL;
    for (size_t i = 0; i < threads->count; i++)
        thread_done(&threads->items[i]);
    free(threads->items);
    pst_map_free(threads->by_tid);
    pst_map_free(threads->by_inner);
    if (threads->task_fd >= 0)
        (void)close(threads->task_fd);
    free(threads);
    return NULL;
}

static int reserve(struct pst_os_threads *threads)
{
    if (threads->count < threads->cap)
        return 0;
    if (threads->count >= PST_MAX_THREADS)
        return -ENOSPC;
    size_t cap = threads->cap ? threads->cap * 2 : 4;
    struct pst_os_thread *items = realloc(threads->items, cap * sizeof(*items));
    if (!items)
        return -ENOMEM;
    threads->items = items;
    threads->cap = cap;
    return 0;
}

static void read_comm(struct pst_os_threads *threads, struct pst_os_thread *thread)
{
    char name[48];
    (void)snprintf(name, sizeof(name), "task/%d/comm", thread->tid);
    ssize_t n = pst_procfs_read(threads->pid, name, thread->comm, sizeof(thread->comm));
    if (n > 0 && thread->comm[n - 1] == '\n')
        thread->comm[n - 1] = 0;
    if (n <= 0)
        thread->comm[0] = 0;
}

static int add_thread(struct pst_os_threads *threads, pid_t tid)
{
    int r = reserve(threads);
    if (r < 0)
        return r;
    struct pst_os_thread thread = {
        .tid = tid,
        .inner = tid,
        .fresh = true,
        .born_later = threads->listed || threads->born_later,
        .stack = PST_NO_STACK,
        .charged = PST_NO_STACK,
        .slot = PST_NO_STACK,
        .schedstat_fd = -1,
        .wchan_fd = -1,
        .stat_fd = -1,
        .status_fd = -1,
        .generation = threads->generation,
    };
    for (size_t i = 0; i < PST_ASLEEP_STACKS; i++)
        thread.asleep[i] = PST_NO_STACK;
    if (threads->translated) {
        bool nested;
        thread.inner = inner_of(threads->pid, tid, &nested);
    }
    read_comm(threads, &thread);
    void *index;
    r = pst_map_put(threads->by_tid, &tid, &index, NULL);
    if (r < 0)
        return r;
    *(uint32_t *)index = (uint32_t)threads->count;
    if (thread.inner && pst_map_put(threads->by_inner, &thread.inner, &index, NULL) == 0)
        *(uint32_t *)index = (uint32_t)threads->count;
    threads->items[threads->count++] = thread;
    return 0;
}

static void drop_thread(struct pst_os_threads *threads, size_t at)
{
    struct pst_os_thread *thread = &threads->items[at];
    thread_done(thread);
    pst_map_remove(threads->by_tid, &thread->tid);
    pst_map_remove(threads->by_inner, &thread->inner);
    threads->count--;
    if (at == threads->count)
        return;
    *thread = threads->items[threads->count];
    uint32_t *index = pst_map_get(threads->by_tid, &thread->tid);
    if (index)
        *index = (uint32_t)at;
    index = pst_map_get(threads->by_inner, &thread->inner);
    if (index)
        *index = (uint32_t)at;
}

static void saw(struct pst_os_threads *threads, pid_t tid)
{
    uint32_t *index = pst_map_get(threads->by_tid, &tid);
    if (index)
        threads->items[*index].generation = threads->generation;
    else
        (void)add_thread(threads, tid);
}

struct linux_dirent64 {
    uint64_t d_ino;
    int64_t d_off;
    uint16_t d_reclen;
    uint8_t d_type;
    char d_name[];
};

static int list_tasks(struct pst_os_threads *threads)
{
    _Alignas(8) char buffer[8192];
    if (lseek(threads->task_fd, 0, SEEK_SET) < 0)
        return -errno;
    for (;;) {
        long n = syscall(SYS_getdents64, threads->task_fd, buffer, sizeof(buffer));
        if (n < 0)
            return errno == ENOENT ? -ESRCH : -errno;
        if (n == 0)
            return 0;
        for (long at = 0; at < n;) {
            const struct linux_dirent64 *entry = (const void *)(buffer + at);
            uint64_t tid;
            if (pst_str_u64(pst_str(entry->d_name), 10, INT32_MAX, &tid) == 0)
                saw(threads, (pid_t)tid);
            at += entry->d_reclen;
        }
    }
}

/* The number of links of /proc/PID/task is that of its threads and two more. */
static bool same_number(const struct pst_os_threads *threads)
{
    struct stat st;
    return fstat(threads->task_fd, &st) == 0 && st.st_nlink == threads->count + 2;
}

static int list(struct pst_os_threads *threads,
                void (*ended)(void *context, struct pst_os_thread *thread), void *context)
{
    threads->generation++;
    int r = list_tasks(threads);
    if (r < 0)
        return r;
    for (size_t i = 0; i < threads->count;) {
        if (threads->items[i].generation == threads->generation) {
            i++;
            continue;
        }
        ended(context, &threads->items[i]);
        drop_thread(threads, i);
    }
    threads->listed = true;
    threads->lost = false;
    return threads->count ? 0 : -ESRCH;
}

int pst_os_threads_refresh(struct pst_os_threads *threads,
                           void (*ended)(void *context, struct pst_os_thread *thread),
                           void *context)
{
    for (size_t i = 0; i < threads->count; i++)
        threads->items[i].fresh = false;
    threads->taken_on =
        threads->listed && !threads->lost && threads->count > 0 && same_number(threads);
    return threads->taken_on ? 0 : list(threads, ended, context);
}

bool pst_os_threads_replaced(const struct pst_os_threads *threads)
{
    return threads->taken_on && threads->lost;
}

size_t pst_os_threads_count(const struct pst_os_threads *threads)
{
    return threads->count;
}

struct pst_os_thread *pst_os_threads_at(struct pst_os_threads *threads, size_t index)
{
    return &threads->items[index];
}

struct pst_os_thread *pst_os_threads_find(struct pst_os_threads *threads, pid_t inner)
{
    uint32_t *index = pst_map_get(threads->by_inner, &inner);
    return index ? &threads->items[*index] : NULL;
}

/* Reads task/TID/NAME, keeping the descriptor where the limit allows. */
static ssize_t read_task_file(struct pst_os_threads *threads, pid_t tid, const char *name,
                              int *kept_fd, char *text, size_t size)
{
    if (*kept_fd < 0) {
        char path[48];
        (void)snprintf(path, sizeof(path), "%d/%s", tid, name);
        int fd = openat(threads->task_fd, path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return -errno;
        if (atomic_load(&kept_open) >= keep_limit()) {
            ssize_t n = pread(fd, text, size - 1, 0);
            int saved = errno;
            (void)close(fd);
            text[n > 0 ? n : 0] = 0;
            return n < 0 ? -saved : n;
        }
        atomic_fetch_add(&kept_open, 1);
        *kept_fd = fd;
    }
    ssize_t n = pread(*kept_fd, text, size - 1, 0);
    text[n > 0 ? n : 0] = 0;
    return n < 0 ? -errno : n;
}

/* schedstat: CPU time in ns, time waited for a CPU, how often it was put on one. */
struct schedstat {
    uint64_t run_ns, waited_ns, arrivals;
};

static bool read_schedstat(struct pst_os_threads *threads, struct pst_os_thread *thread,
                           struct schedstat *ret)
{
    char text[96];
    ssize_t n = read_task_file(threads, thread->tid, "schedstat", &thread->schedstat_fd, text,
                               sizeof(text));
    struct pst_str rest = pst_str_trim((struct pst_str){text, n > 0 ? (size_t)n : 0});
    struct pst_str run, wait, arrivals;
    if (n <= 0 || !pst_str_next(&rest, ' ', &run) || !pst_str_next(&rest, ' ', &wait) ||
        !pst_str_next(&rest, ' ', &arrivals))
        return false;
    *ret = (struct schedstat){0, 0, 0};
    (void)pst_str_u64(run, 10, UINT64_MAX, &ret->run_ns);
    (void)pst_str_u64(wait, 10, UINT64_MAX, &ret->waited_ns);
    (void)pst_str_u64(arrivals, 10, UINT64_MAX, &ret->arrivals);
    return true;
}

void pst_os_thread_cpu(struct pst_os_threads *threads, struct pst_os_thread *thread)
{
    struct schedstat now;
    if (!read_schedstat(threads, thread, &now)) {
        threads->lost = true;
        return;
    }
    thread->ran = thread->ran || now.run_ns > thread->run_ns || now.arrivals != thread->arrivals;
    if (now.run_ns > thread->run_ns)
        thread->run_ns = now.run_ns;
    thread->waited_ns = now.waited_ns;
    thread->arrivals = now.arrivals;
    /* What it had used before anybody looked is not ours, whichever look reads it first. */
    if (!thread->based && !thread->born_later)
        thread->accounted_ns = thread->run_ns;
    thread->based = true;
}

static bool is_steady(const struct pst_os_thread *thread)
{
    return thread->on_cpu == PST_OFF_CPU && thread->based && thread->arrivals != 0 && !thread->ran;
}

bool pst_os_threads_still(struct pst_os_threads *threads)
{
    struct schedstat now;
    for (size_t i = 0; i < threads->count; i++)
        if (!is_steady(&threads->items[i]))
            return false;
    if (threads->count == 0 || threads->lost || !same_number(threads))
        return false;
    for (size_t i = 0; i < threads->count; i++)
        if (!read_schedstat(threads, &threads->items[i], &now) ||
            now.arrivals != threads->items[i].arrivals)
            return false;
    return true;
}

/* State and CPU out of a stat line: fields 3 and 39. False when it is no such line. */
static bool parse_stat(const char *text, char *ret_state, int *ret_cpu)
{
    const char *end = strrchr(text, ')');
    if (!end || end[1] != ' ' || end[2] == 0)
        return false;
    *ret_state = end[2];
    struct pst_str rest = pst_str(end + 2), field;
    uint64_t cpu = UINT32_MAX;
    for (int at = 3; at <= 39 && pst_str_next(&rest, ' ', &field); at++)
        if (at == 39)
            (void)pst_str_u64(pst_str_trim(field), 10, INT32_MAX, &cpu);
    *ret_cpu = (int)cpu;
    return true;
}

/* Value behind "NAME:" at the start of a line. */
static uint64_t status_number(const char *text, const char *name)
{
    const char *line = strstr(text, name);
    uint64_t value = 0;
    if (!line)
        return 0;
    struct pst_str rest = pst_str(line + strlen(name));
    rest.len = pst_str_find(rest, '\n');
    (void)pst_str_u64(pst_str_trim(rest), 10, UINT64_MAX, &value);
    return value;
}

/* The kernel counts each arrival on a CPU (sched_info.pcount) and each departure (nvcsw + nivcsw):
 * one more arrival than departures means that it is there now. Kernels without CONFIG_SCHED_INFO
 * count no arrivals: then runnable is all that can be known. */
static bool has_arrived(struct pst_os_threads *threads, struct pst_os_thread *thread)
{
    char text[4096];
    ssize_t n =
        read_task_file(threads, thread->tid, "status", &thread->status_fd, text, sizeof(text));
    if (n <= 0)
        return true;
    uint64_t preempted = status_number(text, "\nnonvoluntary_ctxt_switches:");
    uint64_t departures = preempted + status_number(text, "\nvoluntary_ctxt_switches:");
    thread->just_preempted = preempted == thread->preempted + 1;
    thread->preempted = preempted;
    return thread->arrivals == 0 || thread->arrivals > departures;
}

/* wchan names the kernel function a thread sleeps in, and says 0 for one that runs, but also for
 * all where access is refused or the kernel has no symbols: so 0 is confirmed by stat's R. */
enum pst_on_cpu pst_os_thread_on_cpu(struct pst_os_threads *threads, struct pst_os_thread *thread)
{
    char text[512], state;
    int cpu;
    ssize_t n =
        read_task_file(threads, thread->tid, "wchan", &thread->wchan_fd, text, sizeof(text));
    if (n > 0 && text[0] != '0') {
        thread->in_futex = strncmp(text, "futex", 5) == 0;
        return PST_OFF_CPU;
    }
    n = read_task_file(threads, thread->tid, "stat", &thread->stat_fd, text, sizeof(text));
    if (n <= 0 || !parse_stat(text, &state, &cpu) || state != 'R')
        return PST_OFF_CPU;
    bool arrived = has_arrived(threads, thread);
    if (cpu == sched_getcpu())
        return PST_ON_OUR_CPU;
    return arrived ? PST_ON_CPU : PST_QUEUED;
}

void pst_os_thread_measure(struct pst_os_threads *threads, struct pst_os_thread *thread)
{
    uint64_t before = thread->run_ns, waited = thread->waited_ns;
    pst_os_thread_cpu(threads, thread);
    thread->moved = thread->ran;
    thread->ran = false;
    thread->was_running = thread->running;
    /* Off a CPU at the look before and not put on one since: the count of arrivals moves at once,
     * where CPU time waits for the next tick or switch. */
    bool slept_on =
        thread->on_cpu == PST_OFF_CPU && !thread->fresh && thread->arrivals != 0 && !thread->moved;
    if (!slept_on)
        thread->on_cpu = pst_os_thread_on_cpu(threads, thread);
    thread->step_ns = thread->run_ns - before;
    thread->wait_step_ns = thread->waited_ns - waited;
    /* On our CPU, it is this look that took it off only if it ran at all since the one before: a
     * thread held back by a CPU quota waits for many looks. */
    thread->running = thread->on_cpu == PST_ON_CPU ||
                      (thread->on_cpu == PST_ON_OUR_CPU && (thread->moved || thread->fresh));
    if (thread->fresh && !thread->born_later)
        thread->step_ns = 0;
}

int pst_process_cpu_ns(pid_t pid, uint64_t *ret)
{
    /* The dynamic clock id of another process: ~pid in the upper bits, CPUCLOCK_SCHED (2) below
     * (include/linux/posix-timers_types.h). */
    clockid_t clock = (clockid_t)((~(unsigned)pid << 3) | 2U);
    struct timespec used;
    if (clock_gettime(clock, &used) < 0)
        return -ESRCH;
    *ret = (uint64_t)used.tv_sec * PST_NS_PER_S + (uint64_t)used.tv_nsec;
    return 0;
}
