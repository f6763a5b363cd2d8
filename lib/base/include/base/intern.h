/* Byte strings to dense ids 0..n-1 (strings, stacks as arrays of ids): stored once, bounded. */
#ifndef PST_BASE_INTERN_H
#define PST_BASE_INTERN_H

#include "base/str.h"

struct pst_intern;

struct pst_intern *pst_intern_new(uint32_t max_entries, size_t max_bytes);
struct pst_intern *pst_intern_free(struct pst_intern *intern);
void pst_intern_clear(struct pst_intern *intern);
/* 0, -ENOMEM, or -ENOSPC past either bound. Empty strings are allowed. Stored 8-byte aligned. */
int pst_intern_add(struct pst_intern *intern, const void *data, size_t len, uint32_t *ret_id);
/* -ENOENT when absent. */
int pst_intern_find(const struct pst_intern *intern, const void *data, size_t len,
                    uint32_t *ret_id);
/* Valid until clear or free; id must be < count. */
struct pst_str pst_intern_get(const struct pst_intern *intern, uint32_t id);
uint32_t pst_intern_count(const struct pst_intern *intern);
size_t pst_intern_bytes(const struct pst_intern *intern);

#endif
