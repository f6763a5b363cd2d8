/* What the two readers share: how they start, and the thread that watches for stalls. */
#ifndef PST_ROLES_READER_H
#define PST_ROLES_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "roles/roles.h"

/* Roles' mains: exit codes. Capabilities are dropped already; each creates its threads, restricts
 * its system calls and says READY itself. */
int pst_reader_scan_main(void);
int pst_reader_sample_main(bool native);

/* Before capabilities go: asks the scheduler to be woken on time. SCHED_FIFO where that is allowed,
 * else the shortest slice (3.4 of the design: without either, on a shared CPU, a target that is
 * busy 10% of the time was found running 3.9% of it). */
void pst_reader_wake_on_time(void);

/* Restricts system calls in all threads; says so once when the kernel cannot. */
void pst_reader_restrict(enum pst_role role, bool native);
void pst_reader_ready(enum pst_role role);

/* The supervisor's SKIP records that lie in the control socket at the start. Calls take for each.
 */
void pst_reader_skips(void (*take)(void *context, const struct pst_control *record), void *context);

/* Reports a stall and waits to be killed: the other thread cannot be ended, and nobody waits. */
_Noreturn void pst_reader_stalled(enum pst_role role, uint64_t value, uint64_t extra);

#endif
