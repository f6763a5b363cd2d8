/* What this process itself costs. */
#ifndef PST_ROLES_USAGE_H
#define PST_ROLES_USAGE_H

#include <stdint.h>

/* CPU since start, and memory as PSS (0 where the kernel does not tell). A role measures itself:
 * none may look into another's memory. */
void pst_usage_self(uint64_t *ret_cpu_ns, uint64_t *ret_memory_bytes);

#endif
