/* One process, told from every other: pid, pidfd and start time travel together. */
#ifndef PST_TARGET_PROCREF_H
#define PST_TARGET_PROCREF_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct pst_procref {
    pid_t pid;            /* in the agent's pid namespace */
    int pidfd;            /* -1 where pidfd_open is refused */
    uint64_t start_ticks; /* field 22 of /proc/PID/stat, clock ticks since boot */
};

/* 0, -ESRCH gone, -errno. */
int pst_procref_open(pid_t pid, struct pst_procref *ret);
/* 0 while pid still is the process opened; -ESRCH when it ended or the pid was reused. What was
 * read counts only after this. */
int pst_procref_verify(const struct pst_procref *ref);
void pst_procref_done(struct pst_procref *ref);

#endif
