/* The target table: what a target id means. A memfd that the scan reader writes and the sample
 * reader maps read-only, so that the daemon's plan names ids and never an address, a path or a pid.
 * It outlives both readers: a restarted writer keeps the id of each (pid, start time). */
#ifndef PST_ROLES_TABLE_H
#define PST_ROLES_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "target/runtime.h"

struct pst_table;

struct pst_table_entry {
    uint32_t id;     /* never 0; a slot's id changes with each process it stands for */
    uint32_t parent; /* id of the known target this one was forked from, 0 none: its layout and
                        code cache are tried first */
    pid_t pid;       /* in the agent's pid namespace */
    uint64_t start_ticks;
    uint64_t exec_id; /* changes when the process runs another program under the same identity */
    /* Where the 16 bytes of AT_RANDOM lie, 0 unknown: while their two words and this address still
     * xor to exec_id, the process runs the program that the entry is about. */
    uint64_t random_address;
    struct pst_runtime runtime, second; /* as in facts */
};

/* A new empty table: a memfd that can neither grow nor shrink. 0 or -errno. */
int pst_table_create(int *ret_fd);

/* Maps it. The fd stays the caller's and may be closed afterwards. Writing is for one process at a
 * time; opening for it drops what a writer that died half way left behind. 0, -EBADMSG when it is
 * no table, -errno. */
int pst_table_open(int fd, bool writable, struct pst_table **ret);
struct pst_table *pst_table_close(struct pst_table *table); /* returns NULL; accepts NULL */

/* Writer: enters the process or updates the entry of the same (pid, start_ticks, exec_id); id is
 * ignored and issued. 0; -ENOSPC past PST_MAX_TARGETS. */
int pst_table_put(struct pst_table *table, const struct pst_table_entry *entry, uint32_t *ret_id);
/* Writer: frees the slot; an id that is not there is fine. */
void pst_table_remove(struct pst_table *table, uint32_t id);
/* Writer: the id of that process, 0 when it has none. */
uint32_t pst_table_find(const struct pst_table *table, pid_t pid, uint64_t start_ticks,
                        uint64_t exec_id);
/* Writer: every entry in turn; start with *cursor = 0. */
bool pst_table_next(const struct pst_table *table, uint32_t *cursor, struct pst_table_entry *ret);

/* Either side: a consistent copy. 0; -ENOENT for an id that does not (any longer) stand for a
 * process; -EAGAIN when it is being written right now; -EBADMSG when its content cannot be. */
int pst_table_get(const struct pst_table *table, uint32_t id, struct pst_table_entry *ret);

#endif
