/* Functions of all targets, stored once: workers of one application share their names, and what a
 * window refers to outlives the target it came from. Entries never move or change while a window
 * still refers to them. The sampling thread adds, the shipping thread reads; one mutex, held for a
 * few instructions. */
#ifndef PST_SAMPLER_NAMES_H
#define PST_SAMPLER_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct pst_names;

struct pst_names *pst_names_new(void);
/* One more owner; each calls pst_names_free, the last one ends it. Any thread. */
struct pst_names *pst_names_ref(struct pst_names *names);
struct pst_names *pst_names_free(struct pst_names *names);
/* Most of the room is taken: time to begin anew, since names of programs that ended stay. */
bool pst_names_full(struct pst_names *names);

struct pst_name {
    struct pst_str name, system_name, filename;
    int64_t first_line;
    /* Native frames: the binary they lie in and the address of the instruction, as linked. */
    struct pst_str binary, build_id;
    uint64_t address;
};

/* Id of the function; 0, -ENOMEM, -ENOSPC past the tables' bound. */
int pst_names_function(struct pst_names *names, const struct pst_name *function, uint32_t *ret_id);
/* Bracketed frame: name only. */
int pst_names_synthetic(struct pst_names *names, struct pst_str text, uint32_t *ret_id);
/* The views stay valid while the object lives. */
void pst_names_get(struct pst_names *names, uint32_t id, struct pst_name *ret);
size_t pst_names_bytes(struct pst_names *names);

#endif
