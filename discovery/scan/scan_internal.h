/* Shared by the files of scan only: the table of processes, and the targets among them. */
#ifndef PST_SCAN_INTERNAL_H
#define PST_SCAN_INTERNAL_H

#include "base/map.h"
#include "elf_cache.h"
#include "pace.h"
#include "scan/scan.h"
#include "target/memory.h"
#include "target/procfs.h"
#include "target/procref.h"

enum process_kind {
    PROCESS_UNKNOWN, /* not looked at yet */
    PROCESS_PLAIN,   /* no runtime when last looked at */
    PROCESS_TARGET,
    PROCESS_DENIED,  /* maps refused */
    PROCESS_REFUSED, /* made a reader wait: never touched again */
};

/* One row per pid seen; a row counts only for its start time. */
struct process {
    uint64_t start_ticks;
    uint64_t inode;       /* of its entry in /proc, 0 before a run has seen it there */
    uint64_t vsize_bytes; /* when last looked at */
    uint64_t recheck_ns;
    uint32_t run; /* last run that saw it */
    enum process_kind kind;
    pid_t ppid;
    bool kin;    /* descends from a target */
    bool kernel; /* a kernel thread: nothing to look at, ever */
    char comm[16];
    struct target *target;
};

/* What runtimes.c knows of a target's mappings. */
struct mapped {
    uint64_t bytes;             /* the least since they were looked at */
    uint64_t next_ns;           /* not to be looked at before */
    unsigned fruitless;         /* looks in a row that found nothing new */
    struct pst_runtime waiting; /* mapped, but no interpreter of it is up; hexversion 0: none */
    bool unsettled;             /* one that only another look at the mappings can tell of */
};

struct target {
    struct pst_facts *facts;
    struct pst_procref ref;
    struct pst_memory *memory;
    struct mapped mapped;
    bool announced, changed;
    bool wants_environ; /* the block was overwritten and no source has answered yet */
    unsigned tries;
    uint64_t next_try_ns;
};

/* A young descendant of a target that is not Python, or not yet. */
struct fresh {
    pid_t pid;
    uint64_t start_ticks;
    unsigned tries;
    uint64_t next_try_ns;
};

enum { FRESH_MAX = 256 };

struct pst_scan {
    struct pst_scan_options options;
    struct pst_map *processes; /* pid_t -> struct process */
    struct pst_elf_cache *cache;
    struct target **targets;
    size_t target_count, target_capacity;
    struct fresh fresh[FRESH_MAX];
    size_t fresh_count;
    uint64_t next_id;
    uint64_t boot_realtime_ns, ticks_per_second;
    uint32_t run;
    int epoll_fd, loadavg_fd;
    pid_t last_pid;
    size_t exec_cursor, runtimes_cursor;
    uint64_t listed_ns; /* last listing of /proc made by a tick */
    struct pst_pace pace;
    struct pst_scan_stats stats;
};

/* Marks what the scan is busy with; nests by being told again. */
void pst_scan_enter(struct pst_scan *scan, pid_t pid, uint64_t start_ticks);
void pst_scan_leave(struct pst_scan *scan);

/* --- describe.c: facts of one process --- */

/* A new target, not yet in the table, or NULL: *ret_status is then -ENOENT (no runtime), -EACCES
 * or -EPERM (maps refused), -ESRCH, -ENOMEM. parent may be NULL. */
struct target *pst_target_detect(struct pst_scan *scan, pid_t pid, const struct pst_stat *stat,
                                 const struct target *parent, int *ret_status);
struct target *pst_target_free(struct target *target);
/* Replaces the facts by a copy of these and marks them changed. 0 or -ENOMEM. */
int pst_target_set(struct target *target, const struct pst_facts *facts);
int pst_target_state(struct target *target, enum pst_target_state state, const char *reason);
/* Looks again at one that is not READY. */
void pst_target_retry(struct pst_scan *scan, struct target *target);
/* True when another program runs in its pid now. */
bool pst_target_replaced(const struct target *target);
/* An overwritten environment, from the interpreter or else an ancestor of the same program. */
void pst_target_environ(struct pst_scan *scan, struct target *target);

/* Looks at the mappings again: state READY, or the same one with other runtimes. 0 or -errno;
 * -EAGAIN when nothing is new. */
int pst_target_look_again(struct pst_scan *scan, struct target *target);

/* --- runtimes.c: what a target loads after it was described --- */

/* Its mappings were looked at, now. */
void pst_runtimes_seen(struct target *target, const struct pst_runtime *waiting, bool unsettled);
/* Cheap: looks whether another runtime may be there, and at the mappings only when it may. */
void pst_runtimes_check(struct pst_scan *scan, struct target *target);

/* --- table.c: processes and targets --- */

struct process *pst_process_get(const struct pst_scan *scan, pid_t pid);
/* The row of this process, made new (dropping a target of an earlier one) when the pid has another
 * start time. NULL when out of room. */
struct process *pst_process_put(struct pst_scan *scan, pid_t pid, const struct pst_stat *stat);
void pst_process_remove(struct pst_scan *scan, pid_t pid);
/* The target that runs in this pid, or NULL. */
struct target *pst_target_of_pid(const struct pst_scan *scan, pid_t pid);
/* Looks whether the process is a target, now. 0 it is; -errno as pst_target_detect. */
int pst_process_inspect(struct pst_scan *scan, pid_t pid, const struct pst_stat *stat);
void pst_target_drop(struct pst_scan *scan, struct target *target, const char *reason);
/* Links parents, finds lent environments, then tells of all that is new or changed. */
void pst_scan_announce(struct pst_scan *scan);

/* Calls visit for each numeric entry of /proc. procfs numbers an entry when it is first looked up:
 * another number means another process, or that the kernel had forgotten the entry; the same one,
 * the same process. 0 or -errno. */
int pst_scan_list(struct pst_scan *scan,
                  void (*visit)(struct pst_scan *scan, pid_t pid, uint64_t inode));

/* --- tick.c --- */

void pst_fresh_add(struct pst_scan *scan, pid_t pid, uint64_t start_ticks);

#endif
