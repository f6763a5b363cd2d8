/* Stops all threads of a process for a moment, by ptrace: for a person who asked for an exact
 * snapshot, and for nobody else. Nothing is written, no signal is lost, a process that was stopped
 * before stays stopped; the kernel lets go by itself when the caller dies. Who stops never reads
 * the target's memory: a page that a stopped thread would have to serve never comes. */
#ifndef PST_TARGET_STOP_H
#define PST_TARGET_STOP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct pst_stop;

/* All threads of the process, those that appear meanwhile too, stand still when it returns 0.
 * -ESRCH gone; -EPERM refused, or another tracer is there: *ret_tracer (0: none); -ETIME a thread
 * did not stop within timeout_ns; -ENOMEM; -errno. On failure everything runs on. One thread must
 * make all calls. */
int pst_stop_all(pid_t pid, uint64_t timeout_ns, struct pst_stop **ret, pid_t *ret_tracer);
size_t pst_stop_count(const struct pst_stop *stop);
/* Lets all threads go on; how long the first of them stood still, in nanoseconds. */
uint64_t pst_stop_release(struct pst_stop *stop);

#endif
