/* Speedscope's own format: the sum of all threads first, then one sampled profile per thread in
 * nanoseconds, all on one time line where the samples say when they began. */
#ifndef PST_RENDER_SPEEDSCOPE_H
#define PST_RENDER_SPEEDSCOPE_H

#include "base/buf.h"
#include "profile/profile.h"

/* The name of the profile that sums up the others: readers of several must leave it out. */
#define PST_SPEEDSCOPE_ALL "all threads"

/* 0, -ENOMEM, -EFBIG. */
int pst_speedscope_write(const struct pst_profile *profile, const char *title, struct pst_buf *out);

#endif
