/* What people see of code objects: names, file, first line, under dense ids that outlive addresses.
 */
#ifndef PST_PYTHON_PUBLICS_H
#define PST_PYTHON_PUBLICS_H

#include <stdint.h>

#include "python/python.h"

struct pst_publics;

struct pst_public_key {
    uint32_t qualname, name, filename; /* of pst_publics_text */
    int32_t first_line;
};

struct pst_publics *pst_publics_new(void);
struct pst_publics *pst_publics_free(struct pst_publics *publics);
/* Forgets every id, and gives the memory back. */
void pst_publics_reset(struct pst_publics *publics);
size_t pst_publics_bytes(const struct pst_publics *publics);

/* 0, -ENOMEM, or -ENOSPC past the bounds. */
int pst_publics_text(struct pst_publics *publics, struct pst_str text, uint32_t *ret);
int pst_publics_add(struct pst_publics *publics, const struct pst_public_key *key,
                    uint32_t *ret_id);
/* The one id that stands for every code object past the bounds. */
int pst_publics_overflow(struct pst_publics *publics, uint32_t *ret_id);
/* The id of this one's method of that class: shown as CLASS.NAME. */
int pst_publics_in_class(struct pst_publics *publics, uint32_t id, struct pst_str class_name,
                         uint32_t *ret_id);

/* NULL for none of the ids. Valid until reset or free; moves with the next add. */
const struct pst_py_code *pst_publics_get(const struct pst_publics *publics, uint32_t id);
uint32_t pst_publics_count(const struct pst_publics *publics);

#endif
