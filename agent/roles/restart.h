/* When a role that ended is started again: a pure decision. */
#ifndef PST_ROLES_RESTART_H
#define PST_ROLES_RESTART_H

#include <stdbool.h>
#include <stdint.h>

struct pst_restart {
    unsigned failures; /* in a row */
};

struct pst_restart_end {
    uint64_t lived_ns;
    bool was_ready;
    bool by_itself; /* crashed or exited; false: killed from outside or abandoned */
};

/* Nanoseconds to wait before the next start. A role that was at work comes back at once, also when
 * someone kills it again and again. One that fails by itself within a second of its start, or never
 * becomes ready, waits 100 ms, doubling up to 30 s; up to half a second when it was killed. */
uint64_t pst_restart_delay_ns(struct pst_restart *state, const struct pst_restart_end *end);

#endif
