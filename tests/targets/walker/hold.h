/* Stops a target's first thread while it is sampled: what a sampler that may stop would see. For
 * comparison only: nothing else of pystrobe's sampling stops a target. */
#ifndef PST_WALKER_HOLD_H
#define PST_WALKER_HOLD_H

#include <stdbool.h>
#include <sys/types.h>

/* False where ptrace is not allowed. Held threads run on when this process ends. */
bool hold_begin(pid_t pid);
/* False when the thread ended. */
bool hold(pid_t pid);
void release(pid_t pid);

#endif
