/* Views, buffers, UTF-8, numbers. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"

static void numbers_are_whole_bounded_and_unsigned(void **state)
{
    uint64_t value;
    assert_int_equal(pst_str_u64(PST_STR("18446744073709551615"), 10, UINT64_MAX, &value), 0);
    assert_true(value == UINT64_MAX);
    assert_int_equal(pst_str_u64(PST_STR("18446744073709551616"), 10, UINT64_MAX, &value), -ERANGE);
    assert_int_equal(pst_str_u64(PST_STR("101"), 10, 100, &value), -ERANGE);
    assert_int_equal(pst_str_u64(PST_STR("7fff"), 16, UINT64_MAX, &value), 0);
    assert_int_equal(value, 0x7fff);
    const struct pst_str bad[] = {PST_STR(""),   PST_STR("-1"),  PST_STR("+1"), PST_STR(" 1"),
                                  PST_STR("1 "), PST_STR("0x1"), PST_STR("1a")};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(pst_str_u64(bad[i], 10, UINT64_MAX, &value), -EINVAL);
}

static void parts_of_a_text_come_in_order_with_empty_ones(void **state)
{
    struct pst_str rest = PST_STR("a,,b,"), part;
    const char *const expected[] = {"a", "", "b", ""};
    for (size_t i = 0; i < 4; i++) {
        assert_true(pst_str_next(&rest, ',', &part));
        assert_true(pst_str_eq(part, pst_str(expected[i])));
    }
    assert_false(pst_str_next(&rest, ',', &part));
    assert_true(pst_str_eq(pst_str_basename(PST_STR("/a/b.py")), PST_STR("b.py")));
    assert_true(pst_str_eq(pst_str_basename(PST_STR("b.py")), PST_STR("b.py")));
    assert_true(pst_str_eq(pst_str_trim(PST_STR(" \t x y\n")), PST_STR("x y")));
}

static void invalid_utf8_is_replaced_and_valid_kept(void **state)
{
    const struct {
        const char *in, *out;
    } rows[] = {
        {"h\xc3\xa9llo", "h\xc3\xa9llo"},
        {"\xff", "\xef\xbf\xbd"},
        {"a\xc0\xaf", "a\xef\xbf\xbd\xef\xbf\xbd"},               /* overlong '/' */
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* lone surrogate */
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* > U+10FFFF */
        {"\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd"},                                 /* cut */
        {"\xf0\x9f\x90\x8d", "\xf0\x9f\x90\x8d"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pst_buf buf;
        pst_buf_init(&buf, 100);
        assert_int_equal(pst_buf_utf8(&buf, pst_str(rows[i].in)), 0);
        assert_string_equal(buf.data, rows[i].out);
        pst_buf_done(&buf);
    }
}

static void escaping_leaves_nothing_that_moves_a_terminal(void **state)
{
    struct pst_buf buf;
    pst_buf_init(&buf, 200);
    assert_int_equal(
        pst_buf_escaped(&buf, PST_STR("a\x1b[31m\"\\\n\x7f\xc2\x9b\xff\xc3\xa9\xe2\x80\xae")), 0);
    assert_string_equal(buf.data, "a\\x1b[31m\\\"\\\\\\n\\x7f\\x9b\\xff\xc3\xa9\\u202e");
    pst_buf_done(&buf);
}

static void a_buffer_never_passes_its_maximum_and_keeps_its_content(void **state)
{
    struct pst_buf buf;
    pst_buf_init(&buf, 5);
    assert_int_equal(pst_buf_puts(&buf, "abc"), 0);
    assert_int_equal(pst_buf_puts(&buf, "def"), -EFBIG);
    assert_int_equal(pst_buf_printf(&buf, "%d", 1000), -EFBIG);
    assert_string_equal(buf.data, "abc");
    assert_int_equal(pst_buf_puts(&buf, "de"), 0);
    size_t len;
    char *text = pst_buf_steal(&buf, &len);
    assert_int_equal(len, 5);
    assert_string_equal(text, "abcde");
    free(text);
    assert_int_equal(buf.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_whole_bounded_and_unsigned),
        cmocka_unit_test(parts_of_a_text_come_in_order_with_empty_ones),
        cmocka_unit_test(invalid_utf8_is_replaced_and_valid_kept),
        cmocka_unit_test(escaping_leaves_nothing_that_moves_a_terminal),
        cmocka_unit_test(a_buffer_never_passes_its_maximum_and_keeps_its_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
