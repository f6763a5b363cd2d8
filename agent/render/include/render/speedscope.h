/* Speedscope's own format: one sampled profile per thread, one entry per sample, all on one time
 * line where the samples say when they began. */
#ifndef PST_RENDER_SPEEDSCOPE_H
#define PST_RENDER_SPEEDSCOPE_H

#include "render/format.h"

/* The name of the profile that sums up the others: readers of several must leave it out. */
#define PST_SPEEDSCOPE_ALL "all threads"

/* Of the options: title, frame_flags but for short file names, threads (a root frame for each) and
 * apart. 0, -ENOMEM, -EFBIG. */
int pst_speedscope_write(const struct pst_profile *profile,
                         const struct pst_render_options *options, struct pst_buf *out);

#endif
