/* Reads of the target that can be checked: all that was read is kept, and read again before it
 * counts. One thread per object. */
#ifndef PST_PYTHON_TRAIL_H
#define PST_PYTHON_TRAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "target/memory.h"

struct pst_trail;

/* NULL when out of memory. memory is borrowed. */
struct pst_trail *pst_trail_new(struct pst_memory *memory);
struct pst_trail *pst_trail_free(struct pst_trail *trail);

/* Forgets everything, and gives the memory a new budget for what one trail may read. */
void pst_trail_reset(struct pst_trail *trail);
/* The bytes, valid until the reset; the same address and length is read once. NULL and -errno in
 * *ret_error: -EFAULT, -ESRCH, -EPERM as the memory says, -EDQUOT when the trail is full. */
const unsigned char *pst_trail_read(struct pst_trail *trail, uint64_t address, size_t len,
                                    int *ret_error);
/* Reads all pieces again, in their order, and compares. What is unchanged was there as a whole at
 * the moment between the last read and the first one of this call. */
bool pst_trail_unchanged(struct pst_trail *trail);

#endif
