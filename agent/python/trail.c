/* A trail of reads: pieces one after the other in a block of bounded size, and a second block for
 * the comparison. */
#include "trail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

enum { CHECK_READS = 8 };

struct piece {
    uint64_t address;
    uint32_t offset, len;
};

struct pst_trail {
    struct pst_memory *memory;
    size_t count, used;
    struct piece pieces[PST_MAX_VALUE_READS];
    struct pst_piece again[PST_MAX_VALUE_READS];
    unsigned char bytes[PST_MAX_VALUE_BYTES];
    unsigned char bytes_again[PST_MAX_VALUE_BYTES];
};

struct pst_trail *pst_trail_new(struct pst_memory *memory)
{
    struct pst_trail *trail = calloc(1, sizeof(*trail));

    if (trail)
        trail->memory = memory;
    return trail;
}

struct pst_trail *pst_trail_free(struct pst_trail *trail)
{
    free(trail);
    return NULL;
}

void pst_trail_reset(struct pst_trail *trail)
{
    trail->count = trail->used = 0;
    pst_memory_budget(trail->memory, PST_MAX_VALUE_BYTES, PST_MAX_VALUE_READS);
}

static const unsigned char *find(const struct pst_trail *trail, uint64_t address, size_t len)
{
    for (size_t i = trail->count; i-- > 0;) {
        if (trail->pieces[i].address == address && trail->pieces[i].len == len)
            return trail->bytes + trail->pieces[i].offset;
    }
    return NULL;
}

const unsigned char *pst_trail_read(struct pst_trail *trail, uint64_t address, size_t len,
                                    int *ret_error)
{
    const unsigned char *known = find(trail, address, len);

    if (known)
        return known;
    size_t padded = (len + 7) & ~(size_t)7;
    *ret_error = -EDQUOT;
    if (trail->count == PST_MAX_VALUE_READS || len > PST_MAX_VALUE_BYTES ||
        padded > PST_MAX_VALUE_BYTES - trail->used)
        return NULL;
    unsigned char *dst = trail->bytes + trail->used;
    *ret_error = pst_memory_read(trail->memory, address, dst, len);
    if (*ret_error < 0)
        return NULL;
    trail->pieces[trail->count++] = (struct piece){address, (uint32_t)trail->used, (uint32_t)len};
    trail->used += padded;
    return dst;
}

bool pst_trail_unchanged(struct pst_trail *trail)
{
    for (size_t i = 0; i < trail->count; i++) {
        const struct piece *piece = &trail->pieces[i];
        trail->again[i] =
            (struct pst_piece){piece->address, trail->bytes_again + piece->offset, piece->len};
    }
    pst_memory_budget(trail->memory, PST_MAX_VALUE_BYTES, CHECK_READS);
    if (pst_memory_readv(trail->memory, trail->again, trail->count, NULL) < 0)
        return false;
    for (size_t i = 0; i < trail->count; i++) {
        const struct piece *piece = &trail->pieces[i];
        if (memcmp(trail->bytes + piece->offset, trail->bytes_again + piece->offset, piece->len) !=
            0)
            return false;
    }
    return true;
}
