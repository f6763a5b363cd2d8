/* Every allocation fails once while each format is written and read: -ENOMEM, nothing leaks,
 * nothing half-done is called whole. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "failing.h"
#include "render/changes.h"
#include "render/format.h"
#include "render/read.h"
#include "render/summary.h"
#include "sample_profiles.h"

static struct pst_profile *profile;
static struct pst_buf files[PST_FORMAT_COUNT];

static int write_format(enum pst_format format)
{
    struct pst_render_options options = {.threads = true, .weight = PST_WEIGHT_SAMPLES};
    struct pst_buf out;
    int rc;

    pst_buf_init(&out, 1 << 24);
    rc = pst_render(profile, format, &options, &out);
    if (rc == 0)
        assert_int_equal(out.len, files[format].len);
    pst_buf_done(&out);
    return rc;
}

static int read_format(enum pst_format format)
{
    struct pst_read_options options = {.mode = PST_MODE_CPU, .period_ns = 10000000};
    struct pst_profile *back = NULL;
    int rc = pst_read(pst_buf_view(&files[format]), &options, &back);

    if (rc == 0)
        assert_true(pst_profile_sample_count(back) > 1);
    pst_profile_free(back);
    return rc;
}

static int write_texts(enum pst_format format)
{
    struct pst_summary_service service = {PST_STR("s"), PST_STR("3.11"), 1, profile, NULL};
    struct pst_summary_totals totals = {.elapsed_ns = 1000};
    struct pst_summary_options options = {0};
    struct pst_buf out;
    int rc;

    (void)format;
    pst_buf_init(&out, 1 << 20);
    rc = pst_summary_write(&service, 1, &totals, &options, &out);
    if (rc == 0)
        rc = pst_changes_write(profile, profile, 10, &out);
    pst_buf_done(&out);
    return rc;
}

static void survive(int (*run)(enum pst_format), enum pst_format format)
{
    long nth = 0;
    int rc;

    do {
        long before = held;

        until_failure = nth++;
        rc = run(format);
        until_failure = -1;
        assert_int_equal(held, before);
        if (rc != 0)
            assert_int_equal(rc, -ENOMEM);
    } while (rc != 0 && nth < 100000);
    assert_int_equal(rc, 0);
    assert_true(nth > 5);
}

static void test_writing_survives(void **state)
{
    for (int format = 0; format < PST_FORMAT_OTLP; format++)
        survive(write_format, (enum pst_format)format);
}

static void test_reading_survives(void **state)
{
    survive(read_format, PST_FORMAT_PPROF);
    survive(read_format, PST_FORMAT_RAW);
    survive(read_format, PST_FORMAT_SPEEDSCOPE);
}

static void test_texts_survive(void **state)
{
    survive(write_texts, PST_FORMAT_COUNT);
}

static int set_up(void **state)
{
    struct pst_render_options options = {.threads = true, .weight = PST_WEIGHT_SAMPLES};

    profile = small_profile(PST_MODE_CPU);
    for (int format = 0; format < PST_FORMAT_OTLP; format++) {
        pst_buf_init(&files[format], 1 << 24);
        assert_int_equal(pst_render(profile, (enum pst_format)format, &options, &files[format]), 0);
    }
    return 0;
}

static int tear_down(void **state)
{
    pst_profile_free(profile);
    for (int format = 0; format < PST_FORMAT_OTLP; format++)
        pst_buf_done(&files[format]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writing_survives),
        cmocka_unit_test(test_reading_survives),
        cmocka_unit_test(test_texts_survive),
    };

    return cmocka_run_group_tests_name("alloc", tests, set_up, tear_down);
}
