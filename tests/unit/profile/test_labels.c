/* Label sets: sorted, unique, bounded, canonical bytes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/limits.h"
#include "profile/labels.h"

static void set(struct pst_labels *labels, const char *name, const char *value)
{
    assert_int_equal(pst_labels_set(labels, pst_str(name), pst_str(value)), 0);
}

static void test_set_replaces_and_empty_removes(void **state)
{
    struct pst_labels *labels = pst_labels_new();

    set(labels, "pod", "a");
    set(labels, "node", "n");
    set(labels, "pod", "b");
    assert_int_equal(pst_labels_count(labels), 2);
    assert_true(pst_str_eq(pst_labels_get(labels, "pod"), PST_STR("b")));
    set(labels, "pod", "");
    assert_int_equal(pst_labels_count(labels), 1);
    assert_int_equal(pst_labels_get(labels, "pod").len, 0);
    pst_labels_free(labels);
}

static void test_order_of_setting_does_not_matter(void **state)
{
    struct pst_labels *a = pst_labels_new(), *b = pst_labels_new(), *copy;
    struct pst_str name, value;

    set(a, "b", "2");
    set(a, "ab", "3");
    set(a, "a", "1");
    set(b, "a", "1");
    set(b, "ab", "3");
    set(b, "b", "2");
    assert_true(pst_labels_equal(a, b));
    pst_labels_at(a, 1, &name, &value);
    assert_true(pst_str_eq(name, PST_STR("ab")));
    copy = pst_labels_copy(a);
    assert_true(pst_labels_equal(a, copy));
    set(copy, "b", "other");
    assert_false(pst_labels_equal(a, copy));
    pst_labels_free(a);
    pst_labels_free(b);
    pst_labels_free(copy);
}

static void test_bounds(void **state)
{
    struct pst_labels *labels = pst_labels_new();
    char name[32], value[PST_MAX_LABEL_VALUE_BYTES + 100];

    for (int i = 0; i < PST_MAX_LABELS; i++) {
        (void)snprintf(name, sizeof(name), "l%d", i);
        set(labels, name, "v");
    }
    assert_int_equal(pst_labels_set(labels, PST_STR("more"), PST_STR("v")), -ENOSPC);
    memset(value, 'x', sizeof(value));
    memcpy(value + PST_MAX_LABEL_VALUE_BYTES - 1, "\xc3\xa9", 2);
    assert_int_equal(pst_labels_set(labels, PST_STR("l0"), (struct pst_str){value, sizeof(value)}),
                     0);
    assert_int_equal(pst_labels_get(labels, "l0").len, PST_MAX_LABEL_VALUE_BYTES - 1);
    pst_labels_free(labels);
}

static void test_foreign_bytes_become_text(void **state)
{
    struct pst_labels *labels = pst_labels_new();

    assert_int_equal(pst_labels_set(labels, PST_STR("a"), PST_STR("x\0y\xff")), 0);
    assert_true(pst_str_eq(pst_labels_get(labels, "a"), PST_STR("x\xef\xbf\xbdy\xef\xbf\xbd")));
    assert_int_equal(pst_labels_set(labels, PST_STR(""), PST_STR("x")), -EINVAL);
    assert_int_equal(pst_labels_set(labels, PST_STR("a\0b"), PST_STR("x")), -EINVAL);
    assert_int_equal(pst_labels_set(labels, PST_STR("a\xff"), PST_STR("x")), -EINVAL);
    pst_labels_free(labels);
}

static void test_stored_form_comes_back(void **state)
{
    struct pst_labels *labels = pst_labels_new(), *back = NULL;
    struct pst_buf bytes;

    pst_buf_init(&bytes, 1 << 20);
    set(labels, "service_name", "shop");
    set(labels, "node", "n1");
    assert_int_equal(pst_labels_encode(labels, &bytes), 0);
    assert_int_equal(bytes.len, sizeof("node\0n1\0service_name\0shop"));
    assert_memory_equal(bytes.data, "node\0n1\0service_name\0shop", bytes.len);
    assert_int_equal(pst_labels_decode(bytes.data, bytes.len, &back), 0);
    assert_true(pst_labels_equal(labels, back));
    pst_labels_free(back);
    assert_int_equal(pst_labels_decode("", 0, &back), 0);
    assert_int_equal(pst_labels_count(back), 0);
    pst_labels_free(back);
    pst_labels_free(labels);
    pst_buf_done(&bytes);
}

static void test_malformed_stored_forms_are_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        {"a", 1},         {"a\0", 2},          {"a\0b", 3},         {"a\0\0", 3},
        {"\0b\0", 3},     {"b\0x\0a\0y\0", 8}, {"a\0x\0a\0y\0", 8}, {"a\0x\0b\0", 6},
        {"\xff\0x\0", 4},
    };
    struct pst_labels *back = NULL;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(pst_labels_decode(bad[i].bytes, bad[i].len, &back), -EBADMSG);
}

static void test_format_is_for_people(void **state)
{
    struct pst_labels *labels = pst_labels_new();
    struct pst_buf text;

    pst_buf_init(&text, 4096);
    assert_int_equal(pst_labels_format(labels, &text), 0);
    assert_string_equal(text.data, "{}");
    pst_buf_reset(&text);
    set(labels, "b", "say \"hi\"");
    set(labels, "a", "x");
    assert_int_equal(pst_labels_format(labels, &text), 0);
    assert_string_equal(text.data, "{a=\"x\", b=\"say \\\"hi\\\"\"}");
    pst_buf_done(&text);
    pst_labels_free(labels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_replaces_and_empty_removes),
        cmocka_unit_test(test_order_of_setting_does_not_matter),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_foreign_bytes_become_text),
        cmocka_unit_test(test_stored_form_comes_back),
        cmocka_unit_test(test_malformed_stored_forms_are_refused),
        cmocka_unit_test(test_format_is_for_people),
    };

    return cmocka_run_group_tests_name("labels", tests, NULL, NULL);
}
