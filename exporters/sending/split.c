/* From the stored form to pieces that a backend takes. What was delivered of an item is remembered
 * with it, so that a retry goes on behind it. */
#include <errno.h>

#include "base/cleanup.h"
#include "profile/pprof.h"
#include "sending/sending.h"

struct wanted {
    const char *const *names;
    size_t count;
};

static bool keep_label(void *context, struct pst_str key)
{
    const struct wanted *wanted = context;
    for (size_t i = 0; i < wanted->count; i++) {
        if (pst_str_eq(pst_str(wanted->names[i]), key))
            return true;
    }
    return false;
}

static void free_profile(struct pst_profile **profile)
{
    pst_profile_free(*profile);
}

/* The item's profile with no other sample labels than those that are sent. */
static int stripped(const struct pst_sending *sending, const struct pst_item *item,
                    const struct pst_sending_limits *limits, struct pst_profile **ret)
{
    pst_auto(free_profile) struct pst_profile *whole = NULL;
    int r = pst_pprof_decode(item->body, item->body_bytes, &whole);
    if (r < 0)
        return r;
    pst_auto(free_profile) struct pst_profile *kept = pst_profile_new(pst_profile_meta(whole).mode);
    if (!kept)
        return -ENOMEM;
    pst_profile_set_max_bytes(kept, SIZE_MAX);
    struct wanted wanted = {limits->default_labels, limits->default_label_count};
    if (sending->settings->sample_labels_set) {
        wanted.names = (const char *const *)sending->settings->sample_labels.items;
        wanted.count = sending->settings->sample_labels.count;
    }
    r = pst_profile_merge(kept, whole, keep_label, &wanted);
    if (r < 0)
        return r;
    *ret = PST_STEAL(kept);
    return 0;
}

/* The piece that starts at first: as many samples as the limits allow, at least one. */
static int next_piece(const struct pst_profile *profile, uint32_t first, uint32_t most,
                      const struct pst_sending_limits *limits, struct pst_profile **ret_piece,
                      uint32_t *ret_last)
{
    uint32_t count = pst_profile_sample_count(profile) - first;
    if (limits->max_samples && count > limits->max_samples)
        count = limits->max_samples;
    if (count > most)
        count = most;
    for (;;) {
        struct pst_profile *piece = NULL;
        int r = pst_profile_slice(profile, first, first + count, &piece);
        if (r < 0)
            return r;
        if (count <= 1 || pst_pprof_raw_size(piece) <= limits->max_raw_bytes) {
            *ret_piece = piece;
            *ret_last = first + count;
            return 0;
        }
        pst_profile_free(piece);
        count /= 2;
    }
}

static struct pst_export_verdict from_errno(int error)
{
    if (error == -ENOMEM)
        return pst_sending_retry(0, "no_memory", "out of memory");
    return pst_sending_rejected("malformed", "the stored profile cannot be read (%d)", -error);
}

static struct pst_export_verdict send_pieces(struct pst_sending *sending,
                                             const struct pst_item *item,
                                             const struct pst_profile *profile,
                                             const struct pst_sending_limits *limits,
                                             pst_sending_piece piece_fn, void *context)
{
    uint32_t count = pst_profile_sample_count(profile);
    uint32_t most = UINT32_MAX;
    bool halved = false;
    uint32_t *done = &sending->progress->samples_done;
    while (*done < count) {
        pst_auto(free_profile) struct pst_profile *piece = NULL;
        uint32_t first = *done, last = 0;
        int r = next_piece(profile, first, most, limits, &piece, &last);
        if (r < 0)
            return from_errno(r);
        struct pst_export_verdict verdict = piece_fn(context, item, piece);
        if (verdict.reason == pst_sending_too_large && !halved && last - first > 1) {
            halved = true;
            most = (last - first + 1) / 2;
            continue;
        }
        if (verdict.word != PST_EXPORT_DELIVERED)
            return verdict;
        *done = last;
    }
    return pst_sending_delivered();
}

struct pst_export_verdict pst_sending_item(struct pst_sending *sending, const struct pst_item *item,
                                           struct pst_export_progress *progress,
                                           const struct pst_sending_limits *limits,
                                           pst_sending_piece piece, void *context)
{
    pst_auto(free_profile) struct pst_profile *profile = NULL;
    int r = stripped(sending, item, limits, &profile);
    if (r < 0)
        return from_errno(r);
    sending->progress = progress;
    struct pst_export_verdict verdict = send_pieces(sending, item, profile, limits, piece, context);
    sending->progress = NULL;
    return verdict;
}
