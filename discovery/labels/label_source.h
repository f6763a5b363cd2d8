/* What a label source sees and may say. */
#ifndef PST_LABELS_LABEL_SOURCE_H
#define PST_LABELS_LABEL_SOURCE_H

#include "labels/metadata.h"
#include "labels/target_labels.h"

struct pst_labelling {
    const struct pst_facts *facts;
    const struct pst_label_lookup *lookup;
    struct pst_meta *const *engines; /* by enum pst_engine; NULL where nothing is known */
    struct pst_target_labels *labels;
    const char *source; /* word of the source being asked */
    int status;         /* first failure; later calls do nothing */
};

/* Sets a series label that no earlier source knew; empty values say nothing. `by` completes the
 * sentence "from SOURCE: BY". */
void pst_label_series(struct pst_labelling *labelling, const char *name, struct pst_str value,
                      const char *by);
void pst_label_meta(struct pst_labelling *labelling, const char *name, struct pst_str value);
/* All that an engine says, as meta labels. */
void pst_label_engine(struct pst_labelling *labelling, enum pst_engine engine);
/* Appends text to the name of a label, what is no letter, digit or _ made _ of. */
void pst_label_name_append(char *name, size_t size, struct pst_str text);
/* True for a process of the pod that the agent runs in. */
bool pst_label_in_own_pod(const struct pst_facts *facts);
bool pst_label_known(const struct pst_labelling *labelling, const char *name);

#define PST_LABEL_SOURCE(id, word) void pst_label_source_##id(struct pst_labelling *labelling);
#include "label_sources.def"
#undef PST_LABEL_SOURCE

#endif
