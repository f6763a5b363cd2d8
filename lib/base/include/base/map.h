/* Open-addressing hash map of fixed-size keys to fixed-size values, seeded per process since keys
 * are hostile (XXH3). Keys are compared as bytes: zero the padding. Not thread-safe. */
#ifndef PST_BASE_MAP_H
#define PST_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pst_map;

/* NULL when out of memory. Past max_entries, pst_map_put answers -ENOSPC. */
struct pst_map *pst_map_new(size_t key_bytes, size_t value_bytes, size_t max_entries);
struct pst_map *pst_map_free(struct pst_map *map); /* returns NULL; accepts NULL */
void pst_map_clear(struct pst_map *map);
/* The same, giving the memory back. */
void pst_map_release(struct pst_map *map);
size_t pst_map_bytes(const struct pst_map *map);
size_t pst_map_count(const struct pst_map *map);

/* Pointer to the value, valid until the next put or remove; NULL when absent. */
void *pst_map_get(const struct pst_map *map, const void *key);
/* Finds or inserts (value zeroed). 0, -ENOMEM, -ENOSPC. *ret_new may be NULL. */
int pst_map_put(struct pst_map *map, const void *key, void **ret_value, bool *ret_new);
bool pst_map_remove(struct pst_map *map, const void *key);

/* Iteration: start with *cursor = 0. No put or remove meanwhile. */
bool pst_map_next(const struct pst_map *map, size_t *cursor, const void **ret_key,
                  void **ret_value);

#endif
