/* Text of a target as UTF-8. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "text.h"

static void assert_encodes(const void *units, size_t count, unsigned width, const char *want)
{
    struct pst_buf buf;

    pst_buf_init(&buf, PST_MAX_STRING_BYTES);
    assert_int_equal(pst_text_encode(units, count, width, &buf), 0);
    assert_string_equal(buf.data, want);
    pst_buf_done(&buf);
}

static void test_each_width_becomes_utf8(void **state)
{
    assert_encodes("caf\xe9", 4, 1, "caf\xc3\xa9");
    assert_encodes((const uint16_t[]){0x4e2d, 'x'}, 2, 2, "\xe4\xb8\xadx");
    assert_encodes((const uint32_t[]){0x1f40d}, 1, 4, "\xf0\x9f\x90\x8d");
}

static void test_lone_surrogates_and_wild_characters_are_replaced(void **state)
{
    assert_encodes((const uint16_t[]){0xd800, 'x'}, 2, 2, "\xef\xbf\xbdx");
    assert_encodes((const uint16_t[]){0xd83d, 0xdc0d}, 2, 2, "\xf0\x9f\x90\x8d");
    assert_encodes((const uint32_t[]){0xdc80}, 1, 4, "\xef\xbf\xbd");
    assert_encodes((const uint32_t[]){0x7fffffff}, 1, 4, "\xef\xbf\xbd");
}

static void test_long_text_is_cut_between_characters(void **state)
{
    static uint16_t units[PST_MAX_STRING_BYTES];
    struct pst_buf buf;

    for (size_t i = 0; i < PST_MAX_STRING_BYTES; i++)
        units[i] = 0x4e2d;
    pst_buf_init(&buf, PST_MAX_STRING_BYTES);
    assert_int_equal(pst_text_encode((const unsigned char *)units, PST_MAX_STRING_BYTES, 2, &buf),
                     0);
    assert_int_equal(buf.len, PST_MAX_STRING_BYTES / 3 * 3);
    assert_int_equal(pst_utf8_valid_prefix(pst_buf_view(&buf)), buf.len);
    pst_buf_done(&buf);
}

enum { BASE = 0x10000, TYPE = 64, NAME = 320, OBJECT = 512, UNITS = 640 };

/* An object before 3.3: its type's name, its length, and what it holds in place or behind. */
static int read_old(const struct pst_layout *row, unsigned width, const char *type,
                    const void *content, size_t length, size_t bytes, struct pst_buf *buf)
{
    unsigned char memory[1024] = {0};
    struct pst_layout layout = *row;
    uint64_t words[] = {0, BASE + TYPE, length, BASE + UNITS}, name = BASE + NAME;
    bool in_place = strcmp(type, "str") == 0 && row->text_kind == PST_TEXT_BYTES;

    layout.text_width = (uint8_t)width;
    memcpy(memory + TYPE + layout.object.type_name, &name, sizeof(name));
    memcpy(memory + NAME, type, strlen(type) + 1);
    memcpy(memory + OBJECT, words, sizeof(words));
    memcpy(memory + (in_place ? OBJECT + layout.object.bytes_data : UNITS), content, bytes);
    struct pst_memory *target = pst_memory_new_buffer(BASE, memory, sizeof(memory));
    assert_non_null(target);
    pst_buf_init(buf, PST_MAX_STRING_BYTES);
    int error = pst_text_read(target, &layout, BASE + OBJECT, buf);
    pst_memory_free(target);
    return error;
}

static void assert_old(const struct pst_layout *row, unsigned width, const char *type,
                       const void *content, size_t length, size_t bytes, const char *want)
{
    struct pst_buf buf;

    assert_int_equal(read_old(row, width, type, content, length, bytes, &buf), 0);
    assert_true(pst_str_eq(pst_buf_view(&buf), pst_str(want)));
    pst_buf_done(&buf);
}

static void test_strings_before_3_3_are_read_by_their_type_and_the_builds_width(void **state)
{
    static const uint16_t narrow[] = {'n', 0xd83d, 0xdc0d, 0x4e2d};
    static const uint32_t wide[] = {'n', 0x1f40d, 0x4e2d};
    static const char want[] = "n\xf0\x9f\x90\x8d\xe4\xb8\xad";
    const struct pst_layout *two = pst_layout_row(0x020700f0, false);
    const struct pst_layout *three = pst_layout_row(0x030200f0, false);
    struct pst_buf buf;

    assert_old(two, 4, "str", "caf\xc3\xa9", 5, 5, "caf\xc3\xa9");
    assert_old(two, 4, "str", "caf\xe9", 4, 4, "caf\xef\xbf\xbd");
    assert_old(two, 2, "unicode", narrow, 4, sizeof(narrow), want);
    assert_old(two, 4, "unicode", wide, 3, sizeof(wide), want);
    assert_old(two, 0, "unicode", wide, 3, sizeof(wide), want);
    assert_old(two, 0, "unicode", narrow, 4, sizeof(narrow), want);
    assert_old(three, 4, "str", wide, 3, sizeof(wide), want);
    assert_int_equal(read_old(two, 4, "dict", wide, 3, sizeof(wide), &buf), -EINVAL);
    pst_buf_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_width_becomes_utf8),
        cmocka_unit_test(test_lone_surrogates_and_wild_characters_are_replaced),
        cmocka_unit_test(test_strings_before_3_3_are_read_by_their_type_and_the_builds_width),
        cmocka_unit_test(test_long_text_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
