/* What pods say about being profiled: annotations, and the settings that choose among pods. Pure.
 */
#ifndef PST_RULES_PODS_H
#define PST_RULES_PODS_H

#include "base/buf.h"
#include "config/config.h"
#include "labels/meta.h"

struct pst_pod_wishes {
    /* NULL: nothing against it. Else "annotation" (enabled: "false"), "not_enabled" (the targeting
     * scheme wants an annotation), "namespace", "sidecar" (the pod profiles itself). */
    const char *dropped;
    double hz;      /* 0: no wish */
    unsigned modes; /* bits by enum pst_mode; 0: no wish */
};

/* meta: the labels of one process. Appends to why what decided. 0 or -ENOMEM. */
int pst_pod_wishes(const struct pst_config *config, const struct pst_meta *meta,
                   struct pst_pod_wishes *ret, struct pst_buf *why);

#endif
