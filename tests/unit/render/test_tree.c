/* Labels, the call tree, the top table, changes and the terminal summary. */
#include <stdio.h>
#include <stdlib.h>

#include "render/changes.h"
#include "render/folded.h"
#include "render/frame.h"
#include "render/summary.h"
#include "render/top.h"
#include "render/tree.h"
#include "sample_profiles.h"

static void assert_short(const char *path, const char *expected)
{
    struct pst_str got = pst_frame_short_file(pst_str(path));

    if (!pst_str_eq(got, pst_str(expected)))
        fail_msg("%s became %.*s, not %s", path, (int)got.len, got.ptr, expected);
}

static void test_short_file_names(void **state)
{
    assert_short("/usr/lib/python3.11/json/decoder.py", "json/decoder.py");
    assert_short("/usr/lib/python3.14t/threading.py", "threading.py");
    assert_short("/srv/venv/lib/python3.11/site-packages/flask/app.py", "flask/app.py");
    assert_short("/usr/lib/python3/dist-packages/numpy/core.py", "numpy/core.py");
    assert_short("/srv/shop/app/render.py", "app/render.py");
    assert_short("/main.py", "main.py");
    assert_short("main.py", "main.py");
    assert_short("app/main.py", "app/main.py");
    assert_short("<frozen importlib._bootstrap>", "<frozen importlib._bootstrap>");
    assert_short("/srv/python3.11", "srv/python3.11");
    assert_short("/srv/folder/", "folder/");
    assert_short("/", "/");
    assert_short("", "");
}

static void assert_label(unsigned flags, const char *expected)
{
    struct pst_profile *p = pst_profile_new(PST_MODE_CPU);
    struct pst_buf out;

    pst_buf_init(&out, 4096);
    assert_int_equal(
        pst_frame_label(p, frame_of(p, "C.f", "/srv/shop/app/a.py", 57), flags, NULL, &out), 0);
    assert_string_equal(out.data, expected);
    pst_buf_done(&out);
    pst_profile_free(p);
}

static void test_labels_follow_the_flags(void **state)
{
    assert_label(0, "C.f (app/a.py:57)");
    assert_label(PST_FRAME_FULL_FILES, "C.f (/srv/shop/app/a.py:57)");
    assert_label(PST_FRAME_NO_LINES, "C.f (app/a.py)");
    assert_label(PST_FRAME_FUNCTIONS, "C.f (app/a.py:50)");
}

static struct pst_tree *tree_of(const struct pst_profile *p, const struct pst_tree_options *options)
{
    struct pst_tree *tree = pst_tree_new(options);

    assert_non_null(tree);
    assert_int_equal(pst_tree_add(tree, p, 0), 0);
    assert_int_equal(pst_tree_finish(tree), 0);
    return tree;
}

static void test_tree_sums_and_orders(void **state)
{
    struct pst_profile *p = small_profile(PST_MODE_CPU);
    struct pst_tree_options options = {0};
    struct pst_tree *tree = tree_of(p, &options);
    const struct pst_tree_node *all = pst_tree_at(tree, PST_TREE_ROOT), *work, *hot, *cold;

    assert_int_equal(pst_tree_count(tree), 5);
    assert_int_equal(all->total[0], 1000);
    work = pst_tree_at(tree, pst_tree_at(tree, all->first_child)->first_child);
    assert_true(pst_str_eq(work->label, PST_STR("Worker.work (app/work.py:40)")));
    assert_int_equal(work->total[0], 1000);
    assert_int_equal(work->self[0], 0);
    hot = pst_tree_at(tree, work->first_child);
    cold = pst_tree_at(tree, hot->next);
    assert_int_equal(hot->total[0], 800);
    assert_int_equal(cold->total[0], 200);
    assert_int_equal(cold->next, 0);
    assert_int_equal(cold->depth, 3);
    assert_int_equal(hot->package, work->package);
    pst_tree_free(tree);
    pst_profile_free(p);
}

static void test_folded_lines_are_sorted_and_clean(void **state)
{
    struct pst_profile *p = small_profile(PST_MODE_CPU);
    uint32_t odd = frame_of(p, "a;b\nc", "", 0);
    struct pst_tree_options options = {.weight = PST_WEIGHT_SAMPLES, .threads = true};
    struct pst_tree *tree;
    struct pst_buf out;

    assert_int_equal(pst_profile_add(p, &odd, 1, NULL, 0, 3, 0), 0);
    tree = tree_of(p, &options);
    pst_buf_init(&out, 1 << 16);
    assert_int_equal(pst_folded_write(tree, &out), 0);
    assert_string_equal(out.data, "a,b c 3\n"
                                  "thread (4711): MainThread;<module> (app/main.py:12);Worker.work "
                                  "(app/work.py:40);Worker.hot (app/work.py:55) 70\n"
                                  "thread (4711): worker-1;<module> (app/main.py:12);Worker.work "
                                  "(app/work.py:40);Worker.cold (app/work.py:71) 20\n"
                                  "thread (4711): worker-1;<module> (app/main.py:12);Worker.work "
                                  "(app/work.py:40);Worker.hot (app/work.py:55) 10\n");
    pst_buf_done(&out);
    pst_tree_free(tree);
    pst_profile_free(p);
}

static void test_top_counts_recursion_once(void **state)
{
    struct pst_profile *p = pst_profile_new(PST_MODE_CPU);
    uint32_t fib = frame_of(p, "fib", "/f.py", 12), same = frame_of(p, "fib", "/f.py", 13);
    uint32_t main_frame = frame_of(p, "main", "/f.py", 30);
    uint32_t deep[] = {same, fib, fib, main_frame}, flat[] = {fib, main_frame};
    struct pst_top *top = NULL;

    assert_int_equal(pst_profile_add(p, deep, 4, NULL, 0, 3, 30), 0);
    assert_int_equal(pst_profile_add(p, flat, 2, NULL, 0, 1, 10), 0);
    assert_int_equal(pst_top_new(p, &top), 0);
    assert_int_equal(top->count, 2);
    assert_true(pst_str_eq(top->rows[0].name, PST_STR("fib")));
    assert_int_equal(top->rows[0].self_ns, 40);
    assert_int_equal(top->rows[0].total_ns, 40);
    assert_int_equal(top->rows[0].total_samples, 4);
    assert_int_equal(top->rows[0].start_line, 10);
    assert_int_equal(top->rows[0].hot_line, 13);
    assert_int_equal(top->rows[1].self_ns, 0);
    assert_int_equal(top->rows[1].total_ns, 40);
    pst_top_free(top);
    pst_profile_free(p);
}

static void test_changes_are_of_shares(void **state)
{
    struct pst_profile *old = pst_profile_new(PST_MODE_CPU), *now = pst_profile_new(PST_MODE_CPU);
    uint32_t a = frame_of(old, "a", "/x/m.py", 5), b = frame_of(old, "b", "/x/m.py", 9);
    uint32_t c = frame_of(now, "a", "/x/m.py", 15), d = frame_of(now, "b", "/x/m.py", 9);
    struct pst_buf out;

    /* Twice as much time in all, and b's share grows by 20 points. */
    assert_int_equal(pst_profile_add(old, &a, 1, NULL, 0, 1, 70), 0);
    assert_int_equal(pst_profile_add(old, &b, 1, NULL, 0, 1, 30), 0);
    assert_int_equal(pst_profile_add(now, &c, 1, NULL, 0, 1, 100), 0);
    assert_int_equal(pst_profile_add(now, &d, 1, NULL, 0, 1, 100), 0);
    pst_buf_init(&out, 4096);
    assert_int_equal(pst_changes_write(old, now, 1, &out), 0);
    assert_non_null(strstr(out.data, "20.00 points"));
    pst_buf_reset(&out);
    assert_int_equal(pst_changes_write(old, now, 10, &out), 0);
    assert_non_null(strstr(out.data, "+20.00 points   30.00% ->  50.00%  b (x/m.py"));
    assert_non_null(strstr(out.data, "-20.00 points   70.00% ->  50.00%  a (x/m.py"));
    pst_buf_done(&out);
    pst_profile_free(old);
    pst_profile_free(now);
}

static size_t longest_line(const char *text)
{
    size_t longest = 0, columns = 0;

    for (; *text; text++) {
        if (*text == '\n')
            columns = 0;
        else if (((unsigned char)*text & 0xc0) != 0x80)
            columns++;
        longest = columns > longest ? columns : longest;
    }
    return longest;
}

static void test_summary_shows_both_modes_side_by_side(void **state)
{
    struct pst_profile *cpu = small_profile(PST_MODE_CPU), *wall = small_profile(PST_MODE_WALL);
    uint32_t wait = frame_of(wall, "Condition.wait", "/usr/lib/python3.11/threading.py", 324);
    struct pst_summary_service services[] = {
        {PST_STR("idle\033[31m"), PST_STR("3.9.2"), 1, NULL, NULL},
        {PST_STR("shop"), PST_STR("3.11.2"), 4, cpu, wall},
    };
    struct pst_summary_totals totals = {.elapsed_ns = 2000, .hz = 19, .processes = 5};
    struct pst_summary_options options = {.width = 80};
    struct pst_buf out;

    assert_int_equal(pst_profile_add(wall, &wait, 1, NULL, 0, 300, 3000), 0);
    pst_buf_init(&out, 1 << 16);
    assert_int_equal(pst_summary_write(services, 2, &totals, &options, &out), 0);
    assert_non_null(strstr(out.data, "shop  Python 3.11.2 · 4 processes · CPU 0.50 cores "
                                     "(100% of all) · wall 2.0 threads"));
    assert_non_null(strstr(out.data, "80.0%   20.0%  Worker.hot"));
    assert_non_null(strstr(out.data, "app/work.py:50"));
    assert_non_null(strstr(out.data, "75.0%  Condition.wait"));
    assert_null(strstr(out.data, "\033"));
    assert_true(strstr(out.data, "shop") < strstr(out.data, "idle"));
    pst_buf_reset(&out);
    options.color = true;
    options.width = 1;
    assert_int_equal(pst_summary_write(services, 2, &totals, &options, &out), 0);
    assert_null(strstr(out.data, "idle\033[31m"));
    pst_buf_done(&out);
    pst_profile_free(cpu);
    pst_profile_free(wall);
}

static void test_summary_rows_keep_to_the_width(void **state)
{
    struct pst_profile *cpu = pst_profile_new(PST_MODE_CPU);
    struct pst_summary_service service = {PST_STR("s"), PST_STR("3.11"), 1, cpu, NULL};
    struct pst_summary_totals totals = {.elapsed_ns = 1000};
    struct pst_buf out;
    char name[400];

    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = 0;
    for (int i = 0; i < 30; i++) {
        uint32_t frame = frame_of(cpu, name + i, "/a/very/long/path/of/a/package/module.py", i + 1);

        assert_int_equal(pst_profile_add(cpu, &frame, 1, NULL, 0, 1, 10), 0);
    }
    pst_buf_init(&out, 1 << 16);
    for (unsigned width = 80; width < 200; width += 17) {
        struct pst_summary_options options = {.width = width};

        pst_buf_reset(&out);
        assert_int_equal(pst_summary_write(&service, 1, &totals, &options, &out), 0);
        assert_true(longest_line(out.data) <= width);
    }
    pst_buf_done(&out);
    pst_profile_free(cpu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short_file_names),
        cmocka_unit_test(test_labels_follow_the_flags),
        cmocka_unit_test(test_tree_sums_and_orders),
        cmocka_unit_test(test_folded_lines_are_sorted_and_clean),
        cmocka_unit_test(test_top_counts_recursion_once),
        cmocka_unit_test(test_changes_are_of_shares),
        cmocka_unit_test(test_summary_shows_both_modes_side_by_side),
        cmocka_unit_test(test_summary_rows_keep_to_the_width),
    };

    return cmocka_run_group_tests_name("tree", tests, NULL, NULL);
}
