/* What a target is called: the few series labels, and the __meta_* labels that rules may use. One
 * file per source, one row in label_sources.def; the first source that knows a label wins. */
#ifndef PST_LABELS_TARGET_LABELS_H
#define PST_LABELS_TARGET_LABELS_H

#include "base/buf.h"
#include "labels/meta.h"
#include "labels/metadata.h"
#include "profile/labels.h"
#include "scan/facts.h"

struct pst_target_labels {
    struct pst_labels *series; /* service_name always; namespace, pod, container, node when known */
    struct pst_meta *meta; /* the __meta_* labels and the series labels: all that rules may see */
    struct pst_buf why;    /* one line per label: which source decided, and by what */
};

struct pst_label_lookup {
    /* Facts of another target, for a worker process that says nothing of itself; NULL: not known.
     */
    const struct pst_facts *(*find)(void *context, uint64_t target_id);
    void *context;
    const struct pst_engines *engines; /* what engines say of its container; NULL: nothing */
};

/* Fills ret (any content, no prior init). lookup may be NULL. 0 or -ENOMEM. */
int pst_target_labels_make(const struct pst_facts *facts, const struct pst_label_lookup *lookup,
                           struct pst_target_labels *ret);
void pst_target_labels_done(struct pst_target_labels *labels);

#endif
