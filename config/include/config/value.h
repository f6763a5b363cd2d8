/* Text to values and back: the notations that settings and command-line options share. */
#ifndef PST_CONFIG_VALUE_H
#define PST_CONFIG_VALUE_H

#include "base/str.h"

/* All: the whole text must be the value. -EINVAL not in the notation, -ERANGE too large to hold. */

/* Decimal, no exponent, not negative: 97, 0.5. */
int pst_value_float(struct pst_str text, double *ret);
/* 15s, 1m30s, 500ms, 2h, 7d, 250us, 1.5h; a bare number counts seconds. Units fall in size. */
int pst_value_duration(struct pst_str text, uint64_t *ret_ns);
/* 64MiB, 512MB, 1Gi, 10k; a bare number counts bytes. */
int pst_value_size(struct pst_str text, uint64_t *ret_bytes);
/* 2%, 0.5%: the sign is needed, since a bare 1 could be read two ways. 1.0 = 100%. */
int pst_value_percent(struct pst_str text, double *ret_ratio);
int pst_value_bool(struct pst_str text, bool *ret);

/* Shortest notation that reads back as the same value. size >= 32 suffices. */
void pst_value_format_duration(uint64_t ns, char *text, size_t size);
void pst_value_format_size(uint64_t bytes, char *text, size_t size);
void pst_value_format_float(double value, char *text, size_t size);

/* Edits (insert, delete, change, swap neighbours) from one word to another, for "did you mean";
 * 99 when either is longer than 40 bytes. */
unsigned pst_value_distance(struct pst_str a, struct pst_str b);

/* True when a name says that its value is a secret: password, token, secret, key, dsn, ... */
bool pst_value_secret_name(struct pst_str name);

#endif
