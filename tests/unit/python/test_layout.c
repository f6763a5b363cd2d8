/* Layouts: every row of the table holds together, and debug offsets that cannot be are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "layout.h"
#include "target/head_search.h"

enum { BYTES = 888, VERSION_AT = 8, RUNTIME_SIZE_AT = 24, INTERPRETERS_HEAD_AT = 40 };

static void load(const char *name, unsigned char *bytes)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "../../fuzz/corpus/debug_offsets/%s", name);
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    assert_int_equal(fread(bytes, 1, BYTES, in), BYTES);
    (void)fclose(in);
}

static enum pst_verdict parse(const unsigned char *bytes, struct pst_layout *layout)
{
    struct pst_spans spans;
    enum pst_verdict verdict = pst_debug_offsets_parse(bytes, BYTES, 0, layout);

    return verdict == PST_V_OK ? pst_layout_check(layout, &spans) : verdict;
}

static void test_debug_offsets_of_real_pythons_are_taken(void **state)
{
    unsigned char bytes[BYTES];
    struct pst_layout layout;

    load("python-3.13", bytes);
    assert_int_equal(parse(bytes, &layout), PST_V_OK);
    assert_int_equal(layout.tstate.frame, 72);
    assert_int_equal(layout.tstate.chunk, 232);
    load("python-3.14", bytes);
    assert_int_equal(parse(bytes, &layout), PST_V_OK);
    assert_int_equal(layout.interp.code_generation, 7992);
    assert_int_equal(layout.code.bytecode, 208);
    load("python-3.15", bytes);
    assert_int_equal(parse(bytes, &layout), PST_V_OK);
    assert_int_equal(layout.tstate.base_frame, 80);
    assert_int_equal(layout.tstate.native_thread_id, 184);
    assert_int_equal(layout.interp.gil_holder, 7744);
    assert_int_equal(layout.object.text_compact, 56);
    assert_int_equal(layout.frame.localsplus, 80);
    assert_int_equal(layout.object.tuple_items, 32);
    assert_int_equal(layout.object.set_table, 40);
}

static void test_pre_releases_are_refused(void **state)
{
    unsigned char bytes[BYTES];
    struct pst_layout layout;

    load("python-3.15", bytes);
    bytes[VERSION_AT] = 0xb2; /* 3.15.xb2 */
    assert_int_equal(parse(bytes, &layout), PST_V_PRE_RELEASE);
}

static void test_a_new_minor_is_tried_by_its_own_word_and_marked(void **state)
{
    unsigned char bytes[BYTES];
    struct pst_layout layout;

    load("python-3.15", bytes);
    assert_int_equal(parse(bytes, &layout), PST_V_OK);
    assert_false(layout.unverified);
    bytes[VERSION_AT + 2] = 16;
    assert_int_equal(parse(bytes, &layout), PST_V_OK);
    assert_true(layout.unverified);
    assert_int_equal(layout.tstate.base_frame, 80);
    bytes[VERSION_AT] = 0xa1; /* 3.16.xa1 */
    assert_int_equal(parse(bytes, &layout), PST_V_PRE_RELEASE);
}

static void test_offsets_outside_their_structure_are_refused(void **state)
{
    unsigned char bytes[BYTES];
    struct pst_layout layout;
    uint64_t word = UINT64_C(1) << 40;

    load("python-3.15", bytes);
    memcpy(bytes + INTERPRETERS_HEAD_AT, &word, sizeof(word));
    assert_int_equal(parse(bytes, &layout), PST_V_LAYOUT);
    load("python-3.15", bytes);
    memcpy(bytes + RUNTIME_SIZE_AT, &word, sizeof(word));
    assert_int_equal(parse(bytes, &layout), PST_V_LAYOUT);
    load("python-3.15", bytes);
    word = 937; /* not aligned */
    memcpy(bytes + INTERPRETERS_HEAD_AT, &word, sizeof(word));
    assert_int_equal(parse(bytes, &layout), PST_V_LAYOUT);
    load("python-3.15", bytes);
    bytes[0] = 'y';
    assert_int_equal(parse(bytes, &layout), PST_V_LAYOUT);
    load("python-3.15", bytes);
    assert_int_equal(pst_debug_offsets_parse(bytes, 400, 0, &layout), PST_V_LAYOUT);
    assert_int_equal(pst_debug_offsets_parse(bytes, BYTES, 0x030e00f0, &layout), PST_V_LAYOUT);
}

static void test_every_row_fits_what_a_sample_reads(void **state)
{
    struct pst_spans spans;

    for (uint32_t version = 0x0203; version <= 0x030c; version++) {
        if (version == 0x0208)
            version = 0x0300;
        const struct pst_layout *row = pst_layout_row(version << 16, false);
        assert_non_null(row);
        assert_int_equal(pst_layout_check(row, &spans), PST_V_OK);
        assert_int_equal(row->unverified,
                         version < 0x0207 || (version >> 8 == 3 && version < 0x0303));
    }
    assert_null(pst_layout_row(0x02020000, false));
    assert_null(pst_layout_row(0x03ff0000, false));
}

static void test_a_row_may_end_at_a_patch_release(void **state)
{
    assert_int_equal(pst_layout_row(0x030703f0, false)->runtime.gil_holder, 1184);
    assert_int_equal(pst_layout_row(0x030704f0, false)->runtime.gil_holder, 1272);
}

static void test_discovery_knows_the_same_links_as_the_layouts(void **state)
{
    for (uint32_t version = 0x0203; version <= 0x030c; version++) {
        if (version == 0x0208)
            version = 0x0300;
        const struct pst_layout *row = pst_layout_row(version << 16, false);
        const struct pst_head_links *links = pst_head_links(version << 16);
        assert_non_null(links);
        assert_int_equal(links->runtime_head, row->runtime.interpreters_head);
        assert_int_equal(links->threads_head, row->interp.threads_head);
        assert_int_equal(links->modules, row->interp.modules);
        assert_int_equal(links->tstate_interp, row->tstate.interp);
        assert_int_equal(row->interp.next, 0);
    }
    assert_null(pst_head_links(0x030d0000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_debug_offsets_of_real_pythons_are_taken),
        cmocka_unit_test(test_pre_releases_are_refused),
        cmocka_unit_test(test_a_new_minor_is_tried_by_its_own_word_and_marked),
        cmocka_unit_test(test_discovery_knows_the_same_links_as_the_layouts),
        cmocka_unit_test(test_a_row_may_end_at_a_patch_release),
        cmocka_unit_test(test_offsets_outside_their_structure_are_refused),
        cmocka_unit_test(test_every_row_fits_what_a_sample_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
