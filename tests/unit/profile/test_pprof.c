/* pprof out and in again: same meaning, same bytes; and nothing malformed comes in. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/limits.h"
#include "inflate.h"
#include "naive_model.h"
#include "profile/pprof.h"
#include "wire.h"

static struct pst_buf encoded(const struct pst_profile *p, bool gzip)
{
    struct pst_buf out;

    pst_buf_init(&out, PST_MAX_PPROF_BYTES);
    assert_int_equal(pst_pprof_encode(p, gzip, &out), 0);
    return out;
}

static void comes_back_the_same(const struct pst_profile *p, bool gzip)
{
    struct pst_buf first = encoded(p, gzip), second;
    struct pst_profile *back = NULL;

    assert_int_equal(pst_pprof_decode(first.data, first.len, &back), 0);
    assert_same_meaning(p, back);
    second = encoded(back, gzip);
    assert_int_equal(first.len, second.len);
    assert_memory_equal(first.data, second.data, first.len);
    pst_profile_free(back);
    pst_buf_done(&first);
    pst_buf_done(&second);
}

static void test_round_trip_keeps_meaning_and_bytes(void **state)
{
    struct pst_random random = {.state = 11};

    for (int mode = 0; mode < PST_MODE_COUNT; mode++) {
        struct pst_profile *p = small_profile((enum pst_mode)mode);

        comes_back_the_same(p, true);
        comes_back_the_same(p, false);
        pst_profile_free(p);
    }
    for (int round = 0; round < 60; round++) {
        struct pst_profile *p = random_profile(&random, (unsigned)pst_random_below(&random, 200));

        comes_back_the_same(p, round % 2);
        pst_profile_free(p);
    }
}

static void test_meta_and_comments_come_back(void **state)
{
    struct pst_profile *p = small_profile(PST_MODE_WALL), *back = NULL;
    struct pst_buf out = encoded(p, true);
    struct pst_profile_meta meta;

    assert_int_equal(pst_pprof_decode(out.data, out.len, &back), 0);
    meta = pst_profile_meta(back);
    assert_int_equal(meta.mode, PST_MODE_WALL);
    assert_int_equal(meta.time_ns, 1700000000000000000);
    assert_int_equal(meta.duration_ns, 15000000000);
    assert_int_equal(meta.period_ns, 52631578);
    assert_int_equal(pst_profile_comment_count(back), 1);
    assert_true(pst_str_eq(pst_profile_comment(back, 0), PST_STR("pystrobe test")));
    pst_profile_free(p);
    pst_profile_free(back);
    pst_buf_done(&out);
}

static void test_gzip_header_carries_no_time(void **state)
{
    struct pst_profile *p = small_profile(PST_MODE_CPU);
    struct pst_buf out = encoded(p, true);

    assert_memory_equal(out.data + 4, "\0\0\0\0", 4);
    pst_buf_done(&out);
    pst_profile_free(p);
}

static void test_raw_size_is_what_raw_encoding_takes(void **state)
{
    struct pst_random random = {.state = 5};
    struct pst_profile *p = random_profile(&random, 300);
    struct pst_buf out = encoded(p, false);

    assert_int_equal(pst_pprof_raw_size(p), out.len);
    pst_buf_done(&out);
    pst_profile_free(p);
}

static void test_bound_of_the_output_leaves_it_unchanged(void **state)
{
    struct pst_random random = {.state = 6};
    struct pst_profile *p = random_profile(&random, 2000);
    struct pst_buf whole = encoded(p, true), out;

    pst_buf_init(&out, whole.len + 3);
    assert_int_equal(pst_buf_puts(&out, "abcd"), 0);
    assert_int_equal(pst_pprof_encode(p, true, &out), -EFBIG);
    assert_int_equal(out.len, 4);
    assert_string_equal(out.data, "abcd");
    pst_buf_reset(&out);
    assert_int_equal(pst_buf_puts(&out, "abc"), 0);
    assert_int_equal(pst_pprof_encode(p, true, &out), 0);
    assert_memory_equal(out.data + 3, whole.data, whole.len);
    pst_buf_done(&out);
    pst_buf_done(&whole);
    pst_profile_free(p);
}

static void test_every_cut_is_refused(void **state)
{
    struct pst_profile *p = small_profile(PST_MODE_CPU), *back;
    struct pst_buf gz = encoded(p, true);

    for (size_t len = 0; len < gz.len; len++)
        assert_int_equal(pst_pprof_decode(gz.data, len, &back), -EBADMSG);
    pst_buf_done(&gz);
    pst_profile_free(p);
}

static void test_flipped_bytes_never_crash(void **state)
{
    struct pst_random random = {.state = 7};
    struct pst_profile *p = small_profile(PST_MODE_CPU);
    struct pst_buf raw = encoded(p, false);

    for (int round = 0; round < 20000; round++) {
        struct pst_profile *back = NULL;
        size_t at = pst_random_below(&random, raw.len);
        char before = raw.data[at];
        struct pst_buf again;

        raw.data[at] = (char)pst_random_next(&random);
        if (pst_pprof_decode(raw.data, raw.len, &back) == 0) {
            again = encoded(back, false);
            pst_buf_done(&again);
            pst_profile_free(back);
        }
        raw.data[at] = before;
    }
    pst_buf_done(&raw);
    pst_profile_free(p);
}

/* A small writer of malformed profiles. */

static void put(struct pst_buf *out, uint64_t field, const void *data, size_t len)
{
    uint8_t head[2 * PST_WIRE_VARINT_BYTES];
    size_t used = pst_wire_put_varint(head, field << 3 | PST_WIRE_BYTES);

    used += pst_wire_put_varint(head + used, len);
    assert_int_equal(pst_buf_append(out, head, used), 0);
    assert_int_equal(pst_buf_append(out, data, len), 0);
}

static void put_number(struct pst_buf *out, uint64_t field, uint64_t value)
{
    uint8_t head[2 * PST_WIRE_VARINT_BYTES];
    size_t used = pst_wire_put_varint(head, field << 3);

    used += pst_wire_put_varint(head + used, value);
    assert_int_equal(pst_buf_append(out, head, used), 0);
}

/* Strings "", cpu, nanoseconds, f; one type (cpu, nanoseconds). */
static void put_head(struct pst_buf *out)
{
    pst_buf_reset(out);
    put(out, 1, "\x08\x01\x10\x02", 4);
    put(out, 6, "", 0);
    put(out, 6, "cpu", 3);
    put(out, 6, "nanoseconds", 11);
    put(out, 6, "f", 1);
}

static const char FUNCTION_1[] = "\x08\x01\x10\x03";
static const char LOCATION_1[] = "\x08\x01\x22\x02\x08\x01";
static const char SAMPLE_1[] = "\x0a\x01\x01\x12\x01\x05";

#define PUT(out, field, literal) put(out, field, literal, sizeof(literal) - 1)

static int decode(const struct pst_buf *in)
{
    struct pst_profile *back = NULL;
    int rc = pst_pprof_decode(in->data, in->len, &back);

    pst_profile_free(back);
    return rc;
}

static void test_minimal_foreign_profile_is_read(void **state)
{
    struct pst_profile *back = NULL;
    struct pst_profile_sample sample;
    struct pst_buf out;

    pst_buf_init(&out, 65536);
    put_head(&out);
    PUT(&out, 2, SAMPLE_1);
    PUT(&out, 4, LOCATION_1);
    PUT(&out, 5, FUNCTION_1);
    assert_int_equal(pst_pprof_decode(out.data, out.len, &back), 0);
    assert_int_equal(pst_profile_sample_count(back), 1);
    pst_profile_sample(back, 0, &sample);
    assert_int_equal(sample.value_ns, 5);
    assert_int_equal(sample.samples, 0);
    assert_int_equal(sample.depth, 1);
    pst_profile_free(back);
    pst_buf_done(&out);
}

static void test_unpacked_numbers_and_inlined_frames_are_read(void **state)
{
    struct pst_profile *back = NULL;
    struct pst_profile_sample sample;
    struct pst_buf out;

    pst_buf_init(&out, 65536);
    put_head(&out);
    PUT(&out, 2, "\x08\x09\x08\x09\x10\x05");
    PUT(&out, 4, "\x08\x09\x22\x04\x08\x01\x10\x07\x22\x04\x08\x01\x10\x08");
    PUT(&out, 5, FUNCTION_1);
    assert_int_equal(pst_pprof_decode(out.data, out.len, &back), 0);
    pst_profile_sample(back, 0, &sample);
    assert_int_equal(sample.depth, 4);
    pst_profile_free(back);
    pst_buf_done(&out);
}

static void test_ids_in_any_order_are_read_and_repeated_ones_refused(void **state)
{
    struct pst_buf out;

    pst_buf_init(&out, 65536);
    put_head(&out);
    PUT(&out, 2, "\x0a\x03\x02\x01\x03\x12\x01\x05");
    PUT(&out, 4, "\x08\x02\x22\x02\x08\x01");
    PUT(&out, 4, "\x08\x01\x22\x04\x08\x01\x10\x07");
    PUT(&out, 4, "\x08\x03\x22\x04\x08\x01\x10\x08");
    PUT(&out, 5, FUNCTION_1);
    assert_int_equal(decode(&out), 0);
    PUT(&out, 4, "\x08\x02\x22\x02\x08\x01");
    assert_int_equal(decode(&out), -EBADMSG);
    pst_buf_done(&out);
}

static void test_malformed_profiles_are_refused(void **state)
{
    static const struct {
        const char *why;
        uint64_t field;
        const char *bytes;
        size_t len;
    } bad[] = {
        {"sample of an unknown location", 2, "\x0a\x01\x02\x12\x01\x05", 6},
        {"sample of location 0", 2, "\x0a\x01\x00\x12\x01\x05", 6},
        {"two values for one type", 2, "\x0a\x01\x01\x12\x02\x05\x05", 7},
        {"no value", 2, "\x0a\x01\x01", 3},
        {"negative value", 2, "\x0a\x01\x01\x12\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 15},
        {"label with an unknown key", 2, "\x0a\x01\x01\x12\x01\x05\x1a\x04\x08\x09\x10\x01", 12},
        {"label with an unknown text", 2, "\x0a\x01\x01\x12\x01\x05\x1a\x04\x08\x01\x10\x09", 12},
        {"location repeated", 4, "\x08\x01\x22\x02\x08\x01", 6},
        {"location 0", 4, "\x22\x02\x08\x01", 4},
        {"location of an unknown function", 4, "\x08\x02\x22\x02\x08\x02", 6},
        {"location in an unknown mapping", 4, "\x08\x02\x10\x05", 4},
        {"function repeated", 5, "\x08\x01\x10\x03", 4},
        {"function 0", 5, "\x10\x03", 2},
        {"function with an unknown name", 5, "\x08\x02\x10\x04", 4},
        {"function with a negative name", 5, "\x08\x02\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
         13},
        {"comment out of range", 13, "\x04", 1},
        {"type with an unknown unit", 1, "\x08\x01\x10\x04", 4},
        {"cut off message", 5, "\x08", 1},
    };
    struct pst_buf out;

    pst_buf_init(&out, 65536);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        put_head(&out);
        PUT(&out, 2, SAMPLE_1);
        PUT(&out, 4, LOCATION_1);
        PUT(&out, 5, FUNCTION_1);
        assert_int_equal(decode(&out), 0);
        put(&out, bad[i].field, bad[i].bytes, bad[i].len);
        if (decode(&out) != -EBADMSG)
            fail_msg("accepted: %s", bad[i].why);
    }
    pst_buf_done(&out);
}

static void test_profiles_behind_each_other_are_refused(void **state)
{
    struct pst_buf out;

    pst_buf_init(&out, 65536);
    put_head(&out);
    put_number(&out, 9, 1);
    assert_int_equal(decode(&out), 0);
    put_number(&out, 9, 1);
    assert_int_equal(decode(&out), -EBADMSG);
    pst_buf_done(&out);
}

static void test_wrong_types_and_missing_empty_string_are_refused(void **state)
{
    struct pst_buf out;

    pst_buf_init(&out, 65536);
    assert_int_equal(decode(&out), -EBADMSG);
    put(&out, 1, "\x08\x01\x10\x02", 4);
    put(&out, 6, "", 0);
    put(&out, 6, "cpu", 3);
    put(&out, 6, "seconds", 7);
    assert_int_equal(decode(&out), -EBADMSG);
    pst_buf_reset(&out);
    put(&out, 1, "\x08\x01\x10\x02", 4);
    put(&out, 6, "x", 1);
    put(&out, 6, "cpu", 3);
    put(&out, 6, "nanoseconds", 11);
    assert_int_equal(decode(&out), -EBADMSG);
    pst_buf_done(&out);
}

static void test_bad_text_becomes_valid_utf8(void **state)
{
    struct pst_profile *p = pst_profile_new(PST_MODE_CPU);
    uint32_t id;

    assert_int_equal(pst_profile_string(p,
                                        PST_STR("a\xff"
                                                "b\xed\xa0\x80"),
                                        &id),
                     0);
    assert_true(
        pst_str_eq(pst_profile_text(p, id), PST_STR("a\xef\xbf\xbd"
                                                    "b\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd")));
    pst_profile_free(p);
}

static void test_text_that_grew_by_replacement_characters_comes_back_the_same(void **state)
{
    struct pst_profile *p = pst_profile_new(PST_MODE_CPU);
    char bad[PST_MAX_STRING_BYTES];
    uint32_t name, location;

    memset(bad, 0xff, sizeof(bad));
    assert_int_equal(pst_profile_string(p, (struct pst_str){bad, sizeof(bad)}, &name), 0);
    assert_in_range(pst_profile_text(p, name).len, 1, PST_MAX_STRING_BYTES);
    assert_int_equal(pst_profile_synthetic(p, "f", &location), 0);
    assert_int_equal(pst_profile_add(p, &location, 1, NULL, 0, 1, 1), 0);
    comes_back_the_same(p, false);
    pst_profile_free(p);
}

static void test_system_name_that_is_an_empty_text_of_any_index_is_the_name(void **state)
{
    struct pst_profile *back = NULL;
    struct pst_buf out;

    pst_buf_init(&out, 65536);
    put_head(&out);
    PUT(&out, 6, "");
    PUT(&out, 2, SAMPLE_1);
    PUT(&out, 4, LOCATION_1);
    PUT(&out, 5, "\x08\x01\x10\x03\x18\x04");
    assert_int_equal(pst_pprof_decode(out.data, out.len, &back), 0);
    comes_back_the_same(back, false);
    pst_profile_free(back);
    pst_buf_done(&out);
}

static size_t gzip_zeroes(size_t zeroes, unsigned char *dst, size_t size)
{
    static unsigned char block[65536];
    z_stream z = {.next_out = dst, .avail_out = (uInt)size};

    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    for (size_t done = 0; done < zeroes; done += sizeof(block)) {
        z.next_in = block;
        z.avail_in = sizeof(block);
        assert_int_equal(deflate(&z, Z_NO_FLUSH), Z_OK);
    }
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    (void)deflateEnd(&z);
    return size - z.avail_out;
}

static void test_zip_bomb_stops_at_the_bound(void **state)
{
    size_t size = 1 << 20, len;
    unsigned char *bomb = malloc(size);
    struct pst_profile *back = NULL;
    struct pst_buf plain;

    assert_non_null(bomb);
    len = gzip_zeroes(PST_MAX_PPROF_BYTES + (1UL << 20), bomb, size);
    assert_int_equal(pst_pprof_decode(bomb, len, &back), -EFBIG);
    len = gzip_zeroes(1 << 20, bomb, size);
    pst_buf_init(&plain, 1 << 20);
    assert_int_equal(pst_gunzip((struct pst_str){(char *)bomb, len}, &plain), 0);
    assert_int_equal(plain.len, 1 << 20);
    pst_buf_done(&plain);
    pst_buf_init(&plain, (1 << 20) - 1);
    assert_int_equal(pst_gunzip((struct pst_str){(char *)bomb, len}, &plain), -EFBIG);
    pst_buf_done(&plain);
    free(bomb);
}

static void test_millions_of_empty_entries_are_refused_cheaply(void **state)
{
    struct pst_profile *back = NULL;
    struct pst_buf out;

    pst_buf_init(&out, PST_MAX_PPROF_BYTES);
    put_head(&out);
    for (int i = 0; i < (1 << 21); i++)
        put(&out, 6, "", 0);
    assert_int_equal(pst_pprof_decode(out.data, out.len, &back), -EFBIG);
    pst_buf_done(&out);
}

static void test_gzip_members_behind_each_other_are_one_file(void **state)
{
    struct pst_profile *p = small_profile(PST_MODE_CPU), *back = NULL;
    struct pst_buf gz = encoded(p, true);
    unsigned char empty[64];
    size_t len = gzip_zeroes(0, empty, sizeof(empty));

    assert_int_equal(pst_buf_append(&gz, empty, len), 0);
    assert_int_equal(pst_pprof_decode(gz.data, gz.len, &back), 0);
    pst_profile_free(back);
    assert_int_equal(pst_buf_puts(&gz, "trailing"), 0);
    assert_int_equal(pst_pprof_decode(gz.data, gz.len, &back), -EBADMSG);
    pst_buf_done(&gz);
    pst_profile_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip_keeps_meaning_and_bytes),
        cmocka_unit_test(test_meta_and_comments_come_back),
        cmocka_unit_test(test_gzip_header_carries_no_time),
        cmocka_unit_test(test_raw_size_is_what_raw_encoding_takes),
        cmocka_unit_test(test_bound_of_the_output_leaves_it_unchanged),
        cmocka_unit_test(test_every_cut_is_refused),
        cmocka_unit_test(test_flipped_bytes_never_crash),
        cmocka_unit_test(test_minimal_foreign_profile_is_read),
        cmocka_unit_test(test_unpacked_numbers_and_inlined_frames_are_read),
        cmocka_unit_test(test_ids_in_any_order_are_read_and_repeated_ones_refused),
        cmocka_unit_test(test_malformed_profiles_are_refused),
        cmocka_unit_test(test_profiles_behind_each_other_are_refused),
        cmocka_unit_test(test_wrong_types_and_missing_empty_string_are_refused),
        cmocka_unit_test(test_bad_text_becomes_valid_utf8),
        cmocka_unit_test(test_text_that_grew_by_replacement_characters_comes_back_the_same),
        cmocka_unit_test(test_system_name_that_is_an_empty_text_of_any_index_is_the_name),
        cmocka_unit_test(test_zip_bomb_stops_at_the_bound),
        cmocka_unit_test(test_millions_of_empty_entries_are_refused_cheaply),
        cmocka_unit_test(test_gzip_members_behind_each_other_are_one_file),
    };

    return cmocka_run_group_tests_name("pprof", tests, NULL, NULL);
}
