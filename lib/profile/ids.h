/* Ids of a pprof file to numbers of ours. Most writers number 1, 2, 3, ...: those live in an array,
 * any others in a map. */
#ifndef PST_PROFILE_IDS_H
#define PST_PROFILE_IDS_H

#include <stdbool.h>
#include <stdint.h>

struct pst_ids;

struct pst_ids *pst_ids_new(void); /* NULL: out of memory */
struct pst_ids *pst_ids_free(struct pst_ids *ids);
/* -EBADMSG for zero and for an id seen before; -ENOMEM, -ENOSPC past PST_MAX_PPROF_STRINGS. */
int pst_ids_put(struct pst_ids *ids, uint64_t id, uint32_t value);
bool pst_ids_get(const struct pst_ids *ids, uint64_t id, uint32_t *ret_value);

#endif
