/* Steps count as proven only after three sightings near each other, are told apart, and are
 * forgotten when code objects may have changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "steps.h"

static struct pst_step step(uint64_t i)
{
    return (struct pst_step){0x7f0000001000 + i * 64, 0x7f0000002000 + i * 2, 0x7f0000003000};
}

static void a_step_is_proven_by_three_sightings_or_by_the_bytecode(void **state)
{
    struct pst_steps *steps = pst_steps_new();
    struct pst_step one = step(1), other = step(1), said = step(2);

    other.instr += 2;
    pst_steps_seen(steps, &one);
    assert_false(pst_steps_proven(steps, &one));
    pst_steps_seen(steps, &other);
    assert_false(pst_steps_proven(steps, &one));
    pst_steps_seen(steps, &one);
    assert_false(pst_steps_proven(steps, &one));
    pst_steps_seen(steps, &one);
    assert_true(pst_steps_proven(steps, &one));
    assert_false(pst_steps_proven(steps, &other));
    pst_steps_prove(steps, &said);
    assert_true(pst_steps_proven(steps, &said));
    pst_steps_free(steps);
}

/* A sampler that runs for days meets any torn read often: what counted for ever was one day taken
 * for proven, and up to a tenth of the samples were wrong from then on. */
static void sightings_far_apart_never_add_up_to_a_proof(void **state)
{
    struct pst_steps *steps = pst_steps_new();
    struct pst_step rare = step(1), often = step(2);
    unsigned proven = 0;

    for (unsigned sample = 0; sample < 20 * 100000; sample++) {
        pst_steps_sample(steps);
        if (sample % 100000 == 0)
            pst_steps_seen(steps, &rare);
        if (sample % 1000 == 0)
            pst_steps_seen(steps, &often);
        assert_false(pst_steps_proven(steps, &rare));
        proven += pst_steps_proven(steps, &often);
    }
    assert_true(proven > 20 * 80000);
    pst_steps_free(steps);
}

static void code_objects_that_change_take_what_was_proven_with_them(void **state)
{
    struct pst_steps *steps = pst_steps_new();
    struct pst_step one = step(1);

    pst_steps_epoch(steps, 1);
    pst_steps_prove(steps, &one);
    pst_steps_epoch(steps, 1);
    assert_true(pst_steps_proven(steps, &one));
    pst_steps_epoch(steps, 2);
    assert_false(pst_steps_proven(steps, &one));
    pst_steps_free(steps);
}

static void a_full_set_forgets_the_old_and_learns_the_new(void **state)
{
    struct pst_steps *steps = pst_steps_new();
    unsigned kept = 0;

    for (uint64_t i = 0; i < 100000; i++) {
        struct pst_step old = step(i);
        pst_steps_prove(steps, &old);
        pst_steps_prove(steps, &old);
    }
    for (uint64_t i = 200000; i < 200100; i++) {
        struct pst_step fresh = step(i);
        for (int seen = 0; seen < 4; seen++)
            pst_steps_seen(steps, &fresh);
        kept += pst_steps_proven(steps, &fresh);
    }
    assert_true(kept >= 90);
    for (uint64_t i = 300000; i < 400000; i++) {
        struct pst_step never = step(i);
        assert_false(pst_steps_proven(steps, &never));
    }
    pst_steps_free(steps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_is_proven_by_three_sightings_or_by_the_bytecode),
        cmocka_unit_test(sightings_far_apart_never_add_up_to_a_proof),
        cmocka_unit_test(code_objects_that_change_take_what_was_proven_with_them),
        cmocka_unit_test(a_full_set_forgets_the_old_and_learns_the_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
