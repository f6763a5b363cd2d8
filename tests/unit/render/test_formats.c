/* Written files: names and endings, JSON that parses, events that nest, XML that is escaped. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "render/chrometrace.h"
#include "render/format.h"
#include "render/frame.h"
#include "render/svg.h"
#include "sample_profiles.h"

static struct pst_buf rendered(const struct pst_profile *p, enum pst_format format,
                               const struct pst_profile *old)
{
    struct pst_render_options options = {.old = old};
    struct pst_buf out;

    pst_buf_init(&out, 1 << 24);
    assert_int_equal(pst_render(p, format, &options, &out), 0);
    return out;
}

static void test_names_and_endings(void **state)
{
    static const struct {
        const char *file;
        enum pst_format format;
    } files[] = {
        {"a.svg", PST_FORMAT_FLAMEGRAPH},
        {"a.html", PST_FORMAT_HTML},
        {"a.json", PST_FORMAT_SPEEDSCOPE},
        {"a.speedscope.json", PST_FORMAT_SPEEDSCOPE},
        {"a.trace.json", PST_FORMAT_CHROMETRACE},
        {"a.txt", PST_FORMAT_RAW},
        {"a.folded", PST_FORMAT_RAW},
        {"a.pb.gz", PST_FORMAT_PPROF},
        {"a.pprof", PST_FORMAT_PPROF},
        {"a.otlp", PST_FORMAT_OTLP},
        {"a.unknown", PST_FORMAT_FLAMEGRAPH},
        {"a", PST_FORMAT_FLAMEGRAPH},
    };
    enum pst_format format;

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        assert_int_equal(pst_format_of_file(pst_str(files[i].file)), files[i].format);
    for (int i = 0; i < PST_FORMAT_COUNT; i++) {
        assert_int_equal(pst_format_parse(pst_str(pst_format_name((enum pst_format)i)), &format),
                         0);
        assert_int_equal(format, i);
    }
    assert_int_equal(pst_format_parse(PST_STR("Speedscope"), &format), 0);
    assert_int_equal(format, PST_FORMAT_SPEEDSCOPE);
    assert_int_equal(pst_format_parse(PST_STR("svg"), &format), -EINVAL);
}

static void assert_seconds(const json_t *profile, double expected)
{
    double seconds = json_real_value(json_object_get(profile, "endValue"));

    assert_string_equal(json_string_value(json_object_get(profile, "unit")), "seconds");
    if (seconds < expected * 0.999999 || seconds > expected * 1.000001)
        fail_msg("%.9g s instead of %.9g s", seconds, expected);
}

static json_t *speedscope(const struct pst_profile *p, const struct pst_render_options *options)
{
    struct pst_buf out;

    pst_buf_init(&out, 1 << 24);
    assert_int_equal(pst_render(p, PST_FORMAT_SPEEDSCOPE, options, &out), 0);
    json_t *root = json_loadb(out.data, out.len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    pst_buf_done(&out);
    return root;
}

static size_t entries_of(const json_t *root, size_t index)
{
    json_t *profile = json_array_get(json_object_get(root, "profiles"), index);
    size_t count = json_array_size(json_object_get(profile, "samples"));

    assert_int_equal(json_array_size(json_object_get(profile, "weights")), count);
    return count;
}

static const char *title_of(const json_t *root, size_t index)
{
    json_t *profile = json_array_get(json_object_get(root, "profiles"), index);

    return json_string_value(json_object_get(profile, "name"));
}

/* Scripts that count what py-spy wrote count entries, and take each frame's four keys. */
static void test_speedscope_has_an_entry_for_each_sample_and_all_keys_of_a_frame(void **state)
{
    struct pst_profile *p = small_profile(PST_MODE_WALL);
    uint32_t half = frame_of(p, "half", "/m.py", 3);
    struct pst_render_options options = {.apart = true};

    assert_int_equal(pst_profile_add(p, &half, 1, NULL, 0, 0, 50), 0);
    json_t *root = speedscope(p, &options), *frame;
    size_t index;

    assert_int_equal(json_array_size(json_object_get(root, "profiles")), 3);
    assert_string_equal(title_of(root, 0), "Thread \"\"");
    assert_string_equal(title_of(root, 1), "Thread 4711 \"MainThread\"");
    assert_int_equal(entries_of(root, 0), 1); /* time without a sample */
    assert_int_equal(entries_of(root, 1), 70);
    assert_int_equal(entries_of(root, 2), 30);
    json_array_foreach(json_object_get(json_object_get(root, "shared"), "frames"), index, frame)
    {
        assert_int_equal(json_object_size(frame), 4);
        assert_true(json_is_string(json_object_get(frame, "file")));
        assert_true(json_is_integer(json_object_get(frame, "line")));
        assert_true(json_is_null(json_object_get(frame, "col")));
    }
    json_decref(root);
    pst_profile_free(p);
}

static void test_speedscope_of_too_many_samples_has_one_entry_for_equal_ones(void **state)
{
    struct pst_profile *p = pst_profile_new(PST_MODE_WALL);
    uint32_t frame = frame_of(p, "often", "/m.py", 3);
    struct pst_render_options options = {0};

    assert_int_equal(pst_profile_add(p, &frame, 1, NULL, 0, INT64_MAX / 2, 50), 0);
    json_t *root = speedscope(p, &options);
    assert_int_equal(entries_of(root, 0), 1);
    json_decref(root);
    pst_profile_free(p);
}

static json_t *frame_at(const json_t *root, size_t index)
{
    return json_array_get(json_object_get(json_object_get(root, "shared"), "frames"), index);
}

static void test_speedscope_obeys_what_is_said_of_lines_and_threads(void **state)
{
    struct pst_profile *p = pst_profile_new(PST_MODE_WALL);
    uint32_t one = frame_of(p, "f", "/m.py", 11), two = frame_of(p, "f", "/m.py", 12);
    struct pst_render_options first = {.frame_flags = PST_FRAME_FUNCTIONS};
    struct pst_render_options none = {.frame_flags = PST_FRAME_NO_LINES, .threads = true};

    assert_int_equal(pst_profile_add(p, &one, 1, NULL, 0, 1, 50), 0);
    assert_int_equal(pst_profile_add(p, &two, 1, NULL, 0, 1, 50), 0);
    json_t *root = speedscope(p, &first);
    assert_int_equal(json_integer_value(json_object_get(frame_at(root, 0), "line")), 10);
    assert_null(frame_at(root, 1));
    json_decref(root);
    root = speedscope(p, &none);
    assert_true(json_is_null(json_object_get(frame_at(root, 0), "line")));
    assert_string_equal(json_string_value(json_object_get(frame_at(root, 1), "name")), "thread");
    json_t *profile = json_array_get(json_object_get(root, "profiles"), 0);
    json_t *stack = json_array_get(json_object_get(profile, "samples"), 0);
    assert_int_equal(json_array_size(stack), 2);
    assert_int_equal(json_integer_value(json_array_get(stack, 0)), 1);
    json_decref(root);
    pst_profile_free(p);
}

static void test_speedscope_has_one_profile_per_thread(void **state)
{
    struct pst_profile *p = small_profile(PST_MODE_CPU);
    struct pst_buf out = rendered(p, PST_FORMAT_SPEEDSCOPE, NULL);
    json_t *root = json_loadb(out.data, out.len, JSON_REJECT_DUPLICATES, NULL), *profiles;

    assert_non_null(root);
    profiles = json_object_get(root, "profiles");
    assert_int_equal(json_array_size(profiles), 3);
    assert_string_equal(json_string_value(json_object_get(json_array_get(profiles, 1), "name")),
                        "Thread 4711 \"MainThread\"");
    assert_seconds(json_array_get(profiles, 0), 1000e-9);
    assert_seconds(json_array_get(profiles, 2), 300e-9);
    json_decref(root);
    pst_buf_done(&out);
    pst_profile_free(p);
}

/* Begins and ends match per thread, and time never falls. */
static void assert_nested(const struct pst_buf *out, size_t expected)
{
    json_t *events = json_loadb(out->data, out->len, 0, NULL);
    const char *open[64][32];
    size_t depth[64] = {0}, seen = 0;
    json_int_t last[64] = {0};

    assert_non_null(events);
    for (size_t i = 0; i < json_array_size(events); i++) {
        json_t *event = json_array_get(events, i);
        const char *phase = json_string_value(json_object_get(event, "ph"));
        const char *name = json_string_value(json_object_get(event, "name"));
        json_int_t ts = json_integer_value(json_object_get(event, "ts"));
        size_t tid = (size_t)json_integer_value(json_object_get(event, "tid")) % 64;

        if (*phase == 'M')
            continue;
        seen++;
        assert_true(ts >= last[tid]);
        last[tid] = ts;
        if (*phase == 'B')
            open[tid][depth[tid]++] = name;
        else
            assert_string_equal(open[tid][--depth[tid]], name);
    }
    for (size_t tid = 0; tid < 64; tid++)
        assert_int_equal(depth[tid], 0);
    assert_int_equal(seen, expected);
    json_decref(events);
}

static void test_trace_events_nest(void **state)
{
    struct pst_profile *p = small_profile(PST_MODE_CPU);
    struct pst_buf out = rendered(p, PST_FORMAT_CHROMETRACE, NULL);

    /* MainThread opens three frames; worker-1 opens the two common ones once and two leaves. */
    assert_nested(&out, 2 * (3 + 4));
    pst_buf_done(&out);
    pst_profile_free(p);
}

static void test_trace_without_lines_keeps_a_function_open(void **state)
{
    struct pst_profile *p = pst_profile_new(PST_MODE_WALL);
    uint32_t one = frame_of(p, "f", "/m.py", 11), two = frame_of(p, "f", "/m.py", 12);
    struct pst_render_options none = {.frame_flags = PST_FRAME_NO_LINES};
    struct pst_buf out;

    assert_int_equal(pst_profile_add(p, &one, 1, NULL, 0, 1, 50000), 0);
    assert_int_equal(pst_profile_add(p, &two, 1, NULL, 0, 1, 50000), 0);
    pst_buf_init(&out, 1 << 16);
    assert_int_equal(pst_render(p, PST_FORMAT_CHROMETRACE, &none, &out), 0);
    assert_nested(&out, 2);
    assert_non_null(strstr(out.data, "\"line\":null"));
    pst_buf_done(&out);
    pst_profile_free(p);
}

static void test_trace_keeps_common_frames_and_closes_gaps(void **state)
{
    struct pst_profile *p = pst_profile_new(PST_MODE_CPU);
    uint32_t a = frame_of(p, "a", "/m.py", 1), b = frame_of(p, "b", "/m.py", 2);
    uint32_t c = frame_of(p, "c", "/m.py", 3);
    uint32_t ab[] = {b, a}, ac[] = {c, a};
    struct pst_chrometrace *trace;
    struct pst_buf out;

    pst_buf_init(&out, 1 << 16);
    trace = pst_chrometrace_new(p, 0, &out);
    assert_non_null(trace);
    assert_int_equal(pst_chrometrace_add(trace, 1, 7, PST_STR("t"), 0, 10000, ab, 2), 0);
    assert_int_equal(pst_chrometrace_add(trace, 1, 8, PST_STR("u"), 500, 10000, ab, 2), 0);
    assert_int_equal(pst_chrometrace_add(trace, 1, 7, PST_STR("t"), 10000, 10000, ac, 2), 0);
    assert_int_equal(pst_chrometrace_add(trace, 1, 7, PST_STR("t"), 90000, 10000, ac, 2), 0);
    assert_int_equal(pst_chrometrace_finish(trace), 0);
    pst_chrometrace_free(trace);
    /* 7: a, b, c; closed in the gap, a and c again. 8: a, b. */
    assert_nested(&out, 2 * (3 + 2 + 2));
    assert_non_null(strstr(out.data, "\"E\",\"pid\":1,\"tid\":7,\"ts\":20,"));
    pst_buf_done(&out);
    pst_profile_free(p);
}

static void test_hostile_names_stay_inside_their_quotes(void **state)
{
    struct pst_profile *p = pst_profile_new(PST_MODE_CPU);
    uint32_t frame =
        frame_of(p, "</title><script>alert(1)</script>\"'&\x01\x1b]0;x\x07", "]]>.py", 3);
    struct pst_buf svg, html, json;
    json_t *root;

    assert_int_equal(pst_profile_add(p, &frame, 1, NULL, 0, 1, 10), 0);
    svg = rendered(p, PST_FORMAT_FLAMEGRAPH, NULL);
    html = rendered(p, PST_FORMAT_HTML, NULL);
    json = rendered(p, PST_FORMAT_SPEEDSCOPE, NULL);
    assert_null(strstr(svg.data, "<script>alert"));
    assert_null(strstr(html.data, "<script>alert"));
    assert_null(strchr(svg.data, 1));
    assert_null(strchr(html.data, 0x1b));
    assert_null(strstr(json.data, "</script>"));
    root = json_loadb(json.data, json.len, 0, NULL);
    assert_non_null(root);
    json_decref(root);
    pst_buf_done(&svg);
    pst_buf_done(&html);
    pst_buf_done(&json);
    pst_profile_free(p);
}

static void test_empty_profile_gives_valid_files(void **state)
{
    struct pst_profile *p = pst_profile_new(PST_MODE_WALL);
    struct pst_buf svg = rendered(p, PST_FORMAT_FLAMEGRAPH, NULL);
    struct pst_buf html = rendered(p, PST_FORMAT_HTML, NULL);
    struct pst_buf json = rendered(p, PST_FORMAT_SPEEDSCOPE, NULL);
    struct pst_buf trace = rendered(p, PST_FORMAT_CHROMETRACE, NULL);
    struct pst_buf raw = rendered(p, PST_FORMAT_RAW, NULL);

    assert_non_null(strstr(svg.data, "No samples"));
    assert_nested(&trace, 0);
    assert_int_equal(raw.len, 0);
    pst_buf_done(&svg);
    pst_buf_done(&html);
    pst_buf_done(&json);
    pst_buf_done(&trace);
    pst_buf_done(&raw);
    pst_profile_free(p);
}

static void test_difference_colours_growth_red_and_shrinkage_blue(void **state)
{
    struct pst_profile *old = pst_profile_new(PST_MODE_CPU), *now = pst_profile_new(PST_MODE_CPU);
    uint32_t a = frame_of(old, "shrinks", "/m.py", 1), b = frame_of(old, "grows", "/m.py", 2);
    uint32_t c = frame_of(now, "shrinks", "/m.py", 1), d = frame_of(now, "grows", "/m.py", 2);
    struct pst_profile *wall = pst_profile_new(PST_MODE_WALL);
    struct pst_render_options options = {.old = wall};
    struct pst_buf out;
    char *frame;

    assert_int_equal(pst_profile_add(old, &a, 1, NULL, 0, 1, 70), 0);
    assert_int_equal(pst_profile_add(old, &b, 1, NULL, 0, 1, 30), 0);
    assert_int_equal(pst_profile_add(now, &c, 1, NULL, 0, 1, 100), 0);
    assert_int_equal(pst_profile_add(now, &d, 1, NULL, 0, 1, 100), 0);
    out = rendered(now, PST_FORMAT_FLAMEGRAPH, old);
    frame = strstr(out.data, "<title>grows");
    assert_non_null(frame);
    assert_non_null(strstr(frame, "30.00% → 50.00% (+20.00 points)"));
    while (memcmp(frame, "class=\"f ", 9) != 0)
        frame--;
    assert_int_equal(frame[9], 'r');
    frame = strstr(out.data, "<title>shrinks");
    assert_non_null(frame);
    while (memcmp(frame, "class=\"f ", 9) != 0)
        frame--;
    assert_int_equal(frame[9], 'b');
    pst_buf_reset(&out);
    assert_int_equal(pst_render(now, PST_FORMAT_FLAMEGRAPH, &options, &out), -EINVAL);
    pst_buf_done(&out);
    pst_profile_free(old);
    pst_profile_free(now);
    pst_profile_free(wall);
}

static void test_same_profile_gives_the_same_bytes(void **state)
{
    for (int format = 0; format < PST_FORMAT_OTLP; format++) {
        struct pst_random left = {.state = 9}, right = {.state = 9};
        struct pst_profile *a = random_profile(&left, 300), *b = random_profile(&right, 300);
        struct pst_buf first = rendered(a, (enum pst_format)format, NULL);
        struct pst_buf second = rendered(b, (enum pst_format)format, NULL);

        assert_int_equal(first.len, second.len);
        assert_memory_equal(first.data, second.data, first.len);
        pst_buf_done(&first);
        pst_buf_done(&second);
        pst_profile_free(a);
        pst_profile_free(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_endings),
        cmocka_unit_test(test_speedscope_has_one_profile_per_thread),
        cmocka_unit_test(test_speedscope_has_an_entry_for_each_sample_and_all_keys_of_a_frame),
        cmocka_unit_test(test_speedscope_of_too_many_samples_has_one_entry_for_equal_ones),
        cmocka_unit_test(test_speedscope_obeys_what_is_said_of_lines_and_threads),
        cmocka_unit_test(test_trace_events_nest),
        cmocka_unit_test(test_trace_without_lines_keeps_a_function_open),
        cmocka_unit_test(test_trace_keeps_common_frames_and_closes_gaps),
        cmocka_unit_test(test_hostile_names_stay_inside_their_quotes),
        cmocka_unit_test(test_empty_profile_gives_valid_files),
        cmocka_unit_test(test_difference_colours_growth_red_and_shrinkage_blue),
        cmocka_unit_test(test_same_profile_gives_the_same_bytes),
    };

    return cmocka_run_group_tests_name("formats", tests, NULL, NULL);
}
