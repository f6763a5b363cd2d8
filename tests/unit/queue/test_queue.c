/* The queue without a disk: its bounds, its order, and that every drop is told once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "made.h"

static uint64_t now_ns = 1000;

static uint64_t fake_clock(void)
{
    return now_ns;
}

static void push(struct pst_queue *queue, int64_t number, size_t bytes)
{
    push_of(queue, "shop", number, bytes);
}

static struct pst_queue *make(size_t bytes, size_t items, uint64_t age_ns)
{
    struct pst_queue_bounds bounds = {bytes, items, age_ns, 0, 0};
    struct pst_queue_owner owner = {.dropped = on_drop};
    log_text[0] = '\0';
    return pst_queue_new(&bounds, NULL, NULL, &owner);
}

static void oldest_comes_first_and_release_keeps_its_place(void **state)
{
    struct pst_queue *queue = make(1 << 20, 100, 0);
    for (int n = 1; n <= 3; n++)
        push(queue, n, 10);
    assert_int_equal(take(queue), 1);
    pst_queue_release(queue, taken);
    assert_int_equal(take(queue), 1);
    pst_queue_done(queue, taken);
    assert_int_equal(take(queue), 2);
    pst_queue_done(queue, taken);
    assert_int_equal(take(queue), 3);
    pst_queue_done(queue, taken);
    assert_int_equal(take(queue), -1);
    struct pst_queue_stats stats = pst_queue_stats(queue);
    assert_int_equal(stats.items, 0);
    assert_int_equal(stats.bytes, 0);
    pst_queue_free(queue, "shutdown", false);
    assert_string_equal(log_text, "");
}

static void past_its_bytes_the_oldest_goes(void **state)
{
    struct pst_queue *queue = make(3 * (1000 + PST_QUEUE_ITEM_BYTES), 100, 0);
    for (int n = 1; n <= 5; n++)
        push(queue, n, 1000);
    assert_string_equal(log_text, "queue_full:1 queue_full:2");
    assert_int_equal(pst_queue_stats(queue).items, 3);
    push(queue, 6, 5000);
    assert_string_equal(log_text, "queue_full:1 queue_full:2 too_large:6");
    assert_int_equal(take(queue), 3);
    pst_queue_free(queue, "shutdown", false);
    assert_string_equal(log_text,
                        "queue_full:1 queue_full:2 too_large:6 shutdown:3 shutdown:4 shutdown:5");
}

/* As while a disk refuses: what fills memory is the only copy. */
static void past_its_memory_no_more_goes_than_has_to(void **state)
{
    struct pst_queue_bounds bounds = {1 << 20, 100, 0, 0, 3000};
    struct pst_queue_owner owner = {.dropped = on_drop};
    log_text[0] = '\0';
    struct pst_queue *queue = pst_queue_new(&bounds, NULL, NULL, &owner);
    for (int n = 1; n <= 5; n++)
        push(queue, n, 1000);
    assert_string_equal(log_text, "queue_full:1 queue_full:2");
    assert_int_equal(pst_queue_stats(queue).items, 3);
    assert_int_equal(pst_queue_stats(queue).memory_bytes, 3000);
    pst_queue_free(queue, "shutdown", false);
}

static void what_is_being_sent_is_not_dropped(void **state)
{
    struct pst_queue *queue = make(1 << 20, 2, 0);
    push(queue, 1, 10);
    push(queue, 2, 10);
    assert_int_equal(take(queue), 1);
    push(queue, 3, 10);
    push(queue, 4, 10);
    assert_string_equal(log_text, "queue_full:2 queue_full:3");
    pst_queue_done(queue, taken);
    assert_int_equal(take(queue), 4);
    pst_queue_done(queue, taken);
    pst_queue_free(queue, "shutdown", false);
}

static void what_is_too_old_expires(void **state)
{
    pst_clock_set_source(fake_clock, fake_clock);
    struct pst_queue *queue = make(1 << 20, 100, 50);
    push(queue, 1, 10);
    now_ns += 30;
    push(queue, 2, 10);
    now_ns += 30;
    assert_int_equal(take(queue), 2);
    assert_string_equal(log_text, "expired:1");
    pst_queue_free(queue, "shutdown", false);
    pst_clock_set_source(NULL, NULL);
}

static void new_bounds_hold_from_the_next_push_on(void **state)
{
    struct pst_queue *queue = make(1 << 20, 100, 0);
    for (int n = 1; n <= 4; n++)
        push(queue, n, 1000);
    pst_queue_configure(queue, 2 * (1000 + PST_QUEUE_ITEM_BYTES), 0);
    push(queue, 5, 1000);
    assert_string_equal(log_text, "queue_full:1 queue_full:2 queue_full:3");
    pst_queue_free(queue, "shutdown", false);
}

static void a_series_is_with_one_consumer_at_a_time_and_in_order(void **state)
{
    struct pst_queue *queue = make(1 << 20, 100, 0);
    push_of(queue, "a", 1, 10);
    push_of(queue, "a", 2, 10);
    push_of(queue, "b", 3, 10);
    push_of(queue, "b", 4, 10);
    assert_int_equal(take(queue), 1);
    struct pst_queue_entry *of_a = taken;
    assert_int_equal(take(queue), 3);
    struct pst_queue_entry *of_b = taken;
    assert_int_equal(take(queue), -1);
    assert_int_equal(pst_queue_stats(queue).taken, 2);
    of_a->progress.samples_done = 7;
    pst_queue_release(queue, of_a);
    assert_int_equal(take(queue), 1);
    assert_int_equal(taken->progress.samples_done, 7);
    pst_queue_done(queue, of_b);
    assert_int_equal(take(queue), 4);
    assert_int_equal(take(queue), -1);
    pst_queue_done(queue, of_a);
    assert_int_equal(take(queue), 2);
    assert_string_equal(log_text, "");
    pst_queue_free(queue, "shutdown", false);
    assert_string_equal(log_text, "shutdown:2 shutdown:4");
}

static void what_fails_while_others_get_through_lets_them_go_first(void **state)
{
    struct pst_queue *queue = make(1 << 20, 100, 0);
    push_of(queue, "bad", 1, 10);
    push_of(queue, "a", 2, 10);
    push_of(queue, "a", 3, 10);
    push_of(queue, "bad", 4, 10);
    push_of(queue, "b", 5, 10);
    assert_int_equal(take(queue), 1);
    pst_queue_release(queue, taken);
    assert_int_equal(take(queue), 2); /* others have their try */
    pst_queue_release(queue, taken);
    assert_int_equal(take(queue), 5);
    pst_queue_release(queue, taken);
    assert_int_equal(take(queue), 1); /* each in turn */
    pst_queue_release(queue, taken);
    assert_int_equal(take(queue), 2);
    pst_queue_done(queue, taken);
    assert_int_equal(take(queue), 1); /* the backend is back: the oldest first */
    pst_queue_release(queue, taken);
    assert_int_equal(take(queue), 3); /* it is the item: all others first, in their order */
    pst_queue_done(queue, taken);
    assert_int_equal(take(queue), 5);
    pst_queue_done(queue, taken);
    assert_int_equal(take(queue), 1);
    pst_queue_release(queue, taken);
    assert_int_equal(take(queue), 1);
    pst_queue_done(queue, taken);
    assert_int_equal(take(queue), 4); /* and nothing has overtaken in its own series */
    pst_queue_free(queue, "shutdown", false);
    assert_string_equal(log_text, "shutdown:4");
}

static void what_consumers_have_is_bounded_in_bytes(void **state)
{
    struct pst_queue_bounds bounds = {1 << 20, 100, 0, 1500, 0};
    struct pst_queue_owner owner = {.dropped = on_drop};
    struct pst_queue *queue = pst_queue_new(&bounds, NULL, NULL, &owner);
    push_of(queue, "large", 1, 4000);
    push_of(queue, "b", 2, 1000);
    push_of(queue, "c", 3, 1000);
    push_of(queue, "d", 4, 100);
    assert_int_equal(take(queue), 1); /* alone, whatever its size */
    assert_int_equal(take(queue), -1);
    pst_queue_done(queue, taken);
    assert_int_equal(take(queue), 2);
    struct pst_queue_entry *first = taken;
    assert_int_equal(take(queue), -1); /* the small one does not push itself before */
    pst_queue_done(queue, first);
    assert_int_equal(take(queue), 3);
    assert_int_equal(take(queue), 4);
    pst_queue_free(queue, "shutdown", false);
}

static void random_use_counts_every_item_once(void **state)
{
    unsigned long seed = 12345;
    struct pst_queue *queue = make(20000, 30, 0);
    unsigned long pushed = 0, done = 0, lost = 0;
    bool busy = false;
    for (int i = 0; i < 5000; i++) {
        seed = seed * 6364136223846793005UL + 1442695040888963407UL;
        unsigned choice = (unsigned)(seed >> 40) % 10;
        log_text[0] = '\0';
        if (choice < 6) {
            push(queue, i, (seed >> 20) % 4000);
            pushed++;
        } else if (busy) {
            busy = false;
            if (choice < 8)
                pst_queue_release(queue, taken);
            else
                pst_queue_done(queue, taken);
            done += choice >= 8;
        } else {
            busy = take(queue) >= 0;
        }
        for (const char *at = log_text; (at = strchr(at, ':')); at++)
            lost++;
        struct pst_queue_stats stats = pst_queue_stats(queue);
        assert_int_equal(stats.items, pushed - done - lost);
        assert_true(stats.bytes <= 20000 || stats.items == 1);
    }
    pst_queue_free(queue, "shutdown", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(oldest_comes_first_and_release_keeps_its_place),
        cmocka_unit_test(past_its_bytes_the_oldest_goes),
        cmocka_unit_test(past_its_memory_no_more_goes_than_has_to),
        cmocka_unit_test(what_is_being_sent_is_not_dropped),
        cmocka_unit_test(what_is_too_old_expires),
        cmocka_unit_test(new_bounds_hold_from_the_next_push_on),
        cmocka_unit_test(a_series_is_with_one_consumer_at_a_time_and_in_order),
        cmocka_unit_test(what_fails_while_others_get_through_lets_them_go_first),
        cmocka_unit_test(what_consumers_have_is_bounded_in_bytes),
        cmocka_unit_test(random_use_counts_every_item_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
