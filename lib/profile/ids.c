/* The array of sequential ids and the map of the rest. */
#include "ids.h"

#include <errno.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/map.h"

struct pst_ids {
    uint32_t *values; /* of the ids 1..count */
    uint32_t count, cap;
    struct pst_map *rest;
};

struct pst_ids *pst_ids_new(void)
{
    struct pst_ids *ids = calloc(1, sizeof(*ids));

    if (!ids)
        return NULL;
    ids->rest = pst_map_new(sizeof(uint64_t), sizeof(uint32_t), PST_MAX_PPROF_STRINGS);
    return ids->rest ? ids : pst_ids_free(ids);
}

struct pst_ids *pst_ids_free(struct pst_ids *ids)
{
    if (ids) {
        free(ids->values);
        pst_map_free(ids->rest);
    }
    free(ids);
    return NULL;
}

static int append(struct pst_ids *ids, uint32_t value)
{
    if (ids->count == PST_MAX_PPROF_STRINGS)
        return -ENOSPC;
    if (ids->count == ids->cap) {
        uint32_t cap = ids->cap ? ids->cap * 2 : 64;
        uint32_t *grown = realloc(ids->values, cap * sizeof(*grown));

        if (!grown)
            return -ENOMEM;
        ids->values = grown;
        ids->cap = cap;
    }
    ids->values[ids->count++] = value;
    return 0;
}

int pst_ids_put(struct pst_ids *ids, uint64_t id, uint32_t value)
{
    uint32_t seen;
    void *slot;
    int rc;

    if (!id || pst_ids_get(ids, id, &seen))
        return -EBADMSG;
    if (id == (uint64_t)ids->count + 1)
        return append(ids, value);
    rc = pst_map_put(ids->rest, &id, &slot, NULL);
    if (rc == 0)
        *(uint32_t *)slot = value;
    return rc;
}

bool pst_ids_get(const struct pst_ids *ids, uint64_t id, uint32_t *ret_value)
{
    const uint32_t *found;

    if (id && id <= ids->count) {
        *ret_value = ids->values[id - 1];
        return true;
    }
    found = pst_map_get(ids->rest, &id);
    if (found)
        *ret_value = *found;
    return found != NULL;
}
