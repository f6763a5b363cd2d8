/* Compression of one request. */
#ifndef PST_OTLP_COMPRESS_H
#define PST_OTLP_COMPRESS_H

#include "base/buf.h"

/* name: "gzip" or "zstd". Appends. 0, -ENOMEM, -EFBIG. */
int pst_otlp_compress(const char *name, struct pst_str data, struct pst_buf *out);

#endif
