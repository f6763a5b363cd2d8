/* Profiles out of files of any format that we read: pprof, folded text, speedscope. Files come from
 * anywhere; everything is bounded by PST_MAX_PPROF_*. */
#ifndef PST_RENDER_READ_H
#define PST_RENDER_READ_H

#include "profile/profile.h"

/* What formats without such words mean. */
struct pst_read_options {
    enum pst_mode mode;  /* of folded and speedscope files */
    int64_t period_ns;   /* time of one folded sample */
    bool folded_is_time; /* folded numbers are microseconds instead */
};

/* Told apart by their first bytes. 0, -ENOMEM, -EBADMSG when it is none of them or broken, -EFBIG
 * past a bound. */
int pst_read(struct pst_str file, const struct pst_read_options *options, struct pst_profile **ret);

#endif
