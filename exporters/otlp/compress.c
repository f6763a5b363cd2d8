/* gzip and zstd of a whole request, at a level that spares the agent's CPU. */
#include "compress.h"

#include <errno.h>
#include <zlib.h>
#include <zstd.h>

#define GZIP_LEVEL 3
#define ZSTD_LEVEL 1

static int compress_gzip(struct pst_str data, struct pst_buf *out)
{
    z_stream stream = {0};
    if (deflateInit2(&stream, GZIP_LEVEL, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return -ENOMEM;
    size_t bound = deflateBound(&stream, data.len);
    int r = pst_buf_reserve(out, bound);
    if (r == 0) {
        stream.next_in = (Bytef *)(uintptr_t)data.ptr;
        stream.avail_in = (uInt)data.len;
        stream.next_out = (Bytef *)out->data + out->len;
        stream.avail_out = (uInt)bound;
        r = deflate(&stream, Z_FINISH) == Z_STREAM_END ? 0 : -EIO;
    }
    if (r == 0)
        out->len += stream.total_out;
    (void)deflateEnd(&stream);
    return r;
}

static int compress_zstd(struct pst_str data, struct pst_buf *out)
{
    size_t bound = ZSTD_compressBound(data.len);
    int r = pst_buf_reserve(out, bound);
    if (r < 0)
        return r;
    size_t n = ZSTD_compress(out->data + out->len, bound, data.ptr, data.len, ZSTD_LEVEL);
    if (ZSTD_isError(n))
        return -ENOMEM;
    out->len += n;
    return 0;
}

int pst_otlp_compress(const char *name, struct pst_str data, struct pst_buf *out)
{
    if (data.len > INT32_MAX)
        return -EFBIG;
    return strcmp(name, "zstd") == 0 ? compress_zstd(data, out) : compress_gzip(data, out);
}
