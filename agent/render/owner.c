/* Reads the labels pid, thread_id, thread_name and start. */
#include "render/owner.h"

struct pst_owner pst_owner_of(const struct pst_profile *profile, uint32_t sample)
{
    struct pst_owner owner = {.name = PST_STR(""), .start_ns = INT64_MAX};
    struct pst_profile_sample one;

    pst_profile_sample(profile, sample, &one);
    for (size_t i = 0; i < one.label_count; i++) {
        const struct pst_label *label = &one.labels[i];
        struct pst_str key = pst_profile_text(profile, label->key);

        if (label->numeric && pst_str_eq(key, PST_STR("pid")))
            owner.pid = label->num;
        else if (label->numeric && pst_str_eq(key, PST_STR("thread_id")))
            owner.tid = label->num;
        else if (label->numeric && pst_str_eq(key, PST_STR("start")))
            owner.start_ns = label->num;
        else if (!label->numeric && pst_str_eq(key, PST_STR("thread_name")))
            owner.name = pst_profile_text(profile, label->str);
    }
    return owner;
}
