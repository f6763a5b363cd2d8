/* The stored form of a profile: immutable, counted references, hash of its body. */
#include "profile/item.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/limits.h"
#include "profile/pprof.h"

struct counted_item {
    struct pst_item item; /* first: what callers hold */
    atomic_uint references;
};

/* Owns labels and body from here on; they are freed when it fails. */
static int make(struct pst_labels *labels, const struct pst_profile_meta *meta, int64_t samples,
                int64_t value_ns, char *body, size_t body_bytes, struct pst_item **ret)
{
    struct counted_item *counted = NULL;
    int rc = -ENOMEM;

    if (labels && body)
        counted = calloc(1, sizeof(*counted));
    if (counted)
        rc = EVP_Digest(body, body_bytes, counted->item.sha256, NULL, EVP_sha256(), NULL) == 1
                 ? 0
                 : -EIO;
    if (rc < 0) {
        free(counted);
        free(body);
        pst_labels_free(labels);
        return rc;
    }
    atomic_init(&counted->references, 1);
    counted->item.labels = labels;
    counted->item.mode = meta->mode;
    counted->item.time_ns = meta->time_ns;
    counted->item.duration_ns = meta->duration_ns;
    counted->item.samples = samples;
    counted->item.value_ns = value_ns;
    counted->item.body = body;
    counted->item.body_bytes = body_bytes;
    *ret = &counted->item;
    return 0;
}

int pst_item_new(const struct pst_labels *labels, const struct pst_profile *profile,
                 struct pst_item **ret)
{
    struct pst_profile_meta meta = pst_profile_meta(profile);
    struct pst_buf body;
    int64_t samples, value_ns;
    char *bytes;
    size_t len;
    int rc;

    pst_buf_init(&body, PST_MAX_PPROF_BYTES);
    rc = pst_pprof_encode(profile, true, &body);
    if (rc < 0) {
        pst_buf_done(&body);
        return rc;
    }
    pst_profile_total(profile, &samples, &value_ns);
    bytes = pst_buf_steal(&body, &len);
    return make(pst_labels_copy(labels), &meta, samples, value_ns, bytes, len, ret);
}

int pst_item_from_body(const struct pst_labels *labels, const struct pst_profile_meta *meta,
                       int64_t samples, int64_t value_ns, const void *body, size_t body_bytes,
                       struct pst_item **ret)
{
    char *copy = pst_str_dup((struct pst_str){body, body_bytes});

    return make(pst_labels_copy(labels), meta, samples, value_ns, copy, body_bytes, ret);
}

struct pst_item *pst_item_ref(struct pst_item *item)
{
    struct counted_item *counted = (struct counted_item *)item;

    atomic_fetch_add_explicit(&counted->references, 1, memory_order_relaxed);
    return item;
}

struct pst_item *pst_item_unref(struct pst_item *item)
{
    struct counted_item *counted = (struct counted_item *)item;

    if (!item || atomic_fetch_sub_explicit(&counted->references, 1, memory_order_acq_rel) > 1)
        return NULL;
    pst_labels_free(item->labels);
    free((char *)(uintptr_t)item->body);
    free(counted);
    return NULL;
}
