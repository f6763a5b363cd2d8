/* What each key changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "live/view.h"

enum { PAGE = 10 };

static struct pst_live_view fresh(void)
{
    struct pst_live_view view;

    pst_live_view_init(&view);
    return view;
}

static void type(struct pst_live_view *view, const char *keys)
{
    for (; *keys; keys++)
        (void)pst_live_view_key(view, (uint32_t)*keys, PAGE);
}

static void digits_choose_the_column(void **state)
{
    struct pst_live_view view = fresh();

    assert_int_equal(view.sort, PST_LIVE_BY_OWN_TIME);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(pst_live_view_key(&view, '1' + i, PAGE), PST_LIVE_REDRAW);
        assert_int_equal(view.sort, i);
    }
    assert_int_equal(pst_live_view_key(&view, '5', PAGE), PST_LIVE_NOTHING);
    assert_int_equal(view.sort, PST_LIVE_BY_TOTAL_TIME);
}

static void letters_choose_the_rows_and_go_back(void **state)
{
    struct pst_live_view view = fresh();

    type(&view, "L");
    assert_int_equal(view.rows, PST_LIVE_LINES);
    type(&view, "t");
    assert_int_equal(view.rows, PST_LIVE_THREADS);
    type(&view, "p");
    assert_int_equal(view.rows, PST_LIVE_PROCESSES);
    type(&view, "p");
    assert_int_equal(view.rows, PST_LIVE_FUNCTIONS);
}

static void a_filter_is_typed_kept_and_cleared(void **state)
{
    struct pst_live_view view = fresh();

    type(&view, "/qR?");
    assert_true(view.typing && !view.help);
    assert_string_equal(view.filter, "qR?");
    (void)pst_live_view_key(&view, 0xe9, PAGE);
    (void)pst_live_view_key(&view, 0x1f4a9, PAGE);
    assert_string_equal(view.filter, "qR?é💩");
    (void)pst_live_view_key(&view, PST_LIVE_KEY_BACKSPACE, PAGE);
    (void)pst_live_view_key(&view, PST_LIVE_KEY_BACKSPACE, PAGE);
    (void)pst_live_view_key(&view, PST_LIVE_KEY_BACKSPACE, PAGE);
    assert_string_equal(view.filter, "qR");
    (void)pst_live_view_key(&view, PST_LIVE_KEY_ENTER, PAGE);
    assert_false(view.typing);
    assert_string_equal(view.filter, "qR");
    (void)pst_live_view_key(&view, PST_LIVE_KEY_ESCAPE, PAGE);
    assert_string_equal(view.filter, "");
}

static void a_filter_is_bounded(void **state)
{
    struct pst_live_view view = fresh();

    type(&view, "/");
    for (int i = 0; i < 200; i++)
        (void)pst_live_view_key(&view, 0x20ac, PAGE);
    assert_in_range(strlen(view.filter), PST_LIVE_FILTER_BYTES - 4, PST_LIVE_FILTER_BYTES - 1);
    for (int i = 0; i < 200; i++)
        (void)pst_live_view_key(&view, PST_LIVE_KEY_BACKSPACE, PAGE);
    assert_string_equal(view.filter, "");
}

static void help_closes_with_any_key_but_q(void **state)
{
    struct pst_live_view view = fresh();

    type(&view, "?");
    assert_true(view.help);
    assert_int_equal(pst_live_view_key(&view, '1', PAGE), PST_LIVE_REDRAW);
    assert_false(view.help);
    assert_int_equal(view.sort, PST_LIVE_BY_OWN_TIME);
    type(&view, "?");
    assert_int_equal(pst_live_view_key(&view, 'q', PAGE), PST_LIVE_QUIT);
}

static void pause_reset_and_quit(void **state)
{
    struct pst_live_view view = fresh();

    type(&view, " ");
    assert_true(view.paused);
    type(&view, " ");
    assert_false(view.paused);
    assert_int_equal(pst_live_view_key(&view, 'R', PAGE), PST_LIVE_RESET);
    assert_int_equal(pst_live_view_key(&view, 'q', PAGE), PST_LIVE_QUIT);
}

static void scrolling_stays_inside(void **state)
{
    struct pst_live_view view = fresh();

    (void)pst_live_view_key(&view, PST_LIVE_KEY_DOWN, PAGE);
    assert_int_equal(view.first, 0);
    view.can_scroll = true;
    (void)pst_live_view_key(&view, PST_LIVE_KEY_PAGE_DOWN, PAGE);
    assert_int_equal(view.first, PAGE);
    (void)pst_live_view_key(&view, PST_LIVE_KEY_UP, PAGE);
    assert_int_equal(view.first, PAGE - 1);
    (void)pst_live_view_key(&view, PST_LIVE_KEY_PAGE_UP, PAGE);
    assert_int_equal(view.first, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digits_choose_the_column),
        cmocka_unit_test(letters_choose_the_rows_and_go_back),
        cmocka_unit_test(a_filter_is_typed_kept_and_cleared),
        cmocka_unit_test(a_filter_is_bounded),
        cmocka_unit_test(help_closes_with_any_key_but_q),
        cmocka_unit_test(pause_reset_and_quit),
        cmocka_unit_test(scrolling_stays_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
