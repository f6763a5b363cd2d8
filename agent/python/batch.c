/* The scratch of a sample: pieces of one process_vm_readv and the bytes that they land in. Bytes
 * are reserved as address space and cost memory only where they were used. */
#include <stdlib.h>

#include "internal.h"

struct pst_py_scratch *pst_py_scratch_new(void)
{
    struct pst_py_scratch *scratch = calloc(1, sizeof(*scratch));

    if (!scratch)
        return NULL;
    scratch->bytes = malloc(PST_MAX_SAMPLE_BYTES);
    scratch->raw = malloc(PST_MAX_RAW_FRAMES * sizeof(*scratch->raw));
    if (!scratch->bytes || !scratch->raw)
        return pst_py_scratch_free(scratch);
    return scratch;
}

struct pst_py_scratch *pst_py_scratch_free(struct pst_py_scratch *scratch)
{
    if (scratch) {
        free(scratch->bytes);
        free(scratch->raw);
    }
    free(scratch);
    return NULL;
}

void pst_batch_release(struct pst_py_scratch *scratch)
{
    scratch->piece_limit = PST_BATCH_PIECES;
    scratch->byte_limit = PST_MAX_SAMPLE_BYTES;
}

void pst_batch_reset(struct pst_py_scratch *scratch, size_t keep_pieces, size_t keep_bytes)
{
    pst_batch_release(scratch);
    scratch->piece_limit -= keep_pieces;
    scratch->byte_limit -= keep_bytes;
    scratch->piece_count = 0;
    scratch->used = 0;
    scratch->raw_count = 0;
}

unsigned char *pst_batch_add(struct pst_py_scratch *scratch, uint64_t address, size_t len)
{
    size_t padded = (len + 7) & ~(size_t)7;

    if (scratch->piece_count >= scratch->piece_limit ||
        padded > scratch->byte_limit - scratch->used)
        return NULL;
    unsigned char *dst = scratch->bytes + scratch->used;
    scratch->pieces[scratch->piece_count++] = (struct pst_piece){address, dst, len};
    scratch->used += padded;
    return dst;
}
