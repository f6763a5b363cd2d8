/* The hash map against a naive model: random puts, gets, removes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/map.h"
#include "base/random.h"

enum { KEYS = 400, STEPS = 200000 };

static void map_behaves_as_an_array_of_optional_values(void **state)
{
    struct pst_random random = {.state = pst_random_seed()};
    print_message("seed %llu\n", (unsigned long long)random.state);
    struct pst_map *map = pst_map_new(sizeof(uint32_t), sizeof(uint64_t), KEYS);
    bool there[KEYS] = {false};
    uint64_t values[KEYS];
    size_t count = 0;
    for (int step = 0; step < STEPS; step++) {
        uint32_t key = (uint32_t)pst_random_below(&random, KEYS);
        uint64_t *value = pst_map_get(map, &key);
        assert_true((value != NULL) == there[key]);
        if (value)
            assert_int_equal(*value, values[key]);
        if (pst_random_below(&random, 2)) {
            void *slot;
            bool fresh;
            assert_int_equal(pst_map_put(map, &key, &slot, &fresh), 0);
            assert_true(fresh == !there[key]);
            if (fresh)
                assert_int_equal(*(uint64_t *)slot, 0);
            values[key] = *(uint64_t *)slot = pst_random_next(&random);
            count += fresh;
            there[key] = true;
        } else {
            assert_true(pst_map_remove(map, &key) == there[key]);
            count -= there[key];
            there[key] = false;
        }
        assert_int_equal(pst_map_count(map), count);
    }
    size_t cursor = 0, seen = 0;
    const void *key;
    void *value;
    while (pst_map_next(map, &cursor, &key, &value)) {
        uint32_t at;
        memcpy(&at, key, sizeof(at));
        assert_true(there[at]);
        assert_int_equal(*(uint64_t *)value, values[at]);
        seen++;
    }
    assert_int_equal(seen, count);
    pst_map_clear(map);
    assert_int_equal(pst_map_count(map), 0);
    pst_map_free(map);
}

static void map_refuses_more_than_its_maximum(void **state)
{
    struct pst_map *map = pst_map_new(sizeof(uint64_t), 1, 3);
    void *value;
    for (uint64_t key = 0; key < 3; key++)
        assert_int_equal(pst_map_put(map, &key, &value, NULL), 0);
    uint64_t key = 3, known = 1;
    assert_int_equal(pst_map_put(map, &key, &value, NULL), -ENOSPC);
    assert_int_equal(pst_map_put(map, &known, &value, NULL), 0);
    assert_true(pst_map_remove(map, &known));
    assert_int_equal(pst_map_put(map, &key, &value, NULL), 0);
    pst_map_free(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(map_behaves_as_an_array_of_optional_values),
        cmocka_unit_test(map_refuses_more_than_its_maximum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
