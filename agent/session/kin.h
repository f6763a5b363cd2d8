/* The descendants of processes that are no Python themselves: a shell, a launcher. Those of a
 * Python process are found by the scan. One thread. */
#ifndef PST_SESSION_KIN_H
#define PST_SESSION_KIN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/str.h"

struct pst_kin;

struct pst_kin *pst_kin_new(void);
struct pst_kin *pst_kin_free(struct pst_kin *kin);

/* True when a process was started on the machine since the last call. */
bool pst_kin_news(struct pst_kin *kin);
/* Adds the descendants of pid, forgets those that ended. Those past PST_MAX_TARGETS are left out.
 */
void pst_kin_look(struct pst_kin *kin, pid_t pid);
/* The next living descendant that is due to be asked what it runs; each is asked less and less
 * often. 0 when none is. */
pid_t pst_kin_due(struct pst_kin *kin, uint64_t now_ns);
/* Numbers in the text of a `children` file; at most size of them. Returns how many. */
size_t pst_kin_parse(struct pst_str text, pid_t *dst, size_t size);

#endif
