/* The tables of a profile against the naive model: adding, merging, dropping labels, slicing. */
#include <errno.h>
#include <stdio.h>

#include "base/limits.h"
#include "naive_model.h"

static bool keep_k1(void *context, struct pst_str key)
{
    (void)context;
    return pst_str_eq(key, PST_STR("k1"));
}

static bool keep_none(void *context, struct pst_str key)
{
    (void)context;
    (void)key;
    return false;
}

static void test_equal_stacks_and_labels_merge(void **state)
{
    struct pst_profile *p = small_profile(PST_MODE_CPU);
    struct pst_profile_sample first;
    struct pst_label labels[2];
    uint32_t stack[3];
    int64_t samples, value_ns;

    pst_profile_sample(p, 0, &first);
    memcpy(stack, first.locations, sizeof(stack));
    /* The other way round: order of labels carries no meaning. */
    labels[0] = first.labels[1];
    labels[1] = first.labels[0];
    assert_int_equal(pst_profile_add(p, stack, 3, labels, 2, 5, 50), 0);
    assert_int_equal(pst_profile_sample_count(p), 3);
    pst_profile_sample(p, 0, &first);
    assert_int_equal(first.samples, 75);
    assert_int_equal(first.value_ns, 750);
    pst_profile_total(p, &samples, &value_ns);
    assert_int_equal(samples, 105);
    assert_int_equal(value_ns, 1050);
    pst_profile_free(p);
}

static void test_unknown_ids_and_negative_numbers_are_refused(void **state)
{
    struct pst_profile *p = small_profile(PST_MODE_CPU);
    uint32_t good = 0, bad = pst_profile_location_count(p), id;
    struct pst_label label = {.key = pst_profile_string_count(p), .str = 1};
    struct pst_function function = {.name = pst_profile_string_count(p)};

    assert_int_equal(pst_profile_add(p, &bad, 1, NULL, 0, 1, 1), -EINVAL);
    assert_int_equal(pst_profile_add(p, &good, 0, NULL, 0, 1, 1), -EINVAL);
    assert_int_equal(pst_profile_add(p, &good, 1, &label, 1, 1, 1), -EINVAL);
    assert_int_equal(pst_profile_add(p, &good, 1, NULL, 0, -1, 1), -EINVAL);
    assert_int_equal(pst_profile_add(p, &good, 1, NULL, 0, 1, -1), -EINVAL);
    assert_int_equal(pst_profile_function(p, &function, &id), -EINVAL);
    assert_int_equal(pst_profile_location(p, pst_profile_function_count(p), 1, &id), -EINVAL);
    assert_int_equal(pst_profile_sample_count(p), 3);
    pst_profile_free(p);
}

static void test_sums_saturate(void **state)
{
    struct pst_profile *p = small_profile(PST_MODE_CPU);
    struct pst_profile_sample sample;
    uint32_t location = 0;
    int64_t samples, value_ns;

    assert_int_equal(pst_profile_add(p, &location, 1, NULL, 0, 1, INT64_MAX), 0);
    assert_int_equal(pst_profile_add(p, &location, 1, NULL, 0, 1, INT64_MAX), 0);
    pst_profile_sample(p, 3, &sample);
    assert_int_equal(sample.value_ns, INT64_MAX);
    pst_profile_total(p, &samples, &value_ns);
    assert_int_equal(value_ns, INT64_MAX);
    pst_profile_free(p);
}

static void test_full_profile_says_so_and_stays_whole(void **state)
{
    struct pst_profile *p = pst_profile_new(PST_MODE_CPU);
    uint32_t location, extra;
    char name[32];
    int rc = 0, added = 0;

    pst_profile_set_max_bytes(p, 64 * 1024);
    assert_int_equal(pst_profile_synthetic(p, "[x]", &location), 0);
    while (rc == 0 && added < 100000) {
        (void)snprintf(name, sizeof(name), "name %d", added++);
        rc = pst_profile_synthetic(p, name, &extra);
    }
    assert_int_equal(rc, -ENOSPC);
    assert_true(pst_profile_bytes(p) < 2 * 64 * 1024);
    /* What is known already goes on working. */
    assert_int_equal(pst_profile_synthetic(p, "[x]", &extra), 0);
    assert_int_equal(extra, location);
    pst_profile_free(p);
}

static void test_long_text_is_cut_between_characters(void **state)
{
    struct pst_profile *p = pst_profile_new(PST_MODE_CPU);
    char text[PST_MAX_STRING_BYTES + 10];
    uint32_t id;

    memset(text, 'a', sizeof(text));
    memcpy(text + PST_MAX_STRING_BYTES - 2, "\xe2\x82\xac", 3);
    assert_int_equal(pst_profile_string(p, (struct pst_str){text, sizeof(text)}, &id), 0);
    assert_int_equal(pst_profile_text(p, id).len, PST_MAX_STRING_BYTES - 2);
    pst_profile_free(p);
}

static void merge_and_compare(struct pst_random *random, keep_label_fn keep)
{
    struct pst_profile *into = pst_profile_new(PST_MODE_CPU);
    struct naive expected = {0}, got = {0};

    for (int i = 0; i < 4; i++) {
        struct pst_profile *part = random_profile(random, (unsigned)pst_random_below(random, 80));

        naive_add(&expected, part, 0, pst_profile_sample_count(part), keep);
        assert_int_equal(pst_profile_merge(into, part, keep, NULL), 0);
        pst_profile_free(part);
    }
    naive_add(&got, into, 0, pst_profile_sample_count(into), NULL);
    assert_naive_equal(&expected, &got);
    naive_done(&expected);
    naive_done(&got);
    pst_profile_free(into);
}

static void test_merging_agrees_with_the_naive_model(void **state)
{
    struct pst_random random = {.state = 21};

    for (int round = 0; round < 40; round++) {
        merge_and_compare(&random, NULL);
        merge_and_compare(&random, keep_k1);
        merge_and_compare(&random, keep_none);
    }
}

static void test_slices_add_up_to_the_whole(void **state)
{
    struct pst_random random = {.state = 22};

    for (int round = 0; round < 40; round++) {
        struct pst_profile *p = random_profile(&random, 100), *sum = pst_profile_new(PST_MODE_CPU);
        uint32_t count = pst_profile_sample_count(p), first = 0;

        while (first < count) {
            uint32_t last = first + 1 + (uint32_t)pst_random_below(&random, count - first);
            struct pst_profile *slice = NULL;

            assert_int_equal(pst_profile_slice(p, first, last, &slice), 0);
            assert_int_equal(pst_profile_sample_count(slice), last - first);
            assert_true(pst_profile_string_count(slice) <= pst_profile_string_count(p));
            assert_int_equal(pst_profile_merge(sum, slice, NULL, NULL), 0);
            pst_profile_free(slice);
            first = last;
        }
        assert_same_meaning(p, sum);
        pst_profile_free(p);
        pst_profile_free(sum);
    }
}

static void test_dropped_labels_leave_no_text_behind(void **state)
{
    struct pst_profile *p = small_profile(PST_MODE_CPU), *into = pst_profile_new(PST_MODE_CPU);

    assert_int_equal(pst_profile_merge(into, p, keep_none, NULL), 0);
    assert_int_equal(pst_profile_sample_count(into), 2);
    for (uint32_t i = 0; i < pst_profile_string_count(into); i++)
        assert_false(pst_str_eq(pst_profile_text(into, i), PST_STR("worker-1")));
    pst_profile_free(p);
    pst_profile_free(into);
}

static void test_merged_time_spans_both(void **state)
{
    struct pst_profile *a = pst_profile_new(PST_MODE_CPU), *b = pst_profile_new(PST_MODE_CPU);
    struct pst_profile *into = pst_profile_new(PST_MODE_CPU),
                       *wall = pst_profile_new(PST_MODE_WALL);
    struct pst_profile_meta early = {.time_ns = 1000, .duration_ns = 50, .period_ns = 7};
    struct pst_profile_meta late = {.time_ns = 2000, .duration_ns = 100, .period_ns = 9}, got;

    pst_profile_set_meta(a, &early);
    pst_profile_set_meta(b, &late);
    assert_int_equal(pst_profile_merge(into, b, NULL, NULL), 0);
    assert_int_equal(pst_profile_meta(into).time_ns, 2000);
    assert_int_equal(pst_profile_merge(into, a, NULL, NULL), 0);
    got = pst_profile_meta(into);
    assert_int_equal(got.time_ns, 1000);
    assert_int_equal(got.duration_ns, 1100);
    assert_int_equal(got.period_ns, 9);
    assert_int_equal(pst_profile_merge(into, wall, NULL, NULL), -EINVAL);
    pst_profile_free(a);
    pst_profile_free(b);
    pst_profile_free(into);
    pst_profile_free(wall);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_stacks_and_labels_merge),
        cmocka_unit_test(test_unknown_ids_and_negative_numbers_are_refused),
        cmocka_unit_test(test_sums_saturate),
        cmocka_unit_test(test_full_profile_says_so_and_stays_whole),
        cmocka_unit_test(test_long_text_is_cut_between_characters),
        cmocka_unit_test(test_merging_agrees_with_the_naive_model),
        cmocka_unit_test(test_slices_add_up_to_the_whole),
        cmocka_unit_test(test_dropped_labels_leave_no_text_behind),
        cmocka_unit_test(test_merged_time_spans_both),
    };

    return cmocka_run_group_tests_name("profile", tests, NULL, NULL);
}
