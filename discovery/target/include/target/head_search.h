/* The head of the interpreter list where no symbol names it: found by its shape in the writable
 * data of an image. */
#ifndef PST_TARGET_HEAD_SEARCH_H
#define PST_TARGET_HEAD_SEARCH_H

#include "target/elf.h"
#include "target/maps.h"
#include "target/memory.h"

struct pst_head_links {
    uint32_t first, last; /* versions, 0x0307 for 3.7 */
    uint32_t runtime_head, threads_head, modules, tstate_interp;
};

/* NULL for versions that are not known, or that describe themselves (3.13 and later). */
const struct pst_head_links *pst_head_links(uint32_t hexversion);

/* Looks for the variable that holds the newest interpreter: a pointer to one whose thread states
 * point back at it and whose modules are a dict. Of several that lead to as many interpreters the
 * one nearest to `near` (an address, 0: none) counts. Starts a budget of its own. 0 and the
 * variable's address; -ENOENT when there is none, as before the interpreter is up; -errno of
 * memory. */
int pst_head_search(struct pst_memory *memory, const struct pst_elf *elf, uint64_t bias,
                    struct pst_str maps, const struct pst_head_links *links, uint64_t near,
                    uint64_t *ret_address);

#endif
