/* Linear probing over a power of two, load at most 3/4, backward-shift deletion (no tombstones).
 * A slot is a hash word (0 = empty), the key, the value. */
#include "base/map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/random.h"

enum { FIRST_SLOTS = 16 };

struct pst_map {
    size_t key_bytes, value_bytes, value_offset, slot_bytes;
    size_t max_entries, count, slots;
    uint64_t seed;
    char *data;
};

static size_t align8(size_t n)
{
    return (n + 7) & ~(size_t)7;
}

struct pst_map *pst_map_new(size_t key_bytes, size_t value_bytes, size_t max_entries)
{
    struct pst_map *map = calloc(1, sizeof(*map));
    if (!map)
        return NULL;
    map->key_bytes = key_bytes;
    map->value_bytes = value_bytes;
    map->value_offset = sizeof(uint64_t) + align8(key_bytes);
    map->slot_bytes = map->value_offset + align8(value_bytes);
    map->max_entries = max_entries;
    map->seed = pst_random_seed();
    return map;
}

struct pst_map *pst_map_free(struct pst_map *map)
{
    if (map)
        free(map->data);
    free(map);
    return NULL;
}

void pst_map_clear(struct pst_map *map)
{
    if (map->data)
        memset(map->data, 0, map->slots * map->slot_bytes);
    map->count = 0;
}

void pst_map_release(struct pst_map *map)
{
    free(map->data);
    map->data = NULL;
    map->slots = map->count = 0;
}

size_t pst_map_bytes(const struct pst_map *map)
{
    return map->slots * map->slot_bytes;
}

size_t pst_map_count(const struct pst_map *map)
{
    return map->count;
}

static uint64_t hash_key(const struct pst_map *map, const void *key)
{
    uint64_t hash = XXH3_64bits_withSeed(key, map->key_bytes, map->seed);
    return hash ? hash : 1;
}

static char *slot_at(const struct pst_map *map, size_t index)
{
    return map->data + index * map->slot_bytes;
}

static uint64_t slot_hash(const struct pst_map *map, size_t index)
{
    uint64_t hash;
    memcpy(&hash, slot_at(map, index), sizeof(hash));
    return hash;
}

/* The slot holding key, or the empty one where it would go. Needs at least one empty slot. */
static size_t find_slot(const struct pst_map *map, const void *key, uint64_t hash, bool *ret_found)
{
    size_t mask = map->slots - 1;
    for (size_t at = hash & mask;; at = (at + 1) & mask) {
        uint64_t there = slot_hash(map, at);
        if (there == 0 || (there == hash &&
                           memcmp(slot_at(map, at) + sizeof(uint64_t), key, map->key_bytes) == 0)) {
            *ret_found = there != 0;
            return at;
        }
    }
}

void *pst_map_get(const struct pst_map *map, const void *key)
{
    if (map->count == 0)
        return NULL;
    bool found;
    size_t at = find_slot(map, key, hash_key(map, key), &found);
    return found ? slot_at(map, at) + map->value_offset : NULL;
}

static int grow(struct pst_map *map)
{
    size_t slots = map->slots ? map->slots * 2 : FIRST_SLOTS;
    char *data = calloc(slots, map->slot_bytes);
    if (!data)
        return -ENOMEM;
    struct pst_map old = *map;
    map->data = data;
    map->slots = slots;
    for (size_t i = 0; i < old.slots; i++) {
        uint64_t hash = slot_hash(&old, i);
        if (hash == 0)
            continue;
        size_t at = hash & (slots - 1);
        while (slot_hash(map, at) != 0)
            at = (at + 1) & (slots - 1);
        memcpy(slot_at(map, at), slot_at(&old, i), map->slot_bytes);
    }
    free(old.data);
    return 0;
}

int pst_map_put(struct pst_map *map, const void *key, void **ret_value, bool *ret_new)
{
    uint64_t hash = hash_key(map, key);
    bool found = false;
    size_t at = 0;
    if (map->slots)
        at = find_slot(map, key, hash, &found);
    if (!found) {
        if (map->count >= map->max_entries)
            return -ENOSPC;
        if (map->slots == 0 || (map->count + 1) * 4 > map->slots * 3) {
            int r = grow(map);
            if (r < 0)
                return r;
            at = find_slot(map, key, hash, &found);
        }
        char *slot = slot_at(map, at);
        memcpy(slot, &hash, sizeof(hash));
        memcpy(slot + sizeof(hash), key, map->key_bytes);
        memset(slot + map->value_offset, 0, map->value_bytes);
        map->count++;
        found = false;
    }
    if (ret_new)
        *ret_new = !found;
    *ret_value = slot_at(map, at) + map->value_offset;
    return 0;
}

bool pst_map_remove(struct pst_map *map, const void *key)
{
    if (map->count == 0)
        return false;
    bool found;
    size_t hole = find_slot(map, key, hash_key(map, key), &found);
    if (!found)
        return false;
    size_t mask = map->slots - 1;
    for (size_t at = (hole + 1) & mask;; at = (at + 1) & mask) {
        uint64_t hash = slot_hash(map, at);
        if (hash == 0)
            break;
        /* An entry may move into the hole unless its home lies cyclically in (hole, at]. */
        if (((at - hash) & mask) >= ((at - hole) & mask)) {
            memcpy(slot_at(map, hole), slot_at(map, at), map->slot_bytes);
            hole = at;
        }
    }
    memset(slot_at(map, hole), 0, map->slot_bytes);
    map->count--;
    return true;
}

bool pst_map_next(const struct pst_map *map, size_t *cursor, const void **ret_key, void **ret_value)
{
    for (; *cursor < map->slots; (*cursor)++) {
        if (slot_hash(map, *cursor) == 0)
            continue;
        char *slot = slot_at(map, *cursor);
        if (ret_key)
            *ret_key = slot + sizeof(uint64_t);
        if (ret_value)
            *ret_value = slot + map->value_offset;
        (*cursor)++;
        return true;
    }
    return false;
}
