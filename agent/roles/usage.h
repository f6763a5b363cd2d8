/* What this process itself costs. */
#ifndef PST_ROLES_USAGE_H
#define PST_ROLES_USAGE_H

#include <stdbool.h>
#include <stdint.h>

/* CPU since start, and memory as PSS (0 where the kernel does not tell). A role measures itself:
 * none may look into another's memory. */
void pst_usage_self(uint64_t *ret_cpu_ns, uint64_t *ret_memory_bytes);

/* How much of this process was in memory when that was last told of. Zeroed to begin with. */
struct pst_usage_growth {
    uint64_t told_bytes;
};

/* PSS takes a walk over all pages; this is one small read, to be asked many times a second: has the
 * process grown so much since pst_usage_told that it should not wait to be told of? */
bool pst_usage_has_grown(const struct pst_usage_growth *growth);
void pst_usage_told(struct pst_usage_growth *growth);

#endif
