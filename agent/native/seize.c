/* The stop itself: seize, interrupt, wait with a deadline, let go. */
#include "seize.h"

#include <assert.h>
#include <elf.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "native/native.h"

enum {
    PATIENCE_NS = 5000000,
    FIRST_LOOK_NS = 400000,
    NEXT_LOOK_NS = 500000,
    EVENT_SHIFT = 8,
    RESTART_BLOCK = 516, /* the kernel's ERESTART_RESTARTBLOCK */
};

static __thread timer_t alarm_timer;
static __thread bool alarm_ready;

static void on_alarm(int number)
{
    (void)number; /* its arrival is all: a wait ends with EINTR */
}

static int alarm_signal(void)
{
    return SIGRTMIN + 6;
}

/* A thread that is held waits for this one, which therefore waits for nobody else where that is
 * allowed. */
static void hurry(void)
{
    struct sched_param first = {.sched_priority = 1};

    (void)sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &first);
}

int pst_seize_prepare(void)
{
    struct sigaction action = {.sa_handler = on_alarm};
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = alarm_signal()};
    sigset_t set;

    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, alarm_signal());
    if (sigaction(alarm_signal(), &action, NULL) < 0)
        return -errno;
    int status = pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    if (status != 0)
        return -status;
    if (timer_create(CLOCK_MONOTONIC, &event, &alarm_timer) < 0)
        return -errno;
    alarm_ready = true;
    hurry();
    return 0;
}

void pst_seize_done(void)
{
    if (alarm_ready)
        (void)timer_delete(alarm_timer);
    alarm_ready = false;
}

static void set_alarm(long first_ns)
{
    struct itimerspec when = {.it_value.tv_nsec = first_ns,
                              .it_interval.tv_nsec = first_ns ? NEXT_LOOK_NS : 0};

    (void)timer_settime(alarm_timer, 0, &when, NULL);
}

/* A thread that ended while it was traced stays until its tracer has waited for it, and with it the
 * end of its process, or the exec of another of its threads. One that is being killed has not ended
 * yet, and the first of a process does so with the last: false then, and where an exec has given it
 * another number. */
static bool reap(const struct pst_seized *stop)
{
    uint64_t deadline = pst_clock_monotonic_ns() + PATIENCE_NS;
    siginfo_t info = {0};
    int status;

    if (stop->child)
        return true;
    set_alarm(FIRST_LOOK_NS);
    do
        status = waitid(P_PID, (id_t)stop->tid, &info, WEXITED | __WALL);
    while (status < 0 && errno == EINTR && pst_clock_monotonic_ns() < deadline);
    set_alarm(0);
    return status == 0 && info.si_pid == stop->tid;
}

/* What a stop means for the end of it: a signal on its way has to be passed on. */
static void take_status(struct pst_seized *stop, int status)
{
    stop->signal = status >> EVENT_SHIFT == 0 && status != SIGTRAP ? status : 0;
}

/* The stop was reported to another thread of ours, which waits for the same process. */
static bool stopped_unseen(struct pst_seized *stop)
{
    siginfo_t info;

    if (ptrace(PTRACE_GETSIGINFO, stop->tid, NULL, &info) < 0)
        return errno == EINVAL; /* a group stop */
    stop->signal = info.si_code >> EVENT_SHIFT == PTRACE_EVENT_STOP ? 0 : info.si_signo;
    return true;
}

static int wait_stopped(struct pst_seized *stop)
{
    uint64_t deadline = pst_clock_monotonic_ns() + PATIENCE_NS;
    siginfo_t info = {0};

    for (;;) {
        int status = waitid(P_PID, (id_t)stop->tid, &info, WSTOPPED | __WALL);
        if (status == 0 && info.si_pid == stop->tid) {
            take_status(stop, info.si_status);
            return 0;
        }
        if (status < 0 && errno != EINTR)
            return errno == ECHILD ? -ESRCH : -errno;
        if (stopped_unseen(stop))
            return 0;
        if (pst_clock_monotonic_ns() >= deadline)
            return -ETIMEDOUT;
    }
}

int pst_seize_wait(struct pst_seized *stop)
{
    set_alarm(FIRST_LOOK_NS);
    int status = wait_stopped(stop);
    set_alarm(0);
    stop->held = status < 0 && (status != -ESRCH || !reap(stop));
    return status;
}

int pst_seize_begin(struct pst_seized *stop, pid_t tid, bool child)
{
    *stop = (struct pst_seized){.tid = tid, .child = child};
    if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) < 0)
        return -errno;
    if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) == 0)
        return pst_seize_wait(stop);
    int status = -errno;
    stop->held = status != -ESRCH || !reap(stop);
    return status;
}

#if defined(__x86_64__)
static_assert(offsetof(struct user_regs_struct, rax) == PST_RESULT_REGISTER, "rax");

void pst_registers_take(const struct user_regs_struct *r, struct pst_registers *ret)
{
    const uint64_t values[] = {r->rax, r->rdx, r->rcx, r->rbx, r->rsi, r->rdi,
                               r->rbp, r->rsp, r->r8,  r->r9,  r->r10, r->r11,
                               r->r12, r->r13, r->r14, r->r15, r->rip};

    memcpy(ret->value, values, sizeof(values));
    ret->count = sizeof(values) / sizeof(values[0]);
    ret->pc = r->rip;
    ret->sp = r->rsp;
    ret->restarts = (int64_t)r->orig_rax >= 0 && (int64_t)r->rax == -RESTART_BLOCK;
}
#elif defined(__aarch64__)
void pst_registers_take(const struct user_regs_struct *r, struct pst_registers *ret)
{
    for (unsigned i = 0; i < 31; i++)
        ret->value[i] = r->regs[i];
    ret->value[31] = r->sp;
    ret->count = 32;
    ret->pc = r->pc;
    ret->sp = r->sp;
    ret->restarts = false; /* the kernel does not say so here */
}
#endif

int pst_seize_registers(const struct pst_seized *stop, struct pst_registers *ret)
{
    struct user_regs_struct registers;
    struct iovec piece = {&registers, sizeof(registers)};

    ret->restarts = false;
    if (ptrace(PTRACE_GETREGSET, stop->tid, (void *)NT_PRSTATUS, &piece) < 0)
        return -errno;
    if (piece.iov_len != sizeof(registers)) /* a 32-bit program */
        return -ENOTSUP;
    pst_registers_take(&registers, ret);
    return 0;
}

void pst_seize_end_wait(const struct pst_seized *stop)
{
#if defined(__x86_64__)
    (void)ptrace(PTRACE_POKEUSER, stop->tid, PST_RESULT_REGISTER, -(long)EINTR);
#else
    (void)stop;
#endif
}

void pst_seize_end(struct pst_seized *stop)
{
    stop->held =
        ptrace(PTRACE_DETACH, stop->tid, NULL, (void *)(intptr_t)stop->signal) < 0 && !reap(stop);
}
