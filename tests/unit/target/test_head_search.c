/* The search for the head of an interpreter list among bytes that only look like one. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "target/head_search.h"

enum {
    BASE = 0x100000,
    SIZE = 0x4000,
    HEAD = 0x100, /* of all: offsets into the bytes */
    MAIN_HEAD = 0x108,
    FIRST = 0x1000,
    SECOND = 0x1400,
    THREAD = 0x1800,
    DICT = 0x2000,
    DICT_TYPE = 0x2100,
    DICT_NAME = 0x2300,
};

struct fake {
    unsigned char bytes[SIZE];
    struct pst_memory *memory;
};

static void put(struct fake *fake, uint64_t offset, uint64_t value)
{
    memcpy(fake->bytes + offset, &value, sizeof(value));
}

static void interpreter(struct fake *fake, uint64_t at, uint64_t next, uint64_t thread)
{
    put(fake, at, next ? BASE + next : 0);
    put(fake, at + 8, BASE + thread);
    put(fake, at + 16, BASE + DICT);
    put(fake, thread + 16, BASE + at);
}

/* 3.6: one interpreter, to which two variables point. */
static struct fake make(void)
{
    struct fake fake = {0};

    put(&fake, HEAD, BASE + FIRST);
    put(&fake, MAIN_HEAD, BASE + FIRST);
    interpreter(&fake, FIRST, 0, THREAD);
    put(&fake, DICT + 8, BASE + DICT_TYPE);
    put(&fake, DICT_TYPE + 24, BASE + DICT_NAME);
    memcpy(fake.bytes + DICT_NAME, "dict", sizeof("dict"));
    return fake;
}

static int search(struct fake *fake, uint64_t near, uint64_t *ret)
{
    struct pst_elf elf = {
        .segment_count = 1,
        .segment = {{.vaddr = 0x20, .memory_bytes = SIZE - 0x20, .writable = true}}};
    char maps[64];

    fake->memory = pst_memory_new_buffer(BASE, fake->bytes, SIZE);
    assert_non_null(fake->memory);
    (void)snprintf(maps, sizeof(maps), "%x-%x rw-p 00000000 00:00 0 \n", BASE, BASE + SIZE);
    int status = pst_head_search(fake->memory, &elf, BASE, pst_str(maps),
                                 pst_head_links(0x03060ff0), near, ret);
    pst_memory_free(fake->memory);
    return status;
}

static void assert_found(struct fake *fake, uint64_t near, uint64_t offset)
{
    uint64_t address;

    assert_int_equal(search(fake, near, &address), 0);
    assert_int_equal(address, BASE + offset);
}

static void assert_none(struct fake *fake)
{
    uint64_t address;

    assert_int_equal(search(fake, 0, &address), -ENOENT);
}

static void test_the_first_or_the_nearest_of_equals_counts(void **state)
{
    struct fake fake = make();

    assert_found(&fake, 0, HEAD);
    assert_found(&fake, BASE + HEAD - 8, HEAD);
    assert_found(&fake, BASE + MAIN_HEAD + 8, MAIN_HEAD);
}

static void test_what_leads_to_more_interpreters_counts_wherever_it_lies(void **state)
{
    struct fake fake = make();

    put(&fake, HEAD, BASE + SECOND);
    interpreter(&fake, SECOND, FIRST, THREAD + 0x100);
    assert_found(&fake, BASE + MAIN_HEAD + 8, HEAD);
}

static void test_circular_lists_of_other_things_are_none(void **state)
{
    struct fake fake = make();

    put(&fake, FIRST + 16, BASE + THREAD); /* no dict */
    assert_none(&fake);
    fake = make();
    memcpy(fake.bytes + DICT_NAME, "dirt", 4);
    assert_none(&fake);
    fake = make();
    put(&fake, THREAD + 16, BASE + SECOND); /* its thread belongs to another */
    assert_none(&fake);
}

static void test_lists_without_an_end_and_wild_pointers_are_none(void **state)
{
    struct fake fake = make();

    put(&fake, FIRST, BASE + FIRST);
    assert_none(&fake);
    fake = make();
    put(&fake, FIRST + 16, BASE + 4 * SIZE);
    assert_none(&fake);
    fake = make();
    put(&fake, FIRST + 8, UINT64_C(0x7000dead0000));
    assert_none(&fake);
    memset(fake.bytes, 0xff, SIZE);
    assert_none(&fake);
}

/* Half a million words that could be pointers, and forty thousand ranges that they could lead to.
 */
static void test_many_mappings_do_not_make_the_search_long(void **state)
{
    enum { WORDS = 1 << 19, RANGES = 40000, LINE = 64 };
    uint64_t *words = malloc(WORDS * sizeof(*words)), address;
    char *maps = malloc((size_t)RANGES * LINE);
    size_t len = 0;
    struct pst_elf elf = {.segment_count = 1,
                          .segment = {{.memory_bytes = WORDS * sizeof(*words), .writable = true}}};

    assert_true(words && maps);
    for (size_t i = 0; i < WORDS; i++)
        words[i] = UINT64_C(0x700000000000) + i * 8;
    for (unsigned long i = 0; i < RANGES; i++)
        len += (size_t)snprintf(maps + len, LINE, "%lx-%lx rw-p 00000000 00:00 0 \n",
                                0x10000000 + i * 0x2000, 0x10001000 + i * 0x2000);
    struct pst_memory *memory = pst_memory_new_buffer(BASE, words, WORDS * sizeof(*words));
    clock_t begun = clock();
    assert_int_equal(pst_head_search(memory, &elf, BASE, (struct pst_str){maps, len},
                                     pst_head_links(0x03060ff0), 0, &address),
                     -ENOENT);
    assert_true(clock() - begun < 5 * CLOCKS_PER_SEC); /* of minutes */
    pst_memory_free(memory);
    free(words);
    free(maps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_or_the_nearest_of_equals_counts),
        cmocka_unit_test(test_what_leads_to_more_interpreters_counts_wherever_it_lies),
        cmocka_unit_test(test_circular_lists_of_other_things_are_none),
        cmocka_unit_test(test_lists_without_an_end_and_wild_pointers_are_none),
        cmocka_unit_test(test_many_mappings_do_not_make_the_search_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
