/* The walk over fake runtimes: the seeds of the fuzz corpus, read whole, then made to lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake.h"

enum {
    PREVIOUS_3_11 = 48,
    INSTR_3_11 = 56,
    MODULE_3_11 = BASE + 0x1020,
    MAIN_3_11 = MODULE_3_11 + 80,
};

static void assert_frame(const struct fake *fake, const struct pst_py_frame *frame,
                         const char *name, int line)
{
    const struct pst_py_code *code = pst_python_code(fake->python, frame->code);

    assert_true(pst_str_eq(code->name, pst_str(name)));
    assert_int_equal(frame->line, line);
}

static void reads_whole(const char *name, uint32_t hexversion, int top_line, int bottom_line)
{
    struct fake fake;

    load(&fake, name, hexversion);
    struct pst_py_sample sample = sampled(&fake);
    assert_int_equal(sample.threads[0].verdict, PST_V_OK);
    assert_int_equal(sample.threads[0].frame_count, 2);
    assert_frame(&fake, &sample.frames[0], "main", top_line);
    assert_frame(&fake, &sample.frames[1], "<module>", bottom_line);
    done(&fake);
}

static void test_frame_objects_are_read_whole(void **state)
{
    reads_whole("python-3.8", 0x030800f0, 21, 11);
}

static void test_frame_objects_before_3_7_are_read_whole(void **state)
{
    reads_whole("python-2.7", 0x020700f0, 221, 11);
    reads_whole("python-3.3", 0x030300f0, 221, 11);
    reads_whole("python-3.4", 0x030400f0, 221, 11);
    reads_whole("python-3.5", 0x030500f0, 221, 11);
    reads_whole("python-3.6", 0x030600f0, 21 - 56, 11); /* line deltas have got a sign */
}

static void test_threads_before_3_7_have_ids_names_and_the_gil(void **state)
{
    static const struct {
        const char *name;
        uint32_t hexversion;
    } versions[] = {{"python-2.7", 0x020700f0},
                    {"python-3.3", 0x030300f0},
                    {"python-3.4", 0x030400f0},
                    {"python-3.5", 0x030500f0},
                    {"python-3.6", 0x030600f0}};

    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        struct fake fake;
        struct pst_str name;
        load(&fake, versions[i].name, versions[i].hexversion);
        struct pst_py_sample sample = sampled(&fake);
        assert_int_equal(sample.threads[0].tid, 4711);
        assert_true(sample.threads[0].has_gil);
        assert_int_equal(sample.threads[0].interpreter, 0);
        assert_true(pst_python_thread_name(fake.python, sample.threads[0].tstate, &name));
        assert_true(pst_str_eq(name, PST_STR("worker")));
        assert_false(pst_python_unverified(fake.python));
        put(&fake, BASE + 8, 0);
        assert_int_equal(pst_python_sample(fake.python, NULL, NULL, &sample), PST_V_OK);
        assert_false(sample.threads[0].has_gil);
        done(&fake);
    }
}

static void test_a_version_next_to_a_known_one_is_kept_when_a_stack_comes_out_whole(void **state)
{
    struct fake fake;

    load(&fake, "python-2.7", 0x020600f0);
    (void)sampled(&fake);
    assert_true(pst_python_unverified(fake.python));
    done(&fake);
    load(&fake, "python-3.2", 0x030200f0);
    (void)sampled(&fake);
    assert_true(pst_python_unverified(fake.python));
    done(&fake);
    load(&fake, "python-3.3", 0x030200f0); /* other strings */
    assert_int_equal(attach(&fake), PST_V_LAYOUT);
    done(&fake);
    load(&fake, "python-3.8", 0x030800b1); /* a beta */
    (void)sampled(&fake);
    assert_true(pst_python_unverified(fake.python));
    done(&fake);
}

/* PyCode_Type of another build, as when objects are linked for debugging: every field lies
 * elsewhere. */
static void test_a_code_type_that_contradicts_the_layout_is_refused(void **state)
{
    enum { CODE_TYPE = BASE + 0xd00, MEMBERS = BASE + 0x3000, NAME = BASE + 0x3100 };
    struct pst_runtime runtime = {
        .runtime = BASE, .hexversion = 0x030800f0, .code_type = CODE_TYPE};
    struct fake fake;

    load(&fake, "python-3.8", 0x030800f0);
    put(&fake, CODE_TYPE + 240, MEMBERS);
    put(&fake, MEMBERS, NAME);
    memcpy(fake.bytes + (NAME - BASE), "co_name", sizeof("co_name"));
    put(&fake, MEMBERS + 16, 112);
    assert_int_equal(pst_python_attach(fake.memory, &runtime, &fake.python), PST_V_OK);
    fake.python = pst_python_free(fake.python);
    put(&fake, MEMBERS + 16, 112 + 16);
    assert_int_equal(pst_python_attach(fake.memory, &runtime, &fake.python), PST_V_LAYOUT);
    done(&fake);
}

static void test_data_stacks_are_read_whole(void **state)
{
    reads_whole("python-3.11", 0x030b00f0, 20, 10);
    reads_whole("python-3.12", 0x030c00f0, 20, 10);
}

static void test_free_threaded_builds_are_read_whole(void **state)
{
    reads_whole("python-3.13t", 0, 21, 11);
    reads_whole("python-3.14t", 0, 21, 11);
    reads_whole("python-3.15t", 0, 21, 11);
}

enum { TLBC_ARRAY = BASE + 0x1f20, TLBC_GENERATION_3_14 = BASE + 0x480 - 7272 + 17300 };

static void test_a_copy_of_bytecode_that_moved_is_asked_for_again(void **state)
{
    struct pst_py_sample sample;
    struct fake fake;

    load(&fake, "python-3.14t", 0);
    (void)sampled(&fake);
    /* The array has grown, the copies are others: this thread's instructions lie there now. */
    put(&fake, BASE + 0x1a00 + 224, BASE + 0x2600);
    put(&fake, BASE + 0x2600, 4);
    put(&fake, BASE + 0x2600 + 16, BASE + 0x2700);
    put(&fake, BASE + 0x1020 + 88 + 56, BASE + 0x2700 + 4);
    assert_int_equal(pst_python_sample(fake.python, NULL, NULL, &sample), PST_V_OK);
    assert_int_equal(sample.threads[0].verdict, PST_V_OK);
    assert_frame(&fake, &sample.frames[0], "main", 20);
    done(&fake);
}

static void test_a_new_generation_of_copies_forgets_the_old(void **state)
{
    struct pst_py_sample sample;
    struct fake fake;

    load(&fake, "python-3.14t", 0);
    (void)sampled(&fake);
    put(&fake, TLBC_GENERATION_3_14, 4);
    /* Where the old copy began, 20 bytes on is 4 bytes into the new one. */
    put(&fake, TLBC_ARRAY + 16, BASE + 0x2040 + 16);
    put(&fake, BASE + 0x1020 + 88 + 56, BASE + 0x2040 + 16 + 2);
    assert_int_equal(pst_python_sample(fake.python, NULL, NULL, &sample), PST_V_OK);
    assert_frame(&fake, &sample.frames[0], "main", 20);
    done(&fake);
}

static void test_an_index_of_copies_out_of_bounds_costs_the_frame(void **state)
{
    struct fake fake;

    load(&fake, "python-3.14t", 0);
    put(&fake, TLBC_ARRAY, 1);
    struct pst_py_sample sample = sampled(&fake);
    assert_int_equal(sample.threads[0].verdict, PST_V_OK);
    assert_true(sample.threads[0].trimmed);
    assert_int_equal(sample.threads[0].frame_count, 1);
    done(&fake);
}

static void test_nobody_holds_a_gil_that_is_off(void **state)
{
    enum { ENABLED = BASE + 0x480 - 7264 + 7760, HOLDER = ENABLED + 16, LOCKED = ENABLED + 24 };
    struct fake fake;

    load(&fake, "python-3.13t", 0);
    put(&fake, HOLDER, BASE + 0x800);
    put(&fake, LOCKED, 1);
    struct pst_py_sample sample = sampled(&fake);
    assert_true(pst_python_gil_off(fake.python));
    assert_true(sample.threads[0].attached);
    assert_false(sample.threads[0].has_gil);
    put(&fake, ENABLED, 1);
    assert_int_equal(pst_python_sample(fake.python, NULL, NULL, &sample), PST_V_OK);
    assert_false(pst_python_gil_off(fake.python));
    assert_true(sample.threads[0].has_gil);
    done(&fake);
}

static void test_a_steady_thread_costs_one_call_a_sample(void **state)
{
    struct pst_py_sample sample;
    struct fake fake;

    load(&fake, "python-3.12", 0x030c00f0);
    (void)sampled(&fake);
    uint64_t calls = pst_memory_calls(fake.memory), again = 0;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(pst_python_sample(fake.python, NULL, NULL, &sample), PST_V_OK);
        again += sample.retries; /* where this test lost its CPU in a read */
    }
    assert_int_equal(pst_memory_calls(fake.memory) - calls, 10 + again);
    done(&fake);
}

static bool nobody(void *context, pid_t tid)
{
    assert_int_equal(tid, 4711);
    return false;
}

static void test_a_thread_not_wanted_is_listed_without_frames(void **state)
{
    struct pst_py_sample sample;
    struct fake fake;

    load(&fake, "python-3.12", 0x030c00f0);
    assert_int_equal(attach(&fake), PST_V_OK);
    assert_int_equal(pst_python_sample(fake.python, nobody, NULL, &sample), PST_V_OK);
    assert_int_equal(sample.thread_count, 1);
    assert_int_equal(sample.threads[0].tid, 4711);
    assert_int_equal(sample.threads[0].frame_count, 0);
    assert_int_equal(sample.threads[0].verdict, PST_V_OK);
    done(&fake);
}

/* A caller that holds the thread up meanwhile waits for no other. */
static void test_one_thread_alone_is_read_as_with_the_others_and_without_them(void **state)
{
    struct pst_py_sample sample;
    struct fake fake;

    (void)state;
    load(&fake, "python-3.12", 0x030c00f0);
    struct pst_py_sample whole = sampled(&fake);
    uint32_t frames = whole.threads[0].frame_count;
    uint64_t calls = pst_memory_calls(fake.memory);
    assert_int_equal(pst_python_sample_thread(fake.python, 4711, &sample), PST_V_OK);
    assert_int_equal(pst_memory_calls(fake.memory) - calls, 1 + sample.retries);
    assert_int_equal(sample.thread_count, 1);
    assert_int_equal(sample.threads[0].frame_count, frames);
    assert_true(frames > 0);
    assert_int_equal(pst_python_sample_thread(fake.python, 4712, &sample), PST_V_OK);
    assert_int_equal(sample.thread_count, 0);
    done(&fake);
}

static void test_a_frame_that_was_left_is_no_root(void **state)
{
    struct fake fake;

    load(&fake, "python-3.8", 0x030800f0);
    put(&fake, BASE + 0x1000 + 112, 0); /* f_executing of <module> with it */
    struct pst_py_sample sample = sampled(&fake);
    assert_int_equal(sample.threads[0].verdict, PST_V_TRUNCATED);
    done(&fake);
    load(&fake, "python-3.11", 0x030b00f0);
    put(&fake, BASE + 0x1020 + 80 + PREVIOUS_3_11, 0); /* main begins no data stack */
    assert_int_equal(attach(&fake), PST_V_OK);
    assert_int_equal(pst_python_sample(fake.python, NULL, NULL, &sample), PST_V_OK);
    assert_int_equal(sample.threads[0].verdict, PST_V_TRUNCATED);
    done(&fake);
}

/* As where a generator came and went while it was read: no chain leads from it to the root. */
static void test_what_stands_below_a_leaf_without_a_caller_is_shown(void **state)
{
    struct fake fake;

    load(&fake, "python-3.11", 0x030b00f0);
    put(&fake, BASE + 0x1020 + 80 + PREVIOUS_3_11, 0);
    struct pst_py_sample sample = sampled(&fake);
    assert_int_equal(sample.threads[0].verdict, PST_V_OK);
    assert_true(sample.threads[0].trimmed);
    assert_int_equal(sample.threads[0].frame_count, 1);
    assert_frame(&fake, &sample.frames[0], "<module>", 10);
    done(&fake);
}

static void test_nothing_is_shown_of_what_lies_above_the_top(void **state)
{
    enum { TOP_3_11 = BASE + 0xa00 + 304 };
    struct fake fake;

    load(&fake, "python-3.11", 0x030b00f0);
    put(&fake, BASE + 0x1020 + 80 + PREVIOUS_3_11, 0);
    (void)sampled(&fake);
    put(&fake, TOP_3_11, MODULE_3_11 + 64); /* in the middle of the module's frame */
    struct pst_py_sample sample;
    assert_int_equal(pst_python_sample(fake.python, NULL, NULL, &sample), PST_V_OK);
    assert_int_equal(sample.threads[0].verdict, PST_V_TRUNCATED);
    done(&fake);
}

static void test_a_leaf_that_was_left_is_cut(void **state)
{
    struct fake fake;

    load(&fake, "python-3.8", 0x030800f0);
    put(&fake, BASE + 0x1400 + 112, 0);
    struct pst_py_sample sample = sampled(&fake);
    assert_int_equal(sample.threads[0].verdict, PST_V_OK);
    assert_true(sample.threads[0].trimmed);
    assert_int_equal(sample.threads[0].frame_count, 1);
    assert_frame(&fake, &sample.frames[0], "<module>", 11);
    done(&fake);
}

static void test_a_stack_that_comes_back_to_itself_is_a_cycle(void **state)
{
    struct fake fake;

    load(&fake, "python-3.11", 0x030b00f0);
    put(&fake, BASE + 0x1020 + PREVIOUS_3_11, BASE + 0x1020 + 80);
    struct pst_py_sample sample = sampled(&fake);
    assert_int_equal(sample.threads[0].verdict, PST_V_CYCLE);
    assert_int_equal(sample.threads[0].frame_count, 0);
    done(&fake);
}

enum { GENERATORS = 0x100000, GENERATOR_BYTES = 112, GENERATORS_MAX = 3000 };
static unsigned char generators[GENERATORS_MAX * GENERATOR_BYTES];

/* One that waits for what `next` calls. */
static void put_generator(uint32_t i, uint64_t next)
{
    uint64_t code = BASE + 0x2800, instr = code + 184 + 4;
    unsigned char *frame = generators + (size_t)i * GENERATOR_BYTES;

    memcpy(frame + 32, &code, 8);
    memcpy(frame + PREVIOUS_3_11, &next, 8);
    memcpy(frame + INSTR_3_11, &instr, 8);
    frame[69] = 1;
}

/* A chain of generators between main and the module, each waiting for the next, as a walk over a
 * tree makes one. */
static struct pst_py_sample sampled_generators(struct fake *fake, uint32_t count)
{
    struct pst_py_sample sample;

    memset(generators, 0, sizeof(generators));
    load(fake, "python-3.11", 0x030b00f0);
    for (uint32_t i = 0; i < count; i++)
        put_generator(i, i + 1 < count ? GENERATORS + (i + 1) * GENERATOR_BYTES : MODULE_3_11);
    put(fake, MAIN_3_11 + PREVIOUS_3_11, GENERATORS);
    assert_int_equal(
        pst_memory_add_buffer(fake->memory, GENERATORS, generators, sizeof(generators)), 0);
    assert_int_equal(attach(fake), PST_V_OK);
    for (int i = 0; i < 5; i++)
        assert_int_equal(pst_python_sample(fake->python, NULL, NULL, &sample), PST_V_OK);
    assert_int_equal(sample.thread_count, 1);
    return sample;
}

static void test_a_long_chain_of_generators_is_read_whole(void **state)
{
    struct fake fake;
    struct pst_py_sample sample = sampled_generators(&fake, 1000);

    assert_int_equal(sample.threads[0].verdict, PST_V_OK);
    assert_int_equal(sample.threads[0].frame_count, 1002);
    assert_frame(&fake, &sample.frames[0], "main", 20);
    uint64_t calls = pst_memory_calls(fake.memory);
    assert_int_equal(pst_python_sample(fake.python, NULL, NULL, &sample), PST_V_OK);
    /* The batch; and codes of frames that are not remembered are verified. */
    assert_true(pst_memory_calls(fake.memory) - calls <= 2 + sample.retries);
    done(&fake);
}

static void move_on(void *context)
{
    static uint64_t steps;
    uint64_t instr = BASE + 0x2c00 + 184 + 2 + 2 * (steps++ & 1);
    struct fake *fake = context;

    put(fake, MAIN_3_11 + INSTR_3_11, instr);
}

static void test_a_leaf_that_runs_above_a_long_chain_of_generators_does_not_cut_it(void **state)
{
    struct pst_py_sample sample;
    struct fake fake;

    sample = sampled_generators(&fake, 300);
    pst_memory_before_piece(fake.memory, move_on, &fake);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pst_python_sample(fake.python, NULL, NULL, &sample), PST_V_OK);
        assert_int_equal(sample.threads[0].verdict, PST_V_OK);
        assert_int_equal(sample.threads[0].frame_count, 302);
        assert_false(sample.threads[0].trimmed);
    }
    done(&fake);
}

static void test_a_new_generator_at_a_long_chain_makes_no_other_unknown(void **state)
{
    struct pst_py_sample sample;
    struct fake fake;

    sample = sampled_generators(&fake, 200);
    for (uint32_t i = 0; i < 20; i++) {
        put_generator(2000 + i, GENERATORS);
        put(&fake, MAIN_3_11 + PREVIOUS_3_11, GENERATORS + (2000 + i) * GENERATOR_BYTES);
        uint64_t calls = pst_memory_calls(fake.memory);
        assert_int_equal(pst_python_sample(fake.python, NULL, NULL, &sample), PST_V_OK);
        assert_int_equal(sample.threads[0].verdict, PST_V_OK);
        assert_int_equal(sample.threads[0].frame_count, 203);
        /* The batch, the new one by itself, codes that are verified. */
        assert_true(pst_memory_calls(fake.memory) - calls <= 3 + sample.retries);
    }
    done(&fake);
}

static void test_a_longer_chain_of_generators_is_too_deep_and_not_torn(void **state)
{
    struct fake fake;
    struct pst_py_sample sample = sampled_generators(&fake, 3000);

    assert_int_equal(sample.threads[0].verdict, PST_V_DEPTH);
    done(&fake);
}

static void test_a_wild_pointer_ends_the_stack_and_not_the_walker(void **state)
{
    struct fake fake;

    load(&fake, "python-3.11", 0x030b00f0);
    put(&fake, BASE + 0x1020 + PREVIOUS_3_11, UINT64_C(0xdeadbeefdeadbee8));
    struct pst_py_sample sample = sampled(&fake);
    assert_int_equal(sample.threads[0].verdict, PST_V_POINTER);
    done(&fake);
}

static void test_a_frame_whose_code_is_none_is_refused(void **state)
{
    struct fake fake;

    load(&fake, "python-3.11", 0x030b00f0);
    put(&fake, BASE + 0x1020 + 32, BASE + 0x3000);
    struct pst_py_sample sample = sampled(&fake);
    assert_int_equal(sample.threads[0].verdict, PST_V_CODE);
    done(&fake);
}

static void test_a_chain_without_its_base_is_not_a_stack(void **state)
{
    struct fake fake;

    load(&fake, "python-3.12", 0x030c00f0);
    put(&fake, BASE + 0x1020 + 8, 0); /* <module> no longer leads to the shim */
    struct pst_py_sample sample = sampled(&fake);
    assert_int_equal(sample.threads[0].verdict, PST_V_TRUNCATED);
    done(&fake);
}

static void test_a_thread_list_with_a_cycle_is_refused(void **state)
{
    struct fake fake;

    load(&fake, "python-3.11", 0x030b00f0);
    put(&fake, BASE + 0xa00 + 8, BASE + 0xa00);
    assert_int_equal(attach(&fake), PST_V_CYCLE);
    done(&fake);
}

static void test_interpreters_that_are_none_are_refused(void **state)
{
    struct fake fake;

    load(&fake, "python-3.11", 0x030b00f0);
    put(&fake, BASE + 40, 0);
    assert_int_equal(attach(&fake), PST_V_NOT_READY);
    put(&fake, BASE + 40, 12345);
    assert_int_equal(attach(&fake), PST_V_POINTER);
    put(&fake, BASE + 40, UINT64_C(0x700000000000));
    assert_int_equal(attach(&fake), PST_V_UNMAPPED);
    done(&fake);
}

static void test_a_version_without_a_layout_is_refused(void **state)
{
    struct fake fake;

    load(&fake, "python-3.11", 0x020200f0);
    assert_int_equal(attach(&fake), PST_V_VERSION);
    done(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame_objects_are_read_whole),
        cmocka_unit_test(test_frame_objects_before_3_7_are_read_whole),
        cmocka_unit_test(test_threads_before_3_7_have_ids_names_and_the_gil),
        cmocka_unit_test(test_a_version_next_to_a_known_one_is_kept_when_a_stack_comes_out_whole),
        cmocka_unit_test(test_a_code_type_that_contradicts_the_layout_is_refused),
        cmocka_unit_test(test_data_stacks_are_read_whole),
        cmocka_unit_test(test_free_threaded_builds_are_read_whole),
        cmocka_unit_test(test_a_copy_of_bytecode_that_moved_is_asked_for_again),
        cmocka_unit_test(test_a_new_generation_of_copies_forgets_the_old),
        cmocka_unit_test(test_an_index_of_copies_out_of_bounds_costs_the_frame),
        cmocka_unit_test(test_nobody_holds_a_gil_that_is_off),
        cmocka_unit_test(test_a_steady_thread_costs_one_call_a_sample),
        cmocka_unit_test(test_a_thread_not_wanted_is_listed_without_frames),
        cmocka_unit_test(test_one_thread_alone_is_read_as_with_the_others_and_without_them),
        cmocka_unit_test(test_a_frame_that_was_left_is_no_root),
        cmocka_unit_test(test_what_stands_below_a_leaf_without_a_caller_is_shown),
        cmocka_unit_test(test_nothing_is_shown_of_what_lies_above_the_top),
        cmocka_unit_test(test_a_leaf_that_was_left_is_cut),
        cmocka_unit_test(test_a_stack_that_comes_back_to_itself_is_a_cycle),
        cmocka_unit_test(test_a_long_chain_of_generators_is_read_whole),
        cmocka_unit_test(test_a_leaf_that_runs_above_a_long_chain_of_generators_does_not_cut_it),
        cmocka_unit_test(test_a_new_generator_at_a_long_chain_makes_no_other_unknown),
        cmocka_unit_test(test_a_longer_chain_of_generators_is_too_deep_and_not_torn),
        cmocka_unit_test(test_a_wild_pointer_ends_the_stack_and_not_the_walker),
        cmocka_unit_test(test_a_frame_whose_code_is_none_is_refused),
        cmocka_unit_test(test_a_chain_without_its_base_is_not_a_stack),
        cmocka_unit_test(test_a_thread_list_with_a_cycle_is_refused),
        cmocka_unit_test(test_interpreters_that_are_none_are_refused),
        cmocka_unit_test(test_a_version_without_a_layout_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
