/* The stored form: body, hash, totals, references. */
#include <stdio.h>

#include "profile/item.h"
#include "profile/pprof.h"
#include "sample_profiles.h"

static void test_item_carries_what_its_profile_says(void **state)
{
    struct pst_profile *p = small_profile(PST_MODE_WALL), *back = NULL;
    struct pst_labels *labels = pst_labels_new();
    struct pst_item *item = NULL;

    assert_int_equal(pst_labels_set(labels, PST_STR("service_name"), PST_STR("shop")), 0);
    assert_int_equal(pst_item_new(labels, p, &item), 0);
    pst_labels_free(labels);
    assert_true(pst_str_eq(pst_labels_get(item->labels, "service_name"), PST_STR("shop")));
    assert_int_equal(item->mode, PST_MODE_WALL);
    assert_int_equal(item->time_ns, 1700000000000000000);
    assert_int_equal(item->duration_ns, 15000000000);
    assert_int_equal(item->samples, 100);
    assert_int_equal(item->value_ns, 1000);
    assert_int_equal(pst_pprof_decode(item->body, item->body_bytes, &back), 0);
    assert_int_equal(pst_profile_sample_count(back), 3);
    pst_profile_free(back);
    pst_profile_free(p);
    pst_item_unref(item);
}

static void test_hash_is_sha256_of_the_body(void **state)
{
    static const unsigned char expected[] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea,
                                             0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
                                             0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c,
                                             0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
    struct pst_profile_meta meta = {.mode = PST_MODE_CPU, .time_ns = 5};
    struct pst_labels *labels = pst_labels_new();
    struct pst_item *item = NULL, *again;

    assert_int_equal(pst_item_from_body(labels, &meta, 1, 2, "abc", 3, &item), 0);
    assert_memory_equal(item->sha256, expected, sizeof(expected));
    again = pst_item_ref(item);
    assert_null(pst_item_unref(item));
    assert_memory_equal(again->body, "abc", 3);
    pst_item_unref(again);
    pst_item_unref(NULL);
    pst_labels_free(labels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_item_carries_what_its_profile_says),
        cmocka_unit_test(test_hash_is_sha256_of_the_body),
    };

    return cmocka_run_group_tests_name("item", tests, NULL, NULL);
}
