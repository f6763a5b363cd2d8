/* Samples by thread: what formats with one track per thread walk over. */
#ifndef PST_RENDER_GROUPS_H
#define PST_RENDER_GROUPS_H

#include "profile/profile.h"

struct pst_group {
    int64_t pid, tid;    /* 0: the samples do not say */
    struct pst_str name; /* of the thread; may be empty */
    uint32_t *samples; /* indices into the profile: by time as far as known, then by stack from the
                        * root */
    size_t count;
    int64_t value_ns, weight_samples;
};

struct pst_groups {
    struct pst_group *items; /* by pid, tid, name */
    size_t count;
    uint32_t *order;  /* backs the items' samples */
    int64_t begin_ns; /* the earliest known start of a sample; INT64_MAX: none is known */
    int64_t slack_ns; /* two samples that lie no further apart touch */
};

/* Where the sample begins on the time line of all groups, when the one before it on its thread
 * ended at at_ns. */
int64_t pst_groups_start(const struct pst_groups *groups, const struct pst_profile *profile,
                         uint32_t sample, int64_t at_ns);

/* 0 or -ENOMEM. The profile must outlive the groups. */
int pst_groups_new(const struct pst_profile *profile, struct pst_groups **ret);
struct pst_groups *pst_groups_free(struct pst_groups *groups);

#endif
