/* What becomes of queues that no exporter of the configuration has. */
#ifndef PST_EXPORTERS_UNCLAIMED_H
#define PST_EXPORTERS_UNCLAIMED_H

#include "config/config.h"

/* Looks for them on a thread of its own, says what it finds and counts what goes. */
void pst_exporters_sweep(struct pst_config *config);

#endif
