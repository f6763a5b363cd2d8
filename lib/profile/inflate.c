/* Gunzip that stops at the buffer's bound, however small the input was. */
#include "inflate.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

enum { GZIP_WINDOW_BITS = 15 + 16, STEP_BYTES = 65536 };

bool pst_gzip_sniff(struct pst_str data)
{
    return data.len >= 2 && (uint8_t)data.ptr[0] == 0x1f && (uint8_t)data.ptr[1] == 0x8b;
}

/* zlib's memory comes from the same door as ours, where tests make it fail. */
static void *zlib_alloc(void *opaque, unsigned count, unsigned size)
{
    (void)opaque;
    return calloc(count, size);
}

static void zlib_free(void *opaque, void *memory)
{
    (void)opaque;
    free(memory);
}

/* One inflate call into whatever room there is; at the bound one byte on the side tells whether
 * more would come. */
static int inflate_some(z_stream *z, struct pst_buf *out)
{
    size_t room = out->max - out->len;
    Bytef beyond;
    int state, rc;

    if (room > STEP_BYTES)
        room = STEP_BYTES;
    rc = pst_buf_reserve(out, room);
    if (rc < 0)
        return rc;
    z->next_out = room ? (Bytef *)out->data + out->len : &beyond;
    z->avail_out = room ? (uInt)room : 1;
    state = inflate(z, Z_NO_FLUSH);
    if (!room && z->avail_out == 0)
        return -EFBIG;
    if (room)
        out->len += room - z->avail_out;
    if (state == Z_STREAM_END)
        return 1;
    if (state == Z_MEM_ERROR)
        return -ENOMEM;
    /* Z_BUF_ERROR is no progress although there was room: the input is cut off. */
    return state == Z_OK ? 0 : -EBADMSG;
}

int pst_gunzip(struct pst_str data, struct pst_buf *out)
{
    z_stream z = {.zalloc = zlib_alloc,
                  .zfree = zlib_free,
                  .next_in = (Bytef *)(uintptr_t)data.ptr,
                  .avail_in = (uInt)data.len};
    int rc = 0;

    if (data.len > INT_MAX)
        return -EFBIG;
    if (inflateInit2(&z, GZIP_WINDOW_BITS) != Z_OK)
        return -ENOMEM;
    while (rc == 0) {
        rc = inflate_some(&z, out);
        if (rc == 1 && z.avail_in > 0)
            rc = inflateReset(&z) == Z_OK ? 0 : -EBADMSG;
    }
    (void)inflateEnd(&z);
    if (out->data)
        out->data[out->len] = 0;
    return rc < 0 ? rc : 0;
}
