/* Where an encoding goes: counted only, raw, or through gzip, in small pieces. The first failure
 * sticks, so that a writer may check once at its end. */
#ifndef PST_PROFILE_SINK_H
#define PST_PROFILE_SINK_H

#include <zlib.h>

#include "base/buf.h"

enum { PST_SINK_STAGE_BYTES = 16384 };

struct pst_sink {
    struct pst_buf *out; /* NULL: only counts */
    bool gzip;
    z_stream zlib;
    size_t start;     /* of our bytes in out */
    size_t raw_bytes; /* written so far */
    size_t max_raw_bytes;
    int error;
    size_t staged;
    uint8_t stage[PST_SINK_STAGE_BYTES]; /* deflate dislikes tiny inputs */
};

/* out NULL only counts. 0 or -ENOMEM. The gzip header carries no time: equal input, equal bytes. */
int pst_sink_init(struct pst_sink *sink, struct pst_buf *out, bool gzip, size_t max_raw_bytes);
void pst_sink_write(struct pst_sink *sink, const void *data, size_t len);
/* Flushes and releases. 0, -ENOMEM, -EFBIG; on failure out is as it was before init. */
int pst_sink_finish(struct pst_sink *sink);

#endif
