/* How much of a run goes to processes without a runtime that it has seen before. The policy alone:
 * no clock, no file. */
#ifndef PST_SCAN_PACE_H
#define PST_SCAN_PACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct pst_pace {
    uint64_t run_ns;   /* start of the run; CLOCK_MONOTONIC */
    uint64_t run;      /* its number */
    uint64_t known;    /* such processes that it has seen */
    uint64_t stride;   /* each of them is looked at in one run of so many */
    uint64_t rechecks; /* full looks for no other reason than time that it has left */
};

void pst_pace_run(struct pst_pace *pace, uint64_t now_ns);
/* Is it this known process's turn? Ask once a run for each. What is young may be a script that will
 * call exec, and has its turn in every run. */
bool pst_pace_turn(struct pst_pace *pace, pid_t pid, uint64_t age_ns);
/* May it be looked at in full, since so much time has passed? */
bool pst_pace_recheck(struct pst_pace *pace);

#endif
