/* Whose a sample is and when it began: the labels that windows put on samples. */
#ifndef PST_RENDER_OWNER_H
#define PST_RENDER_OWNER_H

#include "profile/profile.h"

struct pst_owner {
    int64_t pid, tid;    /* 0: the sample does not say */
    struct pst_str name; /* of the thread, a view into the profile; may be empty */
    int64_t start_ns;    /* when its weight began, on a clock of its own; INT64_MAX: not known */
};

struct pst_owner pst_owner_of(const struct pst_profile *profile, uint32_t sample);

#endif
