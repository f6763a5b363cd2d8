/* Bump allocation in blocks of 64 KiB (larger for larger requests). */
#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>

enum { BLOCK_BYTES = 65536, FIRST_BLOCK_BYTES = 4096 };

struct pst_arena_block {
    struct pst_arena_block *next;
    size_t used, size;
    _Alignas(8) char data[];
};

void pst_arena_init(struct pst_arena *arena, size_t max_bytes)
{
    *arena = (struct pst_arena){.max_bytes = max_bytes};
}

void pst_arena_done(struct pst_arena *arena)
{
    while (arena->head) {
        struct pst_arena_block *next = arena->head->next;
        free(arena->head);
        arena->head = next;
    }
    arena->used_bytes = 0;
}

static struct pst_arena_block *block_new(struct pst_arena *arena, size_t bytes)
{
    size_t size = arena->head ? BLOCK_BYTES : FIRST_BLOCK_BYTES;
    if (size < bytes)
        size = bytes;
    struct pst_arena_block *block = malloc(sizeof(*block) + size);
    if (!block)
        return NULL;
    *block = (struct pst_arena_block){.next = arena->head, .size = size};
    arena->head = block;
    return block;
}

void *pst_arena_alloc(struct pst_arena *arena, size_t bytes)
{
    if (bytes > SIZE_MAX - 7)
        return NULL;
    bytes = (bytes + 7) & ~(size_t)7;
    if (bytes > arena->max_bytes - arena->used_bytes)
        return NULL;
    struct pst_arena_block *block = arena->head;
    if (!block || block->size - block->used < bytes)
        block = block_new(arena, bytes);
    if (!block)
        return NULL;
    void *out = block->data + block->used;
    block->used += bytes;
    arena->used_bytes += bytes;
    return out;
}
