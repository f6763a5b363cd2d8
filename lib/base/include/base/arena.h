/* Bump allocation with a maximum, freed all at once. */
#ifndef PST_BASE_ARENA_H
#define PST_BASE_ARENA_H

#include <stddef.h>

struct pst_arena_block;

struct pst_arena {
    struct pst_arena_block *head;
    size_t used_bytes; /* handed out */
    size_t max_bytes;
};

void pst_arena_init(struct pst_arena *arena, size_t max_bytes);
void pst_arena_done(struct pst_arena *arena);
/* 8-byte aligned, not zeroed; NULL past the maximum or out of memory. */
void *pst_arena_alloc(struct pst_arena *arena, size_t bytes);

#endif
