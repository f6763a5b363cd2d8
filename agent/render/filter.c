/* Judges threads by name and locations by pattern, each once per profile. */
#include "render/filter.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "render/frame.h"
#include "render/owner.h"

/* Patterns are the caller's, the texts a target's: a pair that backtracks for ever is given up. */
enum { MATCH_STEPS = 100000, MATCH_HEAP_KIB = 1024 };

struct patterns {
    pcre2_code *codes[PST_MAX_OPTION_VALUES];
    size_t count;
};

struct pst_filter {
    struct pst_filter_options options;
    struct patterns include, exclude;
    pcre2_match_context *context;
};

/* What the locations of one profile answered. */
struct judgement {
    const struct pst_filter *filter;
    const struct pst_profile *profile;
    bool *included, *excluded; /* by location */
};

static int compile(const char *option, const char *const *texts, size_t count, struct patterns *ret,
                   struct pst_error *error)
{
    for (size_t i = 0; i < count && i < PST_MAX_OPTION_VALUES; i++) {
        PCRE2_UCHAR why[160];
        PCRE2_SIZE at;
        int code;

        ret->codes[i] = pcre2_compile((PCRE2_SPTR)texts[i], PCRE2_ZERO_TERMINATED,
                                      PCRE2_UTF | PCRE2_MATCH_INVALID_UTF, &code, &at, NULL);
        if (!ret->codes[i]) {
            (void)pcre2_get_error_message(code, why, sizeof(why));
            return pst_error_set(error, PST_EXIT_USAGE, option, NULL,
                                 "%.60s is not a pattern: %s at its character %zu", texts[i],
                                 (char *)why, at + 1);
        }
        ret->count++;
    }
    return 0;
}

int pst_filter_new(const struct pst_filter_options *options, struct pst_filter **ret,
                   struct pst_error *error)
{
    struct pst_filter *filter;
    int rc;

    *ret = NULL;
    if (options->thread_count + options->include_count + options->exclude_count == 0)
        return 0;
    filter = calloc(1, sizeof(*filter));
    if (!filter)
        return -ENOMEM;
    filter->options = *options;
    filter->context = pcre2_match_context_create(NULL);
    rc = filter->context ? 0 : -ENOMEM;
    if (rc == 0) {
        (void)pcre2_set_match_limit(filter->context, MATCH_STEPS);
        (void)pcre2_set_heap_limit(filter->context, MATCH_HEAP_KIB);
        rc =
            compile("--include", options->include, options->include_count, &filter->include, error);
    }
    if (rc == 0)
        rc =
            compile("--exclude", options->exclude, options->exclude_count, &filter->exclude, error);
    *ret = rc == 0 ? filter : pst_filter_free(filter);
    return rc;
}

struct pst_filter *pst_filter_free(struct pst_filter *filter)
{
    if (!filter)
        return NULL;
    for (size_t i = 0; i < filter->include.count; i++)
        pcre2_code_free(filter->include.codes[i]);
    for (size_t i = 0; i < filter->exclude.count; i++)
        pcre2_code_free(filter->exclude.codes[i]);
    pcre2_match_context_free(filter->context);
    free(filter);
    return NULL;
}

static bool any_matches(const struct pst_filter *filter, const struct patterns *patterns,
                        struct pst_str text, pcre2_match_data *found)
{
    for (size_t i = 0; i < patterns->count; i++)
        if (pcre2_match(patterns->codes[i], (PCRE2_SPTR)text.ptr, text.len, 0, 0, found,
                        filter->context) >= 0)
            return true;
    return false;
}

static int judge_locations(struct judgement *judgement)
{
    const struct pst_filter *filter = judgement->filter;
    pcre2_match_data *found = pcre2_match_data_create(1, NULL);
    struct pst_buf label;
    int rc = found ? 0 : -ENOMEM;

    pst_buf_init(&label, 4 * PST_MAX_STRING_BYTES);
    for (uint32_t i = 0; i < pst_profile_location_count(judgement->profile) && rc == 0; i++) {
        pst_buf_reset(&label);
        rc = pst_frame_label(judgement->profile, i, PST_FRAME_FULL_FILES | PST_FRAME_NO_LINES, NULL,
                             &label);
        rc = rc == -EFBIG ? 0 : rc;
        judgement->included[i] = any_matches(filter, &filter->include, pst_buf_view(&label), found);
        judgement->excluded[i] = any_matches(filter, &filter->exclude, pst_buf_view(&label), found);
    }
    pst_buf_done(&label);
    pcre2_match_data_free(found);
    return rc;
}

static bool of_thread(const struct judgement *judgement, uint32_t sample)
{
    const struct pst_filter_options *options = &judgement->filter->options;
    struct pst_owner owner = pst_owner_of(judgement->profile, sample);
    pst_autofree char *name = pst_str_dup(owner.name);

    for (size_t i = 0; name && i < options->thread_count; i++)
        if (fnmatch(options->threads[i], name, 0) == 0)
            return true;
    return options->thread_count == 0;
}

static bool is_wanted(void *context, uint32_t index)
{
    const struct judgement *judgement = context;
    bool included = judgement->filter->include.count == 0;
    struct pst_profile_sample sample;

    pst_profile_sample(judgement->profile, index, &sample);
    for (size_t i = 0; i < sample.depth; i++) {
        if (judgement->excluded[sample.locations[i]])
            return false;
        included = included || judgement->included[sample.locations[i]];
    }
    return included && of_thread(judgement, index);
}

int pst_filter_apply(const struct pst_filter *filter, const struct pst_profile *profile,
                     struct pst_profile **ret)
{
    size_t count = (size_t)pst_profile_location_count(profile) + 1;
    pst_autofree bool *included = calloc(count, sizeof(*included));
    pst_autofree bool *excluded = calloc(count, sizeof(*excluded));
    struct judgement judgement = {filter, profile, included, excluded};
    int rc = included && excluded ? judge_locations(&judgement) : -ENOMEM;

    return rc < 0 ? rc : pst_profile_pick(profile, is_wanted, &judgement, ret);
}
