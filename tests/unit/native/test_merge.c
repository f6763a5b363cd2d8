/* Where Python's frames go among native ones. Native frames are letters of small symbols, L a call
 * of the evaluation loop, h one of its parts, g the base of a greenlet; Python frames are digits,
 * an entry followed by '!'.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "merge.h"

enum { MOST = 64 };

static bool foreign; /* the stack may be a coroutine's */

static struct pst_place place_of(char letter)
{
    struct pst_place place = {.first = (uint32_t)letter, .count = 1};

    if (letter == 'g')
        return (struct pst_place){.kind = PST_PLACE_BASE};
    if (letter == 'L' || letter == 'h' || letter == '.')
        place = (struct pst_place){.python = true,
                                   .kind = letter == 'L'   ? PST_PLACE_LOOP
                                           : letter == 'h' ? PST_PLACE_HANDLER
                                                           : PST_PLACE_HIDDEN};
    return place;
}

static void assert_merged(const char *native, enum pst_unwind_end end, const char *python,
                          const char *expected, bool mismatch)
{
    struct pst_place places[MOST];
    struct pst_py_frame frames[MOST];
    struct pst_native_frame merged[MOST];
    char text[MOST + 1] = "";
    struct pst_merge_input input = {
        .places = places, .end = end, .python = frames, .foreign = foreign};
    bool found;

    for (; *native; native++)
        places[input.place_count++] = place_of(*native);
    for (; *python; python++) {
        if (*python == '!')
            frames[input.python_count - 1].entry = true;
        else
            frames[input.python_count++] = (struct pst_py_frame){.code = (uint32_t)*python};
    }
    size_t count = pst_native_merge(&input, merged, MOST, &found);
    for (size_t i = 0; i < count; i++)
        text[i] = merged[i].kind == PST_NATIVE_MARK ? "TJLMS"[merged[i].id] : (char)merged[i].id;
    assert_string_equal(text, expected);
    assert_int_equal(found, mismatch);
}

static void frames_below_the_base_of_a_greenlet_are_not_its_own(void **state)
{
    (void)state;
    assert_merged("aLbLggcLdL", PST_END_WHOLE, "12!34!", "a12b34", false);
    assert_merged("aLgbcL", PST_END_LOST, "1!", "a1", false);
    assert_merged("aLgb", PST_END_TRUNCATED, "1!", "a1", false);
    assert_merged("aLbLcLgL", PST_END_WHOLE, "1!", "aM1", true);
}

static void each_call_of_the_loop_runs_up_to_its_entry(void **state)
{
    assert_merged("aLbL", PST_END_WHOLE, "12!34!", "a12b34", false);
    assert_merged("aLbLcL", PST_END_WHOLE, "1!2!3!", "a1b2c3", false);
    assert_merged("L.", PST_END_WHOLE, "1!", "1", false);
    assert_merged("ab", PST_END_WHOLE, "", "ab", false);
    assert_merged("", PST_END_LOST, "1!2!", "L12", false);
}

static void a_handler_belongs_to_the_loop_that_called_it(void **state)
{
    assert_merged("ahLbhL", PST_END_WHOLE, "1!2!", "a1b2", false);
    assert_merged("ahbh", PST_END_WHOLE, "1!2!", "a1b2", false);
}

static void a_loop_that_has_no_frame_yet_shows_none(void **state)
{
    assert_merged("aLbL", PST_END_WHOLE, "1!", "ab1", false);
}

static void a_stack_that_was_cut_is_aligned_at_its_leaf(void **state)
{
    assert_merged("aLb", PST_END_TRUNCATED, "1!2!3!", "a1bT23", false);
    assert_merged("aLb", PST_END_JIT, "1!2!", "a1bJ2", false);
}

static void what_does_not_fit_costs_a_mark_and_no_python_frame(void **state)
{
    assert_merged("aLbL", PST_END_WHOLE, "1!2!3!", "aM123", true);
    assert_merged("aLLL", PST_END_WHOLE, "1!", "aM1", true);
    assert_merged("aLbL", PST_END_JIT, "1!", "aM1", true);
}

static void where_a_coroutine_begins_python_goes_on_alone(void **state)
{
    (void)state;
    foreign = true;
    assert_merged("aLb", PST_END_WHOLE, "1!2!", "a1bS2", false);
    assert_merged("aLbL", PST_END_WHOLE, "1!2!", "a1b2", false);
    assert_merged("aLLL", PST_END_WHOLE, "1!", "aM1", true);
    foreign = false;
}

static void too_many_frames_leave_python_alone(void **state)
{
    struct pst_place places[MOST];
    struct pst_py_frame frame = {.code = '1', .entry = true};
    struct pst_native_frame merged[2];
    struct pst_merge_input input = {
        .places = places, .place_count = MOST, .python = &frame, .python_count = 1};
    bool mismatch;

    for (size_t i = 0; i < MOST; i++)
        places[i] = place_of(i + 1 == MOST ? 'L' : 'a');
    assert_int_equal(pst_native_merge(&input, merged, 2, &mismatch), 2);
    assert_int_equal(merged[0].kind, PST_NATIVE_MARK);
    assert_int_equal(merged[1].kind, PST_NATIVE_PYTHON);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_below_the_base_of_a_greenlet_are_not_its_own),
        cmocka_unit_test(each_call_of_the_loop_runs_up_to_its_entry),
        cmocka_unit_test(a_handler_belongs_to_the_loop_that_called_it),
        cmocka_unit_test(a_loop_that_has_no_frame_yet_shows_none),
        cmocka_unit_test(a_stack_that_was_cut_is_aligned_at_its_leaf),
        cmocka_unit_test(what_does_not_fit_costs_a_mark_and_no_python_frame),
        cmocka_unit_test(where_a_coroutine_begins_python_goes_on_alone),
        cmocka_unit_test(too_many_frames_leave_python_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
