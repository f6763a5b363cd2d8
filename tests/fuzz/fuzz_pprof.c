/* fuzz: profile base */
/* pprof from anywhere: whatever decodes must encode, and what was encoded once must come back as
 * the same bytes; merging and slicing it must hold together. */
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "profile/pprof.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static struct pst_buf encoded(const struct pst_profile *profile)
{
    struct pst_buf out;

    pst_buf_init(&out, PST_MAX_PPROF_BYTES);
    must(pst_pprof_encode(profile, false, &out) == 0);
    must(pst_pprof_raw_size(profile) == out.len);
    return out;
}

static void check_round_trip(const struct pst_profile *profile)
{
    struct pst_buf first = encoded(profile), second;
    struct pst_profile *back = NULL;

    must(pst_pprof_decode(first.data, first.len, &back) == 0);
    second = encoded(back);
    must(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
    pst_profile_free(back);
    pst_buf_done(&first);
    pst_buf_done(&second);
}

static void check_parts(const struct pst_profile *profile)
{
    uint32_t count = pst_profile_sample_count(profile);
    struct pst_profile *sum = pst_profile_new(pst_profile_meta(profile).mode), *part = NULL;
    int64_t samples, value_ns, sum_samples, sum_ns;

    must(sum && pst_profile_slice(profile, 0, count / 2, &part) == 0);
    must(pst_profile_merge(sum, part, NULL, NULL) == 0);
    pst_profile_free(part);
    must(pst_profile_slice(profile, count / 2, count, &part) == 0);
    must(pst_profile_merge(sum, part, NULL, NULL) == 0);
    pst_profile_free(part);
    pst_profile_total(profile, &samples, &value_ns);
    pst_profile_total(sum, &sum_samples, &sum_ns);
    must(samples == sum_samples && value_ns == sum_ns);
    must(pst_profile_sample_count(sum) == count);
    pst_profile_free(sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pst_profile *profile = NULL;

    if (pst_pprof_decode(data, size, &profile) < 0)
        return 0;
    check_round_trip(profile);
    check_parts(profile);
    pst_profile_free(profile);
    return 0;
}
