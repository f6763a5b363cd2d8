/* PTRACE_SEIZE and PTRACE_INTERRUPT of every task of a process. Every wait has a deadline. */
#include "target/stop.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "base/limits.h"
#include "target/procfs.h"
#include "target/tids.h"

enum {
    STATUS_BYTES = 8192,
    PAUSE_NS = 20000,
    EVENT_SHIFT = 16,
    PASSES_MAX = 1000, /* a process that makes threads faster than they can be stopped */
};

struct task {
    pid_t tid;
    int signal; /* that was about to be delivered: given back when it is let go */
    bool stopped;
};

struct pst_stop {
    struct task *tasks;
    size_t count, cap;
    uint64_t first_ns, deadline_ns;
};

static bool known(const struct pst_stop *stop, pid_t tid)
{
    for (size_t i = 0; i < stop->count; i++) {
        if (stop->tasks[i].tid == tid)
            return true;
    }
    return false;
}

static int add(struct pst_stop *stop, pid_t tid)
{
    if (stop->count == PST_MAX_THREADS)
        return -ENOSPC;
    if (stop->count == stop->cap) {
        size_t cap = stop->cap ? stop->cap * 2 : 16;
        struct task *tasks = realloc(stop->tasks, cap * sizeof(*tasks));
        if (!tasks)
            return -ENOMEM;
        stop->tasks = tasks;
        stop->cap = cap;
    }
    stop->tasks[stop->count++] = (struct task){.tid = tid};
    return 0;
}

static pid_t tracer_of(pid_t tid)
{
    static const char field[] = "\nTracerPid:";
    char text[STATUS_BYTES];

    if (pst_procfs_read(tid, "status", text, sizeof(text)) <= 0)
        return 0;
    const char *at = strstr(text, field);
    long tracer = at ? strtol(at + sizeof(field) - 1, NULL, 10) : 0;
    return tracer > 0 && tracer <= INT_MAX ? (pid_t)tracer : 0;
}

/* A thread that has just ended refuses in various words; it is then not in our way. */
static int seize(struct pst_stop *stop, pid_t tid, pid_t *ret_tracer)
{
    struct pst_stat stat;

    if (ptrace(PTRACE_SEIZE, tid, 0, 0) < 0) {
        int error = errno;
        if (error == ESRCH || pst_stat_read(tid, &stat) < 0 || stat.state == 'Z' ||
            stat.state == 'X')
            return 0;
        *ret_tracer = tracer_of(tid);
        return -error;
    }
    if (stop->first_ns == 0)
        stop->first_ns = pst_clock_monotonic_ns();
    int error = add(stop, tid);
    if (error < 0) {
        (void)ptrace(PTRACE_DETACH, tid, 0, 0);
        return error;
    }
    (void)ptrace(PTRACE_INTERRUPT, tid, 0, 0);
    return 0;
}

/* Any stop will do; 0 as soon as the thread stands still or has ended. */
static int wait_stopped(const struct pst_stop *stop, struct task *task)
{
    int status;

    for (;;) {
        pid_t got = waitpid(task->tid, &status, __WALL | WNOHANG);
        if (got < 0 && errno != EINTR)
            return errno == ECHILD ? 0 : -errno;
        if (got == task->tid && WIFSTOPPED(status)) {
            task->stopped = true;
            /* Without an event it is a signal on its way to the thread. */
            task->signal = status >> EVENT_SHIFT ? 0 : WSTOPSIG(status);
            return 0;
        }
        if (got == task->tid)
            return 0;
        if (pst_clock_monotonic_ns() > stop->deadline_ns)
            return -ETIME;
        (void)nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    }
}

/* One look at the list of threads; *ret_new counts those that had not been met. */
static int stop_pass(struct pst_stop *stop, struct pst_tids *tids, size_t *ret_new,
                     pid_t *ret_tracer)
{
    size_t count, first = stop->count;
    int error = pst_tids_refresh(tids);

    if (error < 0)
        return error;
    const struct pst_tid *list = pst_tids_list(tids, &count);
    for (size_t i = 0; i < count && error == 0; i++) {
        if (!known(stop, list[i].tid))
            error = seize(stop, list[i].tid, ret_tracer);
    }
    for (size_t i = first; i < stop->count && error == 0; i++)
        error = wait_stopped(stop, &stop->tasks[i]);
    *ret_new = stop->count - first;
    return error;
}

uint64_t pst_stop_release(struct pst_stop *stop)
{
    for (size_t i = stop->count; i-- > 0;) {
        struct task *task = &stop->tasks[i];
        int status;
        /* One that did not stop in time may do so now; else it is freed when the caller ends. */
        if (!task->stopped && waitpid(task->tid, &status, __WALL | WNOHANG) == task->tid &&
            WIFSTOPPED(status) && !(status >> EVENT_SHIFT))
            task->signal = WSTOPSIG(status);
        (void)ptrace(PTRACE_DETACH, task->tid, 0, task->signal);
    }
    uint64_t duration_ns = stop->first_ns ? pst_clock_monotonic_ns() - stop->first_ns : 0;
    free(stop->tasks);
    free(stop);
    return duration_ns;
}

int pst_stop_all(pid_t pid, uint64_t timeout_ns, struct pst_stop **ret, pid_t *ret_tracer)
{
    int error = 0;
    size_t found = 1;
    struct pst_tids *tids = pst_tids_new(pid, &error);
    struct pst_stop *stop = calloc(1, sizeof(*stop));

    *ret_tracer = 0;
    if (!tids || !stop) {
        pst_tids_free(tids);
        free(stop);
        return error < 0 ? error : -ENOMEM;
    }
    stop->deadline_ns = pst_clock_monotonic_ns() + timeout_ns;
    for (int i = 0; i < PASSES_MAX && found > 0 && error == 0; i++)
        error = stop_pass(stop, tids, &found, ret_tracer);
    if (error == 0 && found > 0)
        error = -ETIME;
    if (error == 0 && stop->count == 0)
        error = -ESRCH;
    pst_tids_free(tids);
    if (error < 0) {
        (void)pst_stop_release(stop);
        return error;
    }
    *ret = stop;
    return 0;
}

size_t pst_stop_count(const struct pst_stop *stop)
{
    return stop->count;
}
