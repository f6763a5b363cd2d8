/* Facts of a process that only a core file tells of. */
#ifndef PST_SCAN_CORE_H
#define PST_SCAN_CORE_H

#include "scan/facts.h"
#include "target/core.h"
#include "target/memory.h"

/* memory reads the core. 0 and facts to free with pst_facts_free, in state READY or STARTING;
 * -ENOENT no CPython runtime in it; -ENOMEM. What a core does not tell (working directory, cgroup,
 * environment) is empty. */
int pst_scan_core(const struct pst_core *core, struct pst_memory *memory, struct pst_facts **ret);

#endif
