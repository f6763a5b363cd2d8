/* Byte strings to dense ids: an arena for the bytes, an array of views, a probe table of ids. */
#include "base/intern.h"

#include <errno.h>
#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/arena.h"
#include "base/random.h"

enum { FIRST_ENTRIES = 16 };

struct entry {
    const char *data;
    uint32_t len;
    uint32_t hash;
};

struct pst_intern {
    struct pst_arena arena;
    struct entry *entries;
    uint32_t *slots; /* id + 1; 0 = empty */
    uint32_t count, entry_cap, slot_count, max_entries;
    size_t max_bytes;
    uint64_t seed;
};

struct pst_intern *pst_intern_new(uint32_t max_entries, size_t max_bytes)
{
    struct pst_intern *intern = calloc(1, sizeof(*intern));
    if (!intern)
        return NULL;
    pst_arena_init(&intern->arena, max_bytes);
    intern->max_entries = max_entries;
    intern->max_bytes = max_bytes;
    intern->seed = pst_random_seed();
    return intern;
}

struct pst_intern *pst_intern_free(struct pst_intern *intern)
{
    if (!intern)
        return NULL;
    pst_arena_done(&intern->arena);
    free(intern->entries);
    free(intern->slots);
    free(intern);
    return NULL;
}

void pst_intern_clear(struct pst_intern *intern)
{
    pst_arena_done(&intern->arena);
    free(intern->entries);
    free(intern->slots);
    intern->entries = NULL;
    intern->slots = NULL;
    intern->count = intern->entry_cap = intern->slot_count = 0;
}

static uint32_t hash_of(const struct pst_intern *intern, const void *data, size_t len)
{
    return (uint32_t)XXH3_64bits_withSeed(data, len, intern->seed);
}

/* Slot of the bytes, or of the empty place where they would go. */
static uint32_t probe(const struct pst_intern *intern, const void *data, size_t len, uint32_t hash)
{
    uint32_t mask = intern->slot_count - 1;
    uint32_t at = hash & mask;
    while (intern->slots[at]) {
        const struct entry *e = &intern->entries[intern->slots[at] - 1];
        if (e->hash == hash && e->len == len && (len == 0 || memcmp(e->data, data, len) == 0))
            break;
        at = (at + 1) & mask;
    }
    return at;
}

static int grow_slots(struct pst_intern *intern)
{
    uint32_t count = intern->slot_count ? intern->slot_count * 2 : FIRST_ENTRIES * 2;
    if (count < intern->slot_count)
        return -ENOSPC;
    uint32_t *slots = calloc(count, sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    for (uint32_t id = 0; id < intern->count; id++) {
        uint32_t at = intern->entries[id].hash & (count - 1);
        while (slots[at])
            at = (at + 1) & (count - 1);
        slots[at] = id + 1;
    }
    free(intern->slots);
    intern->slots = slots;
    intern->slot_count = count;
    return 0;
}

static int grow_entries(struct pst_intern *intern)
{
    uint32_t cap = intern->entry_cap ? intern->entry_cap * 2 : FIRST_ENTRIES;
    struct entry *entries = realloc(intern->entries, cap * sizeof(*entries));
    if (!entries)
        return -ENOMEM;
    intern->entries = entries;
    intern->entry_cap = cap;
    return 0;
}

int pst_intern_add(struct pst_intern *intern, const void *data, size_t len, uint32_t *ret_id)
{
    uint32_t hash = hash_of(intern, data, len);
    if (intern->slot_count) {
        uint32_t at = probe(intern, data, len, hash);
        if (intern->slots[at]) {
            *ret_id = intern->slots[at] - 1;
            return 0;
        }
    }
    if (intern->count >= intern->max_entries || len > UINT32_MAX)
        return -ENOSPC;
    int r = 0;
    if (((uint64_t)intern->count + 1) * 3 > (uint64_t)intern->slot_count * 2)
        r = grow_slots(intern);
    if (r == 0 && intern->count == intern->entry_cap)
        r = grow_entries(intern);
    if (r < 0)
        return r;
    char *bytes = pst_arena_alloc(&intern->arena, len ? len : 1);
    if (!bytes)
        return intern->arena.used_bytes + len + 8 > intern->max_bytes ? -ENOSPC : -ENOMEM;
    if (len)
        memcpy(bytes, data, len);
    intern->slots[probe(intern, data, len, hash)] = intern->count + 1;
    intern->entries[intern->count] = (struct entry){bytes, (uint32_t)len, hash};
    *ret_id = intern->count++;
    return 0;
}

int pst_intern_find(const struct pst_intern *intern, const void *data, size_t len, uint32_t *ret_id)
{
    if (intern->slot_count == 0)
        return -ENOENT;
    uint32_t at = probe(intern, data, len, hash_of(intern, data, len));
    if (!intern->slots[at])
        return -ENOENT;
    *ret_id = intern->slots[at] - 1;
    return 0;
}

struct pst_str pst_intern_get(const struct pst_intern *intern, uint32_t id)
{
    return (struct pst_str){intern->entries[id].data, intern->entries[id].len};
}

uint32_t pst_intern_count(const struct pst_intern *intern)
{
    return intern->count;
}

size_t pst_intern_bytes(const struct pst_intern *intern)
{
    return intern->arena.used_bytes + intern->entry_cap * sizeof(struct entry) +
           intern->slot_count * sizeof(uint32_t);
}
