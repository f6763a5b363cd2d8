/* Fake runtimes that lie: each lie ends in a verdict, after few reads and with little memory, and
 * no frame is shown that no honest reading would show. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "base/limits.h"
#include "fake.h"

/* Where the seed of 3.11 has its structures, and what in them leads on. */
enum {
    HEAD = BASE + 40,
    INTERP = BASE + 0x400,
    THREADS = INTERP + 16,
    TSTATE = BASE + 0xa00,
    TSTATE_BYTES = 360,
    NEXT = 8,
    CFRAME = BASE + 0xc00,
    CHUNK = BASE + 0x1000,
    MODULE = CHUNK + 32,
    MAIN = MODULE + 80,
    CODE = 32, /* of a frame */
    PREVIOUS = 48,
    MODULE_CODE = BASE + 0x2800,
    MAIN_CODE = BASE + 0x2c00,
    MAIN_NAME = BASE + 0x3880,
    LINES = BASE + 0xe00,
    FORGED = 0x100000,
    CALLS_MAX = 3 * PST_MAX_SAMPLE_READS,
};

/* Attaches and looks three times: what it said last. Never more than so many calls. */
static enum pst_verdict verdict_of(struct fake *fake, struct pst_py_sample *ret)
{
    enum pst_verdict verdict = attach(fake);

    for (int i = 0; i < 3 && fake->python; i++)
        verdict = pst_python_sample(fake->python, NULL, NULL, ret);
    assert_true(pst_memory_calls(fake->memory) <= CALLS_MAX);
    return verdict;
}

static bool is_code_of_the_seed(const struct fake *fake, uint32_t id)
{
    const struct pst_py_code *code = pst_python_code(fake->python, id);

    return pst_str_eq(code->name, PST_STR("main")) || pst_str_eq(code->name, PST_STR("<module>"));
}

/* Thread states in a ring of so many, the last leading back to the first of them. */
static void threads_come_back_after(uint32_t count, enum pst_verdict expected)
{
    static unsigned char forged[6000 * TSTATE_BYTES];
    struct pst_py_sample sample;
    struct fake fake;

    load(&fake, "python-3.11", 0x030b00f0);
    for (uint32_t i = 0; i < count; i++) {
        unsigned char *state = forged + (size_t)i * TSTATE_BYTES;
        uint64_t next = FORGED + (uint64_t)(i + 1) % count * TSTATE_BYTES, id = 100 + i;
        memcpy(state, fake.bytes + (TSTATE - BASE), TSTATE_BYTES);
        memcpy(state + NEXT, &next, 8);
        memcpy(state + 240, &id, 8);
    }
    put(&fake, TSTATE + NEXT, FORGED);
    assert_int_equal(pst_memory_add_buffer(fake.memory, FORGED, forged, sizeof(forged)), 0);
    assert_int_equal(verdict_of(&fake, &sample), expected);
    done(&fake);
}

static void a_list_of_threads_that_comes_back_is_told(void **state)
{
    threads_come_back_after(1, PST_V_CYCLE);
    threads_come_back_after(2, PST_V_CYCLE);
    threads_come_back_after(3, PST_V_CYCLE);
}

static void a_list_of_threads_longer_than_any_ends_at_its_bound(void **state)
{
    threads_come_back_after(5999, PST_V_BUDGET);
}

static void a_list_of_interpreters_that_comes_back_is_told(void **state)
{
    static const uint32_t counts[] = {1, 2, 3};

    for (size_t c = 0; c < 3; c++) {
        static unsigned char forged[3 * 0x600];
        struct pst_py_sample sample;
        struct fake fake;
        load(&fake, "python-3.11", 0x030b00f0);
        for (uint32_t i = 0; i < counts[c]; i++) {
            uint64_t next = FORGED + (uint64_t)(i + 1) % counts[c] * 0x600;
            memcpy(forged + (size_t)i * 0x600, fake.bytes + (INTERP - BASE), 0x600);
            memcpy(forged + (size_t)i * 0x600, &next, 8);
            memset(forged + (size_t)i * 0x600 + 16, 0, 8); /* without threads */
        }
        put(&fake, INTERP, FORGED);
        assert_int_equal(pst_memory_add_buffer(fake.memory, FORGED, forged, sizeof(forged)), 0);
        assert_int_equal(verdict_of(&fake, &sample), PST_V_CYCLE);
        done(&fake);
    }
}

static void a_chain_of_frames_that_comes_back_is_told(void **state)
{
    static const uint64_t links[][2] = {{MODULE, MODULE}, {MODULE, MAIN}, {MAIN, MAIN}};

    for (size_t i = 0; i < 3; i++) {
        struct pst_py_sample sample;
        struct fake fake;
        load(&fake, "python-3.11", 0x030b00f0);
        put(&fake, links[i][0] + PREVIOUS, links[i][1]);
        assert_int_equal(verdict_of(&fake, &sample), PST_V_OK);
        assert_int_equal(sample.threads[0].verdict, PST_V_CYCLE);
        assert_int_equal(sample.threads[0].frame_count, 0);
        done(&fake);
    }
}

/* Generators that wait for one another in a ring, as no honest gi_frame or cr_await leads: between
 * main and nothing. The ring is met from outside, or main is one of it. */
static void a_ring_of_generators_ends_at_its_bound(uint32_t count, bool whole)
{
    enum { GENERATOR_BYTES = 112, MAX = 6000, OWNER = 69, INSTR = 56 };
    static unsigned char ring[MAX * GENERATOR_BYTES];
    struct pst_py_sample sample = {0};
    struct fake fake;

    load(&fake, "python-3.11", 0x030b00f0);
    for (uint32_t i = 0; i < count; i++) {
        unsigned char *frame = ring + (size_t)i * GENERATOR_BYTES;
        uint64_t next = FORGED + (uint64_t)(i + 1) % count * GENERATOR_BYTES;
        uint64_t code = MODULE_CODE, instr = MODULE_CODE + 184 + 4;
        if (whole && i + 1 == count)
            next = MAIN;
        memcpy(frame + CODE, &code, 8);
        memcpy(frame + PREVIOUS, &next, 8);
        memcpy(frame + INSTR, &instr, 8);
        frame[OWNER] = 1;
    }
    put(&fake, MAIN + PREVIOUS, FORGED);
    assert_int_equal(pst_memory_add_buffer(fake.memory, FORGED, ring, sizeof(ring)), 0);
    assert_int_equal(attach(&fake), PST_V_OK);
    for (int i = 0; i < 8; i++) {
        uint64_t calls = pst_memory_calls(fake.memory);
        assert_int_equal(pst_python_sample(fake.python, NULL, NULL, &sample), PST_V_OK);
        assert_true(pst_memory_calls(fake.memory) - calls <= PST_MAX_SAMPLE_READS);
        assert_int_equal(sample.thread_count, 1);
        assert_int_not_equal(sample.threads[0].verdict, PST_V_OK);
        assert_int_equal(sample.threads[0].frame_count, 0);
    }
    assert_int_equal(sample.threads[0].verdict, count > 1000 ? PST_V_DEPTH : PST_V_CYCLE);
    done(&fake);
}

static void generators_that_wait_in_a_ring_are_told(void **state)
{
    static const uint32_t counts[] = {1, 2, 3, 63, 64, 65, 400, 900, 5999};

    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        a_ring_of_generators_ends_at_its_bound(counts[i], false);
        a_ring_of_generators_ends_at_its_bound(counts[i], true);
    }
}

/* Pointers and lengths that cannot be, in every place that leads on. */
static void no_pointer_and_no_length_leads_anywhere_else(void **state)
{
    static const uint64_t places[] = {
        HEAD,          INTERP,         THREADS,         TSTATE + NEXT,   TSTATE + 16,
        TSTATE + 56,   TSTATE + 296,   CFRAME + 8,      CHUNK,           CHUNK + 8,
        MODULE + CODE, MAIN + CODE,    MAIN + PREVIOUS, MAIN_CODE + 8,   MAIN_CODE + 16,
        LINES + 16,    MAIN_NAME + 16, MAIN_CODE + 112, MAIN_CODE + 120, MAIN_CODE + 136};
    static const uint64_t lies[] = {0,
                                    1,
                                    8,
                                    UINT64_C(0x7f0000000004),
                                    UINT64_C(1) << 30,
                                    UINT64_C(1) << 31,
                                    UINT64_C(1) << 47,
                                    UINT64_C(0xffff888000000000),
                                    UINT64_C(0x8000000000000000),
                                    INT64_MAX,
                                    UINT64_MAX};
    struct rusage before, after;

    (void)getrusage(RUSAGE_SELF, &before);
    for (size_t p = 0; p < sizeof(places) / sizeof(places[0]); p++) {
        for (size_t l = 0; l < sizeof(lies) / sizeof(lies[0]); l++) {
            struct pst_py_sample sample = {0};
            struct fake fake;
            load(&fake, "python-3.11", 0x030b00f0);
            put(&fake, places[p], lies[l]);
            enum pst_verdict verdict = verdict_of(&fake, &sample);
            for (size_t f = 0; verdict == PST_V_OK && f < sample.frame_count; f++)
                assert_true(places[p] == MAIN_CODE + 120 || places[p] == MAIN_NAME + 16 ||
                            is_code_of_the_seed(&fake, sample.frames[f].code));
            for (size_t t = 0; verdict == PST_V_OK && t < sample.thread_count; t++)
                assert_true(sample.threads[t].frame_count <= 2);
            done(&fake);
        }
    }
    (void)getrusage(RUSAGE_SELF, &after);
#ifndef PST_SANITIZED
    assert_true(after.ru_maxrss - before.ru_maxrss < 8 * 1024); /* KiB: the scratch, and no more */
#endif
}

struct moving {
    struct fake *fake;
    uint64_t place, values[2];
    unsigned pieces, every;
};

static void move(void *context)
{
    struct moving *moving = context;

    if (++moving->pieces % moving->every == 0)
        put(moving->fake, moving->place, moving->values[moving->pieces / moving->every % 2]);
}

/* A place that is one thing now and another a moment later, at every pace: what is shown has been
 * there, and the end of it is no part of another. */
static void what_changes_under_the_reader_shows_no_stack_that_never_was(void **state)
{
    static const struct {
        uint64_t place, values[2];
    } lies[] = {
        {MAIN + PREVIOUS, {MODULE, MAIN}},
        {MAIN + PREVIOUS, {MODULE, UINT64_C(0xdeadbeefdeadbee8)}},
        {MAIN + CODE, {MAIN_CODE, MODULE_CODE}},
        {CFRAME + 8, {MAIN, MODULE}},
        {TSTATE + NEXT, {0, TSTATE}},
        {TSTATE + 296, {CHUNK, 0}},
        {CHUNK + 8, {0x1000, UINT64_C(1) << 30}},
        {LINES + 16, {5, UINT64_C(1) << 40}},
        {MAIN_CODE + 136, {LINES, 8}},
        {HEAD, {INTERP, 0}},
    };

    for (size_t l = 0; l < sizeof(lies) / sizeof(lies[0]); l++) {
        for (unsigned every = 1; every <= 24; every++) {
            struct pst_py_sample sample = {0};
            struct fake fake;
            load(&fake, "python-3.11", 0x030b00f0);
            struct moving moving = {
                &fake, lies[l].place, {lies[l].values[0], lies[l].values[1]}, 0, every};
            pst_memory_before_piece(fake.memory, move, &moving);
            enum pst_verdict verdict = attach(&fake);
            for (int i = 0; i < 20 && fake.python; i++) {
                verdict = pst_python_sample(fake.python, NULL, NULL, &sample);
                for (size_t t = 0; verdict == PST_V_OK && t < sample.thread_count; t++) {
                    const struct pst_py_thread *thread = &sample.threads[t];
                    assert_true(thread->frame_count <= 2);
                    for (uint32_t f = 0; f < thread->frame_count; f++)
                        assert_true(is_code_of_the_seed(
                            &fake, sample.frames[thread->first_frame + f].code));
                }
            }
            done(&fake);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_of_threads_that_comes_back_is_told),
        cmocka_unit_test(a_list_of_threads_longer_than_any_ends_at_its_bound),
        cmocka_unit_test(a_list_of_interpreters_that_comes_back_is_told),
        cmocka_unit_test(a_chain_of_frames_that_comes_back_is_told),
        cmocka_unit_test(generators_that_wait_in_a_ring_are_told),
        cmocka_unit_test(no_pointer_and_no_length_leads_anywhere_else),
        cmocka_unit_test(what_changes_under_the_reader_shows_no_stack_that_never_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
