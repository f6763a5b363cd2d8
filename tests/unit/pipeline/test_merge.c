/* One item per label set and mode; alone a window passes unchanged; starts never move back. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "pipeline/merge.h"
#include "profile/pprof.h"

static struct pst_item *items[4096];
static size_t item_count;

static void collect(void *context, struct pst_item *item)
{
    items[item_count++] = pst_item_ref(item);
}

static void forget(void)
{
    while (item_count)
        pst_item_unref(items[--item_count]);
}

static struct pst_labels *service(const char *name)
{
    struct pst_labels *labels = pst_labels_new();
    assert_int_equal(pst_labels_set(labels, PST_STR("service_name"), pst_str(name)), 0);
    return labels;
}

static void add(struct pst_merge *merge, const char *name, enum pst_mode mode, int64_t time_ns,
                const char *function, int64_t value_ns)
{
    struct pst_profile *profile = pst_profile_new(mode);
    struct pst_profile_meta meta = {mode, time_ns, 1000, 10};
    struct pst_labels *labels = service(name);
    struct pst_buf body;
    uint32_t location;
    pst_buf_init(&body, 1 << 20);
    assert_int_equal(pst_profile_synthetic(profile, function, &location), 0);
    assert_int_equal(pst_profile_add(profile, &location, 1, NULL, 0, 1, value_ns), 0);
    pst_profile_set_meta(profile, &meta);
    assert_int_equal(pst_pprof_encode(profile, true, &body), 0);
    assert_int_equal(pst_merge_add(merge, labels, &meta, 1, value_ns, body.data, body.len), 0);
    pst_buf_done(&body);
    pst_labels_free(labels);
    pst_profile_free(profile);
}

static void workers_of_one_service_become_one_profile_per_mode(void **state)
{
    struct pst_merge *merge = pst_merge_new(collect, NULL);
    add(merge, "web", PST_MODE_CPU, 100, "f", 5);
    add(merge, "web", PST_MODE_CPU, 90, "f", 7);
    add(merge, "web", PST_MODE_WALL, 100, "f", 9);
    add(merge, "job", PST_MODE_CPU, 100, "g", 11);
    pst_merge_flush(merge);
    assert_int_equal(item_count, 3);
    int64_t sum = 0;
    for (size_t i = 0; i < item_count; i++) {
        sum += items[i]->value_ns;
        if (items[i]->value_ns == 12) {
            assert_int_equal(items[i]->time_ns, 90);
            assert_int_equal(items[i]->samples, 2);
        }
    }
    assert_int_equal(sum, 32);
    forget();
    pst_merge_flush(merge);
    assert_int_equal(item_count, 0);
    pst_merge_free(merge);
}

static void starts_never_move_back_within_a_series(void **state)
{
    struct pst_merge *merge = pst_merge_new(collect, NULL);
    add(merge, "web", PST_MODE_CPU, 5000, "f", 1);
    pst_merge_flush(merge);
    add(merge, "web", PST_MODE_CPU, 2000, "f", 1); /* the wall clock was set back */
    pst_merge_flush(merge);
    assert_int_equal(item_count, 2);
    assert_int_equal(items[1]->time_ns, 5001);
    struct pst_profile *decoded;
    assert_int_equal(pst_pprof_decode(items[1]->body, items[1]->body_bytes, &decoded), 0);
    assert_int_equal(pst_profile_meta(decoded).time_ns, 5001);
    pst_profile_free(decoded);
    forget();
    pst_merge_free(merge);
}

static void label_sets_past_the_bound_share_an_overflow_series(void **state)
{
    struct pst_merge *merge = pst_merge_new(collect, NULL);
    char name[32];
    for (int i = 0; i < PST_MAX_LABEL_SETS + 5; i++) {
        (void)snprintf(name, sizeof(name), "service %d", i);
        add(merge, name, PST_MODE_CPU, 100, "f", 1);
    }
    pst_merge_flush(merge);
    assert_int_equal(item_count, PST_MAX_LABEL_SETS + 1);
    int64_t overflow = 0;
    for (size_t i = 0; i < item_count; i++)
        if (pst_str_eq(pst_labels_get(items[i]->labels, "service_name"), PST_STR("[overflow]")))
            overflow = items[i]->value_ns;
    assert_int_equal(overflow, 5);
    forget();
    pst_merge_free(merge);
}

static void label_sets_that_nothing_uses_make_room(void **state)
{
    struct pst_merge *merge = pst_merge_new(collect, NULL);
    char name[32];
    for (int i = 0; i < PST_MAX_LABEL_SETS; i++) {
        (void)snprintf(name, sizeof(name), "pod %d", i);
        add(merge, name, PST_MODE_CPU, 100, "f", 1);
    }
    for (int flush = 0; flush < 300; flush++) {
        pst_merge_flush(merge);
        forget();
        add(merge, "pod 7", PST_MODE_CPU, 1000 + flush, "f", 1);
    }
    add(merge, "new pod", PST_MODE_CPU, 5000, "f", 1);
    pst_merge_flush(merge);
    assert_int_equal(item_count, 2);
    for (size_t i = 0; i < item_count; i++)
        assert_false(
            pst_str_eq(pst_labels_get(items[i]->labels, "service_name"), PST_STR("[overflow]")));
    assert_int_equal(pst_merge_series(merge), 2);
    forget();
    pst_merge_free(merge);
}

static void a_body_that_is_no_profile_is_refused_when_it_must_be_read(void **state)
{
    struct pst_merge *merge = pst_merge_new(collect, NULL);
    struct pst_labels *labels = service("web");
    struct pst_profile_meta meta = {PST_MODE_CPU, 1, 1, 1};
    add(merge, "web", PST_MODE_CPU, 1, "f", 3);
    assert_int_equal(pst_merge_add(merge, labels, &meta, 1, 1, "garbage", 7), -EBADMSG);
    pst_merge_flush(merge);
    assert_int_equal(item_count, 1);
    assert_int_equal(items[0]->value_ns, 3);
    forget();
    pst_labels_free(labels);
    pst_merge_free(merge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workers_of_one_service_become_one_profile_per_mode),
        cmocka_unit_test(starts_never_move_back_within_a_series),
        cmocka_unit_test(label_sets_past_the_bound_share_an_overflow_series),
        cmocka_unit_test(label_sets_that_nothing_uses_make_room),
        cmocka_unit_test(a_body_that_is_no_profile_is_refused_when_it_must_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
