/* Notations of single values. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "config/value.h"

static void durations_read_back(void **state)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } rows[] = {
        {"15s", 15000000000},
        {"1m30s", 90000000000},
        {"500ms", 500000000},
        {"2", 2000000000},
        {"0.5", 500000000},
        {"1.5h", 5400000000000},
        {"7d", 604800000000000},
        {"250us", 250000},
        {"1ns", 1},
        {"0", 0},
        {"0s", 0},
        {"1h0m5s", 3605000000000},
    };
    for (size_t i = 0; i < PST_ARRAY_SIZE(rows); i++) {
        uint64_t ns = 99;
        char text[64];
        assert_int_equal(pst_value_duration(pst_str(rows[i].text), &ns), 0);
        assert_int_equal(ns, rows[i].ns);
        pst_value_format_duration(ns, text, sizeof text);
        assert_int_equal(pst_value_duration(pst_str(text), &ns), 0);
        assert_int_equal(ns, rows[i].ns);
    }
}

static void bad_durations_are_refused(void **state)
{
    static const char *const rows[] = {"",     "s",   "-1s", "1x",  "1s1m", "1s1s", "1 s", "nan",
                                       "1e3s", "1.s", ".5s", "1s2", "1m2",  "inf",  "0x1s"};
    uint64_t ns;
    for (size_t i = 0; i < PST_ARRAY_SIZE(rows); i++)
        assert_int_equal(pst_value_duration(pst_str(rows[i]), &ns), -EINVAL);
    assert_int_equal(pst_value_duration(PST_STR("99999999999999999d"), &ns), -ERANGE);
    assert_int_equal(pst_value_duration(PST_STR("9999999999999999999999"), &ns), -ERANGE);
}

static void durations_are_shown_as_people_write_them(void **state)
{
    char text[64];
    pst_value_format_duration(86400000000000, text, sizeof text);
    assert_string_equal(text, "24h");
    pst_value_format_duration(90000000000, text, sizeof text);
    assert_string_equal(text, "1m30s");
    pst_value_format_duration(0, text, sizeof text);
    assert_string_equal(text, "0s");
}

static void sizes_read_back(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } rows[] = {{"64MiB", 67108864},
                {"512MB", 512000000},
                {"1Gi", 1073741824},
                {"10k", 10000},
                {"0", 0},
                {"123", 123},
                {"1.5KiB", 1536},
                {"1B", 1}};
    for (size_t i = 0; i < PST_ARRAY_SIZE(rows); i++) {
        uint64_t bytes = 99;
        char text[64];
        assert_int_equal(pst_value_size(pst_str(rows[i].text), &bytes), 0);
        assert_int_equal(bytes, rows[i].bytes);
        pst_value_format_size(bytes, text, sizeof text);
        assert_int_equal(pst_value_size(pst_str(text), &bytes), 0);
        assert_int_equal(bytes, rows[i].bytes);
    }
}

static void bad_sizes_are_refused(void **state)
{
    static const char *const rows[] = {"", "MiB", "-1", "1.5", "1 MiB", "1mib", "1MiBx", "1e3"};
    uint64_t bytes;
    for (size_t i = 0; i < PST_ARRAY_SIZE(rows); i++)
        assert_int_equal(pst_value_size(pst_str(rows[i]), &bytes), -EINVAL);
    assert_int_equal(pst_value_size(PST_STR("99999999TiB"), &bytes), -ERANGE);
}

static void percentages_need_their_sign(void **state)
{
    double ratio;
    assert_int_equal(pst_value_percent(PST_STR("2%"), &ratio), 0);
    assert_true(ratio > 0.0199999 && ratio < 0.0200001);
    assert_int_equal(pst_value_percent(PST_STR("0"), &ratio), 0);
    assert_int_equal(pst_value_percent(PST_STR("2"), &ratio), -EINVAL);
    assert_int_equal(pst_value_percent(PST_STR("%"), &ratio), -EINVAL);
    assert_int_equal(pst_value_percent(PST_STR("nan%"), &ratio), -EINVAL);
}

static void floats_are_decimal(void **state)
{
    static const char *const bad[] = {"", "nan", "inf", "-1", "1e5", "0x1", "1.", ".1", "1 "};
    double value;
    assert_int_equal(pst_value_float(PST_STR("0.1"), &value), 0);
    assert_true(value == 0.1);
    assert_int_equal(pst_value_float(PST_STR("0019"), &value), 0);
    assert_true(value == 19);
    for (size_t i = 0; i < PST_ARRAY_SIZE(bad); i++)
        assert_int_equal(pst_value_float(pst_str(bad[i]), &value), -EINVAL);
}

static void distance_counts_edits(void **state)
{
    assert_int_equal(pst_value_distance(PST_STR("window"), PST_STR("window")), 0);
    assert_int_equal(pst_value_distance(PST_STR("widnow"), PST_STR("window")), 1);
    assert_int_equal(pst_value_distance(PST_STR("kitten"), PST_STR("sitting")), 3);
    assert_int_equal(pst_value_distance(PST_STR(""), PST_STR("hz")), 2);
    assert_int_equal(
        pst_value_distance(PST_STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), PST_STR("a")),
        99);
}

static void secret_names_are_known(void **state)
{
    static const char *const secret[] = {"password",     "DB_PASSWD",  "Api-Key",
                                         "X-Auth-Token", "SENTRY_DSN", "Authorization",
                                         "client_secret"};
    for (size_t i = 0; i < PST_ARRAY_SIZE(secret); i++)
        assert_true(pst_value_secret_name(pst_str(secret[i])));
    assert_false(pst_value_secret_name(PST_STR("team")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_read_back),
        cmocka_unit_test(bad_durations_are_refused),
        cmocka_unit_test(durations_are_shown_as_people_write_them),
        cmocka_unit_test(sizes_read_back),
        cmocka_unit_test(bad_sizes_are_refused),
        cmocka_unit_test(percentages_need_their_sign),
        cmocka_unit_test(floats_are_decimal),
        cmocka_unit_test(distance_counts_edits),
        cmocka_unit_test(secret_names_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
