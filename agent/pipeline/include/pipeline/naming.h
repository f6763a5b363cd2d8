/* From facts to labels: the sources of discovery/labels, then the rules of discovery/rules. Pure.
 */
#ifndef PST_PIPELINE_NAMING_H
#define PST_PIPELINE_NAMING_H

#include "config/config.h"
#include "labels/target_labels.h"
#include "profile/labels.h"
#include "rules/rules.h"
#include "scan/facts.h"

struct pst_naming {
    struct pst_meta *before;  /* every label that the rules saw */
    struct pst_labels *after; /* the series labels; NULL when dropped */
    const char *dropped;      /* as in struct pst_ruled */
    double hz;                /* 0: as configured */
    unsigned modes;           /* bits by enum pst_mode; 0: as configured */
    unsigned refused_labels;  /* past the bound of a series */
    char *why;                /* which source and which rule decided, line by line */
};

/* Fills ret, whose pointers are then the caller's. 0, -ENOMEM. */
int pst_naming_make(const struct pst_config *config, const struct pst_rules *rules,
                    const struct pst_facts *facts, const struct pst_label_lookup *lookup,
                    struct pst_naming *ret);
void pst_naming_done(struct pst_naming *naming);

/* Why the settings alone keep a process from being sampled at this time: "disabled", "share" (it is
 * not among the share of this hour: a stable draw per process and hour, so that a share of a fleet
 * is profiled at any time and each process is now and then); NULL: they do not. */
const char *pst_naming_resting(const struct pst_config *config, const struct pst_facts *facts,
                               uint64_t now_realtime_ns);
/* Hour whose draw that is. */
uint64_t pst_naming_hour(uint64_t now_realtime_ns);

#endif
