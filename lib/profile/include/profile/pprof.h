/* pprof on the wire (perftools.profiles, proto/profile.proto of google/pprof): ids 1..N in table
 * order, string_table[0] empty, valid UTF-8, gzip. */
#ifndef PST_PROFILE_PPROF_H
#define PST_PROFILE_PPROF_H

#include "base/buf.h"
#include "profile/profile.h"

/* Appends the gzip'ed (or raw) encoding. 0, -ENOMEM, -EFBIG. */
int pst_pprof_encode(const struct pst_profile *profile, bool gzip, struct pst_buf *out);
/* gzip or raw, sniffed by magic; bounded by PST_MAX_PPROF_*. -EBADMSG for anything malformed,
 * -EFBIG past a bound. Accepts any two-value or one-value profile whose last type is
 * (cpu|wall|gil, nanoseconds). */
int pst_pprof_decode(const void *data, size_t len, struct pst_profile **ret);
/* Size of the raw encoding, for backends that limit it. */
size_t pst_pprof_raw_size(const struct pst_profile *profile);

#endif
