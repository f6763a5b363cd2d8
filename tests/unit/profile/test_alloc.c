/* Every allocation fails once: building, encoding, decoding, merging, slicing and storing a profile
 * answer -ENOMEM (or NULL), free everything, and succeed when the failures stop. The linker sends
 * our code's allocations through the counters below. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/limits.h"
#include "failing.h"
#include "profile/item.h"
#include "profile/pprof.h"

static int fill(struct pst_profile *p, unsigned variant)
{
    struct pst_function function = {0};
    struct pst_label label = {0};
    uint32_t stack[40], id;
    int rc = pst_profile_string(p, PST_STR("bad \xff name"), &function.name);

    for (unsigned i = 0; i < 40 && rc == 0; i++) {
        function.start_line = i;
        rc = pst_profile_function(p, &function, &id);
        if (rc == 0)
            rc = pst_profile_location(p, id, i + variant, &stack[i]);
    }
    if (rc == 0)
        rc = pst_profile_string(p, PST_STR("thread_name"), &label.key);
    if (rc == 0)
        rc = pst_profile_string(p, PST_STR("main"), &label.str);
    for (unsigned i = 0; i < 40 && rc == 0; i++)
        rc = pst_profile_add(p, stack, 40 - i, &label, i % 2, 1, 10);
    return rc < 0 ? rc : pst_profile_add_comment(p, PST_STR("comment"));
}

static int build(unsigned variant, struct pst_profile **ret)
{
    struct pst_profile *p = pst_profile_new(PST_MODE_CPU);
    int rc = p ? fill(p, variant) : -ENOMEM;

    if (rc < 0)
        p = pst_profile_free(p);
    *ret = p;
    return rc;
}

static int work_with(struct pst_profile *a, struct pst_profile *b)
{
    struct pst_profile *back = NULL, *slice = NULL;
    struct pst_labels *labels = pst_labels_new();
    struct pst_item *item = NULL;
    int rc = labels ? pst_labels_set(labels, PST_STR("name"), PST_STR("value\xff")) : -ENOMEM;

    if (rc == 0)
        rc = pst_profile_merge(a, b, NULL, NULL);
    if (rc == 0)
        rc = pst_profile_slice(a, 3, 30, &slice);
    if (rc == 0)
        rc = pst_item_new(labels, slice, &item);
    if (rc == 0)
        rc = pst_pprof_decode(item->body, item->body_bytes, &back);
    if (rc == 0)
        assert_int_equal(pst_profile_sample_count(back), 27);
    pst_labels_free(labels);
    pst_item_unref(item);
    pst_profile_free(back);
    pst_profile_free(slice);
    return rc;
}

static int scenario(void)
{
    struct pst_profile *a = NULL, *b = NULL;
    int rc = build(0, &a);

    if (rc == 0)
        rc = build(1, &b);
    if (rc == 0)
        rc = work_with(a, b);
    pst_profile_free(a);
    pst_profile_free(b);
    return rc;
}

static void test_every_failed_allocation_is_survived(void **state)
{
    long nth = 0;
    int rc;

    (void)scenario(); /* one-time allocations of libraries */
    do {
        long before = held;

        until_failure = nth;
        rc = scenario();
        until_failure = -1;
        assert_int_equal(held, before);
        if (rc != 0)
            assert_int_equal(rc, -ENOMEM);
        nth++;
    } while (rc != 0 && nth < 100000);
    assert_int_equal(rc, 0);
    assert_true(nth > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_failed_allocation_is_survived),
    };

    return cmocka_run_group_tests_name("alloc", tests, NULL, NULL);
}
