/* Profiles out of profiles: merging, dropping labels, slicing. Tables are carried over lazily, so
 * that a result holds only what its samples use. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "profile/profile.h"

#define UNSET UINT32_MAX

/* Ids of the source to ids of the destination. */
struct carry {
    struct pst_profile *into;
    const struct pst_profile *source;
    uint32_t *strings, *functions, *locations;
    bool (*keep_label)(void *context, struct pst_str key);
    void *context;
    uint32_t stack[PST_MAX_FRAMES_WALKED];
};

static uint32_t *unset_table(uint32_t count)
{
    uint32_t *table = malloc(((size_t)count + 1) * sizeof(*table));

    if (table)
        memset(table, 0xff, ((size_t)count + 1) * sizeof(*table));
    return table;
}

static struct carry *carry_free(struct carry *carry)
{
    if (carry) {
        free(carry->strings);
        free(carry->functions);
        free(carry->locations);
    }
    free(carry);
    return NULL;
}

static struct carry *carry_new(struct pst_profile *into, const struct pst_profile *source)
{
    struct carry *carry = calloc(1, sizeof(*carry));

    if (!carry)
        return NULL;
    carry->into = into;
    carry->source = source;
    carry->strings = unset_table(pst_profile_string_count(source));
    carry->functions = unset_table(pst_profile_function_count(source));
    carry->locations = unset_table(pst_profile_location_count(source));
    if (!carry->strings || !carry->functions || !carry->locations)
        return carry_free(carry);
    return carry;
}

static int carry_string(struct carry *carry, uint32_t id, uint32_t *ret_id)
{
    uint32_t *known = &carry->strings[id];
    int rc = 0;

    if (*known == UNSET)
        rc = pst_profile_string(carry->into, pst_profile_text(carry->source, id), known);
    *ret_id = *known;
    return rc;
}

static int carry_function(struct carry *carry, uint32_t id, uint32_t *ret_id)
{
    const struct pst_function *from = pst_profile_function_at(carry->source, id);
    struct pst_function function = {.start_line = from->start_line};
    uint32_t *known = &carry->functions[id];
    int rc = 0;

    if (*known == UNSET) {
        rc = carry_string(carry, from->name, &function.name);
        if (rc == 0)
            rc = carry_string(carry, from->system_name, &function.system_name);
        if (rc == 0)
            rc = carry_string(carry, from->filename, &function.filename);
        if (rc == 0)
            rc = pst_profile_function(carry->into, &function, known);
    }
    *ret_id = *known;
    return rc;
}

static int carry_location(struct carry *carry, uint32_t id, uint32_t *ret_id)
{
    uint32_t *known = &carry->locations[id];
    int rc = 0;

    if (*known == UNSET) {
        uint32_t function;
        int64_t line;

        pst_profile_location_at(carry->source, id, &function, &line);
        struct pst_origin origin;

        pst_profile_location_origin(carry->source, id, &origin);
        rc = carry_function(carry, function, &function);
        if (rc == 0 && origin.binary)
            rc = carry_string(carry, origin.binary, &origin.binary);
        if (rc == 0 && origin.build_id)
            rc = carry_string(carry, origin.build_id, &origin.build_id);
        if (rc == 0)
            rc = pst_profile_native_location(carry->into, function, line, &origin, known);
    }
    *ret_id = *known;
    return rc;
}

static int carry_labels(struct carry *carry, const struct pst_profile_sample *sample,
                        struct pst_label *dst, size_t *ret_count)
{
    size_t kept = 0;

    for (size_t i = 0; i < sample->label_count; i++) {
        const struct pst_label *from = &sample->labels[i];
        struct pst_label *to = &dst[kept];
        int rc;

        if (carry->keep_label &&
            !carry->keep_label(carry->context, pst_profile_text(carry->source, from->key)))
            continue;
        memset(to, 0, sizeof(*to));
        to->numeric = from->numeric;
        to->num = from->num;
        rc = carry_string(carry, from->key, &to->key);
        if (rc == 0)
            rc = from->numeric ? carry_string(carry, from->unit, &to->unit)
                               : carry_string(carry, from->str, &to->str);
        if (rc < 0)
            return rc;
        kept++;
    }
    *ret_count = kept;
    return 0;
}

static int carry_sample(struct carry *carry, uint32_t index)
{
    struct pst_label labels[PST_MAX_SAMPLE_LABELS];
    struct pst_profile_sample sample;
    size_t label_count;
    int rc;

    pst_profile_sample(carry->source, index, &sample);
    for (size_t i = 0; i < sample.depth; i++)
        if ((rc = carry_location(carry, sample.locations[i], &carry->stack[i])) < 0)
            return rc;
    rc = carry_labels(carry, &sample, labels, &label_count);
    if (rc < 0)
        return rc;
    return pst_profile_add(carry->into, carry->stack, sample.depth, labels, label_count,
                           sample.samples, sample.value_ns);
}

/* Said twice tells no more than said once. */
static bool has_comment(const struct pst_profile *profile, struct pst_str text)
{
    for (uint32_t i = 0; i < pst_profile_comment_count(profile); i++)
        if (pst_str_eq(pst_profile_comment(profile, i), text))
            return true;
    return false;
}

static int carry_comments(struct pst_profile *into, const struct pst_profile *source)
{
    for (uint32_t i = 0; i < pst_profile_comment_count(source); i++) {
        struct pst_str text = pst_profile_comment(source, i);
        int rc = has_comment(into, text) ? 0 : pst_profile_add_comment(into, text);

        if (rc == -ENOSPC)
            return 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int64_t end_of(const struct pst_profile_meta *meta)
{
    int64_t end;

    return __builtin_add_overflow(meta->time_ns, meta->duration_ns, &end) ? INT64_MAX : end;
}

static void carry_meta(struct pst_profile *into, const struct pst_profile *source)
{
    struct pst_profile_meta a = pst_profile_meta(into), b = pst_profile_meta(source);
    int64_t end = end_of(&a) > end_of(&b) ? end_of(&a) : end_of(&b);
    bool fresh = a.time_ns == 0 && a.duration_ns == 0;

    if (fresh) {
        b.period_ns = a.period_ns ? a.period_ns : b.period_ns;
        pst_profile_set_meta(into, &b);
        return;
    }
    if (b.time_ns == 0 && b.duration_ns == 0)
        return;
    if (b.time_ns < a.time_ns)
        a.time_ns = b.time_ns;
    if (__builtin_sub_overflow(end, a.time_ns, &a.duration_ns))
        a.duration_ns = INT64_MAX;
    a.period_ns = a.period_ns ? a.period_ns : b.period_ns;
    pst_profile_set_meta(into, &a);
}

static int carry_range(struct carry *carry, uint32_t first, uint32_t last)
{
    for (uint32_t i = first; i < last; i++) {
        int rc = carry_sample(carry, i);

        if (rc < 0)
            return rc;
    }
    return carry_comments(carry->into, carry->source);
}

int pst_profile_merge(struct pst_profile *into, const struct pst_profile *source,
                      bool (*keep_label)(void *context, struct pst_str key), void *context)
{
    struct carry *carry;
    int rc;

    if (into == source || pst_profile_meta(into).mode != pst_profile_meta(source).mode)
        return -EINVAL;
    carry = carry_new(into, source);
    if (!carry)
        return -ENOMEM;
    carry->keep_label = keep_label;
    carry->context = context;
    rc = carry_range(carry, 0, pst_profile_sample_count(source));
    if (rc == 0)
        carry_meta(into, source);
    carry_free(carry);
    return rc;
}

int pst_profile_slice(const struct pst_profile *profile, uint32_t first, uint32_t last,
                      struct pst_profile **ret)
{
    struct pst_profile_meta meta = pst_profile_meta(profile);
    struct pst_profile *slice;
    struct carry *carry;
    int rc = -ENOMEM;

    if (first > last || last > pst_profile_sample_count(profile))
        return -EINVAL;
    slice = pst_profile_new(meta.mode);
    carry = slice ? carry_new(slice, profile) : NULL;
    if (carry) {
        pst_profile_set_max_bytes(slice, SIZE_MAX);
        pst_profile_set_meta(slice, &meta);
        rc = carry_range(carry, first, last);
    }
    carry_free(carry);
    if (rc < 0)
        pst_profile_free(slice);
    else
        *ret = slice;
    return rc;
}

static int pick(struct carry *carry, bool (*wanted)(void *context, uint32_t index), void *context)
{
    int rc = 0;

    for (uint32_t i = 0; i < pst_profile_sample_count(carry->source) && rc == 0; i++)
        if (wanted(context, i))
            rc = carry_sample(carry, i);
    return rc < 0 ? rc : carry_comments(carry->into, carry->source);
}

int pst_profile_pick(const struct pst_profile *profile,
                     bool (*wanted)(void *context, uint32_t index), void *context,
                     struct pst_profile **ret)
{
    struct pst_profile_meta meta = pst_profile_meta(profile);
    struct pst_profile *picked = pst_profile_new(meta.mode);
    struct carry *carry = picked ? carry_new(picked, profile) : NULL;
    int rc = -ENOMEM;

    if (carry) {
        pst_profile_set_max_bytes(picked, SIZE_MAX);
        pst_profile_set_meta(picked, &meta);
        rc = pick(carry, wanted, context);
    }
    carry_free(carry);
    if (rc < 0)
        pst_profile_free(picked);
    else
        *ret = picked;
    return rc;
}
