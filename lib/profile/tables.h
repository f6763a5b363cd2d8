/* What the files of this folder know about a profile beyond its public face: the string ids that
 * every profile has from the start. */
#ifndef PST_PROFILE_TABLES_H
#define PST_PROFILE_TABLES_H

#include "profile/profile.h"

enum pst_fixed_string {
    PST_STRING_EMPTY,
    PST_STRING_SAMPLES,
    PST_STRING_COUNT,
    PST_STRING_MODE,
    PST_STRING_NANOSECONDS,
};

uint32_t pst_profile_comment_string(const struct pst_profile *profile, uint32_t index);

#endif
