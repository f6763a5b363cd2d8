/* Files read back: what was written means the same again, and nothing broken is taken. */
#include <errno.h>
#include <stdio.h>

#include "naive_model.h"
#include "render/format.h"
#include "render/read.h"

static const struct pst_read_options cpu = {.mode = PST_MODE_CPU, .period_ns = 10000000};

static struct pst_profile *through(const struct pst_profile *p, enum pst_format format,
                                   const struct pst_read_options *read)
{
    struct pst_render_options options = {.frame_flags = 1, .weight = PST_WEIGHT_SAMPLES};
    struct pst_profile *back = NULL;
    struct pst_buf file;

    pst_buf_init(&file, 1 << 24);
    assert_int_equal(pst_render(p, format, &options, &file), 0);
    assert_int_equal(pst_read(pst_buf_view(&file), read, &back), 0);
    pst_buf_done(&file);
    return back;
}

static void test_pprof_comes_back(void **state)
{
    struct pst_profile *p = small_profile(PST_MODE_GIL), *back = through(p, PST_FORMAT_PPROF, &cpu);

    assert_int_equal(pst_profile_meta(back).mode, PST_MODE_GIL);
    assert_same_meaning(p, back);
    pst_profile_free(back);
    pst_profile_free(p);
}

static void test_speedscope_comes_back_with_threads(void **state)
{
    struct pst_profile *p = small_profile(PST_MODE_CPU);
    struct pst_profile *back = through(p, PST_FORMAT_SPEEDSCOPE, &cpu);
    struct pst_profile_sample sample;
    int64_t samples, value_ns;

    pst_profile_total(back, &samples, &value_ns);
    assert_int_equal(value_ns, 1000);
    assert_int_equal(pst_profile_sample_count(back), 3);
    pst_profile_sample(back, 0, &sample);
    assert_int_equal(sample.depth, 3);
    assert_int_equal(sample.value_ns, 700);
    assert_int_equal(sample.label_count, 2);
    pst_profile_free(back);
    pst_profile_free(p);
}

static void test_folded_comes_back_as_counts(void **state)
{
    struct pst_profile *p = small_profile(PST_MODE_CPU);
    struct pst_profile *back = through(p, PST_FORMAT_RAW, &cpu);
    struct pst_profile_sample sample;
    const struct pst_function *function;
    uint32_t id;
    int64_t line;

    assert_int_equal(pst_profile_sample_count(back), 2);
    pst_profile_sample(back, 1, &sample);
    assert_int_equal(sample.samples, 80);
    assert_int_equal(sample.value_ns, 800000000);
    pst_profile_location_at(back, sample.locations[0], &id, &line);
    function = pst_profile_function_at(back, id);
    assert_true(pst_str_eq(pst_profile_text(back, function->name), PST_STR("Worker.hot")));
    assert_true(
        pst_str_eq(pst_profile_text(back, function->filename), PST_STR("/srv/app/work.py")));
    assert_int_equal(line, 55);
    pst_profile_free(back);
    pst_profile_free(p);
}

static int64_t total_of(const char *file, const struct pst_read_options *options, int expected)
{
    struct pst_profile *back = NULL;
    int64_t samples = 0, value_ns = 0;
    int rc = pst_read(pst_str(file), options, &back);

    if (rc != expected)
        fail_msg("%s: %d instead of %d", file, rc, expected);
    if (rc == 0)
        pst_profile_total(back, &samples, &value_ns);
    pst_profile_free(back);
    return value_ns;
}

static void test_folded_dialects(void **state)
{
    struct pst_read_options micro = {.mode = PST_MODE_CPU, .folded_is_time = true};

    assert_int_equal(total_of("a;b 3\n# comment\n\na;c 4.7\r\n", &cpu, 0), 70000000);
    assert_int_equal(total_of("a;b 3", &micro, 0), 3000);
    (void)total_of("a;b\n", &cpu, -EBADMSG);
    (void)total_of("a;b x\n", &cpu, -EBADMSG);
    (void)total_of("a;b -3\n", &cpu, -EBADMSG);
    (void)total_of("a;b 99999999999999999999\n", &cpu, -EBADMSG);
    (void)total_of("a;b 9999999999999999\n", &cpu, -EBADMSG);
    assert_int_equal(total_of("", &cpu, 0), 0); /* what record writes where nothing ran */
}

#define FRAMES                                                                                     \
    "\"shared\":{\"frames\":[{\"name\":\"a\"},{\"name\":\"b\",\"file\":\"/m.py\",\"line\":3}]}"

static void test_speedscope_dialects(void **state)
{
    assert_int_equal(total_of("{" FRAMES
                              ",\"profiles\":[{\"type\":\"sampled\",\"unit\":\"seconds\","
                              "\"samples\":[[0,1],[0]],\"weights\":[0.5,1]}]}",
                              &cpu, 0),
                     1500000000);
    assert_int_equal(
        total_of("{" FRAMES ",\"profiles\":[{\"type\":\"evented\",\"unit\":"
                 "\"microseconds\",\"startValue\":0,\"events\":["
                 "{\"type\":\"O\",\"frame\":0,\"at\":0},{\"type\":\"O\",\"frame\":1,\"at\":5},"
                 "{\"type\":\"C\",\"frame\":1,\"at\":7},{\"type\":\"C\",\"frame\":0,\"at\":9}]}]}",
                 &cpu, 0),
        9000);
}

static void test_broken_speedscope_is_refused(void **state)
{
    static const char *const bad[] = {
        "{",
        "{}",
        "{" FRAMES "}",
        "{" FRAMES ",\"profiles\":[]}",
        "{" FRAMES
        ",\"profiles\":[{\"type\":\"sampled\",\"unit\":\"bytes\",\"samples\":[],\"weights\":[]}]}",
        "{" FRAMES ",\"profiles\":[{\"type\":\"sampled\",\"unit\":\"none\",\"samples\":[[2]],"
        "\"weights\":[1]}]}",
        "{" FRAMES ",\"profiles\":[{\"type\":\"sampled\",\"unit\":\"none\",\"samples\":[[-1]],"
        "\"weights\":[1]}]}",
        "{" FRAMES ",\"profiles\":[{\"type\":\"sampled\",\"unit\":\"none\",\"samples\":[[0]],"
        "\"weights\":[]}]}",
        "{" FRAMES ",\"profiles\":[{\"type\":\"sampled\",\"unit\":\"none\",\"samples\":[[0]],"
        "\"weights\":[-1]}]}",
        "{" FRAMES ",\"profiles\":[{\"type\":\"sampled\",\"unit\":\"seconds\",\"samples\":[[0]],"
        "\"weights\":[1e30]}]}",
        "{" FRAMES ",\"profiles\":[{\"type\":\"evented\",\"unit\":\"none\",\"events\":[{\"type\":"
        "\"C\",\"frame\":0,\"at\":0}]}]}",
        "{\"shared\":{\"frames\":[{\"file\":\"x\"}]},\"profiles\":[]}",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        (void)total_of(bad[i], &cpu, -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pprof_comes_back),
        cmocka_unit_test(test_speedscope_comes_back_with_threads),
        cmocka_unit_test(test_folded_comes_back_as_counts),
        cmocka_unit_test(test_folded_dialects),
        cmocka_unit_test(test_speedscope_dialects),
        cmocka_unit_test(test_broken_speedscope_is_refused),
    };

    return cmocka_run_group_tests_name("read", tests, NULL, NULL);
}
