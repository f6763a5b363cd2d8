/* The OS threads of one target: which there are, whether each is on a CPU or waits for one, and
 * the CPU time that the kernel says it used. */
#ifndef PST_SAMPLER_THREADS_H
#define PST_SAMPLER_THREADS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PST_NO_STACK UINT32_MAX

enum { PST_ASLEEP_STACKS = 4 };

/* Where a thread stood when it was looked at. */
enum pst_on_cpu {
    PST_OFF_CPU,    /* sleeps */
    PST_QUEUED,     /* waits for a CPU: it was preempted, or has been woken and did not run yet */
    PST_ON_OUR_CPU, /* waits for the very CPU that this look runs on: most likely just preempted */
    PST_ON_CPU,     /* runs */
};

struct pst_os_thread {
    pid_t tid;   /* in the agent's pid namespace */
    pid_t inner; /* in the target's own */
    char comm[32];

    /* The last measurement. */
    enum pst_on_cpu on_cpu;
    bool in_futex;                    /* when it was last seen sleeping */
    bool running;                     /* on a CPU, or taken off it by this look */
    bool was_running;                 /* at the look before */
    bool moved;                       /* it ran since the look before */
    bool ran;                         /* since the last measurement, as a closing window saw */
    bool fresh;                       /* first seen in this look */
    bool based;                       /* its CPU time has been read once */
    bool asked;                       /* the walker was asked for its stack in this look */
    bool born_later;                  /* was not there when the target was first looked at */
    uint64_t waited_ns, wait_step_ns; /* the same for its time in the queue of a CPU */
    uint64_t run_ns;                  /* CPU time so far (schedstat) */
    uint64_t step_ns;                 /* how much of it since the look before */
    uint64_t arrivals;                /* how often it was put on a CPU (schedstat) */
    uint64_t preempted;  /* how often it was taken off against its will, when last read */
    bool just_preempted; /* exactly once since then: by this look, on its own CPU */

    /* Kept for the sampler. */
    uint64_t accounted_ns;              /* CPU time that windows already have */
    unsigned carry_windows;             /* windows closed without a cpu sample while CPU was used */
    uint32_t charged;                   /* what the last look charged it with, [torn] included */
    uint32_t stack;                     /* last stack in the open window, PST_NO_STACK */
    uint32_t slot;                      /* in the open window, PST_NO_STACK */
    uint32_t asleep[PST_ASLEEP_STACKS]; /* stacks it was last seen sleeping in */
    uint64_t tstate;                    /* last thread state seen for it; 0: native */
    bool asleep_due;                    /* cpu mode alone: read it although it sleeps */
    int32_t py;                         /* its row in the sample just taken, -1 */
    uint64_t name_due_ns;               /* when its name is asked for again */
    uint8_t nameless;                   /* how often Python knew none, or could not be read */
    char name[128];                     /* as Python names it; empty when it does not */

    int schedstat_fd, wchan_fd, stat_fd, status_fd;
    uint32_t generation;
};

struct pst_os_threads;

/* 0, -ESRCH, -errno. born_later: every thread is new to us because the process is. */
int pst_os_threads_new(pid_t pid, bool born_later, struct pst_os_threads **ret);
struct pst_os_threads *pst_os_threads_free(struct pst_os_threads *threads);

/* Lists the threads: new ones are added (fresh), ended ones passed to ended() and dropped. Where
 * there are as many as before, and none could not be read since, they are taken to be the same
 * without listing them: measuring them then tells. 0, -ESRCH, -errno. */
int pst_os_threads_refresh(struct pst_os_threads *threads,
                           void (*ended)(void *context, struct pst_os_thread *thread),
                           void *context);
/* The last refresh took them to be the same, and one could not be read since: it has ended, and
 * another has begun. The next refresh lists. */
bool pst_os_threads_replaced(const struct pst_os_threads *threads);
size_t pst_os_threads_count(const struct pst_os_threads *threads);
/* Valid until the next refresh. */
struct pst_os_thread *pst_os_threads_at(struct pst_os_threads *threads, size_t index);
/* By the id that the target itself uses; NULL when it has no such thread. */
struct pst_os_thread *pst_os_threads_find(struct pst_os_threads *threads, pid_t inner);

/* Reads CPU time and whether it runs; sets running, was_running, moved, run_ns, step_ns. */
void pst_os_thread_measure(struct pst_os_threads *threads, struct pst_os_thread *thread);
/* Where it stands now, without touching what the look measured. */
enum pst_on_cpu pst_os_thread_on_cpu(struct pst_os_threads *threads, struct pst_os_thread *thread);
/* CPU time alone: what it shows to have run since the last measurement the next one knows of. */
void pst_os_thread_cpu(struct pst_os_threads *threads, struct pst_os_thread *thread);

/* Has none of them been put on a CPU since it was last measured and found asleep? Asked when the
 * clock of the process has not moved either: a thread that ended or was born would have moved it,
 * or their number. */
bool pst_os_threads_still(struct pst_os_threads *threads);

/* CPU clock of the process in ns: 0 or -ESRCH. */
int pst_process_cpu_ns(pid_t pid, uint64_t *ret);

#endif
