/* discovery.select and discovery.relabel: Prometheus' relabel_config on the labels of one target.
 * Pure functions of (rules, labels); bounded work; constant once made. */
#ifndef PST_RULES_RULES_H
#define PST_RULES_RULES_H

#include "config/config.h"
#include "labels/meta.h"
#include "profile/labels.h"

struct pst_rules;

/* From a configuration that was loaded, which must outlive them. 0, -ENOMEM. */
int pst_rules_new(const struct pst_config *config, struct pst_rules **ret);
struct pst_rules *pst_rules_free(struct pst_rules *rules);

struct pst_ruled {
    /* NULL: kept. Else why nothing of the target is sampled: "select", "relabel" (a rule dropped
     * it), "rule_limit" (a rule would have taken too much work). Constant. */
    const char *dropped;
    struct pst_labels
        *series;             /* what is left without names that begin with __; NULL when dropped */
    double hz;               /* from __profile_hz__; 0: as configured */
    unsigned refused_labels; /* past PST_MAX_LABELS */
    struct pst_buf why;      /* a line for each rule that decided or changed something */
};

/* before: every label that the rules may see. constants are added to the series labels and win over
 * rules. service_name is put back when no rule leaves one. Fills ret (any content). 0, -ENOMEM. */
int pst_rules_apply(const struct pst_rules *rules, const struct pst_meta *before,
                    const struct pst_config_pairs *constants, struct pst_ruled *ret);
void pst_ruled_done(struct pst_ruled *ruled);

#endif
