/* A label set: what names a series. Sorted by name, unique names, bounded (PST_MAX_LABELS). */
#ifndef PST_PROFILE_LABELS_H
#define PST_PROFILE_LABELS_H

#include "base/buf.h"

struct pst_labels;

struct pst_labels *pst_labels_new(void);
struct pst_labels *pst_labels_free(struct pst_labels *labels);
struct pst_labels *pst_labels_copy(const struct pst_labels *labels);
/* Sets or replaces; an empty value removes. Value is cut at PST_MAX_LABEL_VALUE_BYTES on a UTF-8
 * border. 0, -ENOMEM, -ENOSPC past PST_MAX_LABELS. */
int pst_labels_set(struct pst_labels *labels, struct pst_str name, struct pst_str value);
/* Empty when absent. */
struct pst_str pst_labels_get(const struct pst_labels *labels, const char *name);
size_t pst_labels_count(const struct pst_labels *labels);
void pst_labels_at(const struct pst_labels *labels, size_t index, struct pst_str *ret_name,
                   struct pst_str *ret_value);
bool pst_labels_equal(const struct pst_labels *a, const struct pst_labels *b);
/* Canonical bytes (name NUL value NUL ...): a map key, and the stored form. */
int pst_labels_encode(const struct pst_labels *labels, struct pst_buf *out);
int pst_labels_decode(const void *data, size_t len, struct pst_labels **ret);
/* {a="b", c="d"} for people. */
int pst_labels_format(const struct pst_labels *labels, struct pst_buf *out);

#endif
