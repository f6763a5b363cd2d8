/* Windows: raw weights scaled to the thread's CPU, fixed ones left as they are, labels per thread.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "window.h"

static uint32_t function(struct pst_names *names, const char *text)
{
    uint32_t id;
    assert_int_equal(pst_names_synthetic(names, pst_str(text), &id), 0);
    return id;
}

static int64_t value_of(const struct pst_profile *profile, const char *leaf)
{
    int64_t total = 0;
    for (uint32_t i = 0; i < pst_profile_sample_count(profile); i++) {
        struct pst_profile_sample sample;
        uint32_t f;
        int64_t line;
        pst_profile_sample(profile, i, &sample);
        pst_profile_location_at(profile, sample.locations[0], &f, &line);
        struct pst_str name = pst_profile_text(profile, pst_profile_function_at(profile, f)->name);
        if (pst_str_eq(name, pst_str(leaf)))
            total += sample.value_ns;
    }
    return total;
}

static void raw_cpu_is_scaled_to_what_the_thread_used(void **state)
{
    struct pst_names *names = pst_names_new();
    struct pst_window *window = pst_window_new();
    uint32_t slot, other, hot, cold;
    struct pst_wframe frames[2] = {{function(names, "hot"), 3}, {function(names, "main"), 9}};
    struct pst_wframe lone = {function(names, "cold"), 1};
    assert_int_equal(pst_window_stack(window, frames, 2, &hot), 0);
    assert_int_equal(pst_window_stack(window, &lone, 1, &cold), 0);
    assert_int_equal(pst_window_thread(window, 10, &slot), 0);
    assert_int_equal(pst_window_thread(window, 11, &other), 0);
    pst_window_add_raw_cpu(window, slot, hot, 300, 3);
    pst_window_add_raw_cpu(window, slot, cold, 100, 1);
    pst_window_thread_cpu(window, slot, 8000);
    pst_window_add(window, other, cold, PST_MODE_CPU, 55, 0); /* stands as it is */
    pst_window_thread_name(window, slot, PST_STR("worker"));
    assert_true(pst_window_has_cpu(window, slot));
    assert_false(pst_window_has_cpu(window, other));

    struct pst_profile *profile;
    assert_int_equal(pst_window_profile(window, PST_MODE_CPU, names, 77, &profile), 0);
    assert_int_equal(value_of(profile, "hot"), 6000);
    assert_int_equal(value_of(profile, "cold"), 2055);
    int64_t samples, total;
    pst_profile_total(profile, &samples, &total);
    assert_int_equal(samples, 4);
    assert_int_equal(total, 8055);
    pst_profile_free(profile);
    assert_int_equal(pst_window_profile(window, PST_MODE_WALL, names, 77, &profile), 0);
    assert_null(profile);
    pst_window_free(window);
    pst_names_free(names);
}

/* The label start of a sample; -1: it has none. */
static int64_t start_of(const struct pst_profile *profile, uint32_t index)
{
    struct pst_profile_sample sample;
    pst_profile_sample(profile, index, &sample);
    for (size_t i = 0; i < sample.label_count; i++)
        if (pst_str_eq(pst_profile_text(profile, sample.labels[i].key), PST_STR("start")))
            return sample.labels[i].num;
    return -1;
}

static void weights_keep_their_times_when_asked(void **state)
{
    struct pst_names *names = pst_names_new();
    struct pst_window *window = pst_window_new();
    uint32_t slot, hot;
    struct pst_wframe frame = {function(names, "hot"), 3};
    pst_window_keep_times(window);
    pst_window_at(window, 1000);
    assert_int_equal(pst_window_stack(window, &frame, 1, &hot), 0);
    assert_int_equal(pst_window_thread(window, 10, &slot), 0);
    pst_window_at(window, 1500);
    pst_window_add_raw_cpu(window, slot, hot, 100, 1);
    pst_window_at(window, 2000);
    pst_window_add_raw_cpu(window, slot, hot, 300, 1);
    pst_window_add(window, slot, hot, PST_MODE_CPU, 5000, 0); /* from before the window */
    pst_window_thread_cpu(window, slot, 800);

    struct pst_profile *profile;
    assert_int_equal(pst_window_profile(window, PST_MODE_CPU, names, 77, &profile), 0);
    assert_int_equal(pst_profile_sample_count(profile), 3);
    assert_int_equal(start_of(profile, 0), 1400);
    assert_int_equal(start_of(profile, 1), 1700);
    assert_int_equal(start_of(profile, 2), 1000);
    assert_int_equal(value_of(profile, "hot"), 5800);
    pst_profile_free(profile);

    for (uint32_t i = 0; i < 60000; i++)
        pst_window_add(window, slot, hot, PST_MODE_CPU, 1, 0);
    assert_int_equal(pst_window_profile(window, PST_MODE_CPU, names, 77, &profile), 0);
    assert_int_equal(pst_profile_sample_count(profile),
                     1); /* too many: none is lost, none has a time */
    assert_int_equal(start_of(profile, 0), -1);
    assert_int_equal(value_of(profile, "hot"), 65800);
    pst_profile_free(profile);
    pst_window_free(window);
    pst_names_free(names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(raw_cpu_is_scaled_to_what_the_thread_used),
        cmocka_unit_test(weights_keep_their_times_when_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
