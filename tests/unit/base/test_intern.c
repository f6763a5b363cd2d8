/* Interning: same bytes same id, bounds hold, views stay. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/intern.h"

static void equal_bytes_have_equal_ids_and_views_stay(void **state)
{
    struct pst_intern *intern = pst_intern_new(10000, 1 << 20);
    char text[32];
    for (uint32_t round = 0; round < 2; round++)
        for (uint32_t i = 0; i < 5000; i++) {
            uint32_t id;
            int len = snprintf(text, sizeof(text), "name %u", i);
            assert_int_equal(pst_intern_add(intern, text, (size_t)len, &id), 0);
            assert_int_equal(id, i);
        }
    for (uint32_t i = 0; i < 5000; i++) {
        int len = snprintf(text, sizeof(text), "name %u", i);
        assert_true(pst_str_eq(pst_intern_get(intern, i), (struct pst_str){text, (size_t)len}));
        assert_int_equal((uintptr_t)pst_intern_get(intern, i).ptr % 8, 0);
    }
    uint32_t id;
    assert_int_equal(pst_intern_find(intern, "absent", 6, &id), -ENOENT);
    assert_int_equal(pst_intern_add(intern, "", 0, &id), 0);
    assert_int_equal(pst_intern_get(intern, id).len, 0);
    pst_intern_clear(intern);
    assert_int_equal(pst_intern_count(intern), 0);
    assert_int_equal(pst_intern_find(intern, "name 1", 6, &id), -ENOENT);
    pst_intern_free(intern);
}

static void both_bounds_are_kept(void **state)
{
    uint32_t id;
    struct pst_intern *few = pst_intern_new(2, 1 << 20);
    assert_int_equal(pst_intern_add(few, "a", 1, &id), 0);
    assert_int_equal(pst_intern_add(few, "b", 1, &id), 0);
    assert_int_equal(pst_intern_add(few, "c", 1, &id), -ENOSPC);
    assert_int_equal(pst_intern_add(few, "a", 1, &id), 0);
    assert_int_equal(id, 0);
    pst_intern_free(few);

    struct pst_intern *small = pst_intern_new(1000, 64);
    char block[48] = {0};
    assert_int_equal(pst_intern_add(small, block, sizeof(block), &id), 0);
    block[0] = 1;
    assert_int_equal(pst_intern_add(small, block, sizeof(block), &id), -ENOSPC);
    assert_int_equal(pst_intern_count(small), 1);
    pst_intern_free(small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_bytes_have_equal_ids_and_views_stay),
        cmocka_unit_test(both_bounds_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
