/* Meta labels: names to values, many, never sent. In the order in which they were set. */
#ifndef PST_LABELS_META_H
#define PST_LABELS_META_H

#include "base/str.h"

struct pst_meta;

/* Reference count 1. Whoever shares it, also between threads, no longer changes it. */
struct pst_meta *pst_meta_new(void);
struct pst_meta *pst_meta_ref(struct pst_meta *meta);
struct pst_meta *pst_meta_unref(struct pst_meta *meta);
/* Sets or replaces; both are copied, values cut at PST_MAX_LABEL_VALUE_BYTES and made valid UTF-8.
 * 0, -ENOMEM, -ENOSPC past PST_MAX_META_LABELS. */
int pst_meta_set(struct pst_meta *meta, struct pst_str name, struct pst_str value);
/* Empty when absent. */
struct pst_str pst_meta_get(const struct pst_meta *meta, const char *name);
/* The same labels with the same values, in any order. */
bool pst_meta_equal(const struct pst_meta *a, const struct pst_meta *b);
size_t pst_meta_count(const struct pst_meta *meta);
void pst_meta_at(const struct pst_meta *meta, size_t index, struct pst_str *ret_name,
                 struct pst_str *ret_value);

#endif
