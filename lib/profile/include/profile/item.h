/* The one stored form: gzip pprof plus a header. Store, queue and exporters share it by reference;
 * it never changes after it was made. Thread-safe. */
#ifndef PST_PROFILE_ITEM_H
#define PST_PROFILE_ITEM_H

#include "profile/labels.h"
#include "profile/profile.h"

struct pst_item {
    struct pst_labels *labels; /* series labels; never in the body */
    enum pst_mode mode;
    int64_t time_ns, duration_ns; /* realtime start, monotonic length */
    int64_t samples;              /* sum of the sample counts */
    int64_t value_ns;
    const char *body; /* gzip pprof */
    size_t body_bytes;
    unsigned char sha256[32]; /* of the body */
};

/* Encodes the profile; labels are copied. -ENOMEM, -EFBIG. Reference count 1. */
int pst_item_new(const struct pst_labels *labels, const struct pst_profile *profile,
                 struct pst_item **ret);
/* From stored parts; the hash is computed. */
int pst_item_from_body(const struct pst_labels *labels, const struct pst_profile_meta *meta,
                       int64_t samples, int64_t value_ns, const void *body, size_t body_bytes,
                       struct pst_item **ret);
struct pst_item *pst_item_ref(struct pst_item *item);
struct pst_item *pst_item_unref(struct pst_item *item);

#endif
