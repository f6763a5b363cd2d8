/* fuzz: roles profile scan sampler python target base */
/* The three messages between roles, in both directions: the first byte says which decoder gets the
 * rest, as a peer that was taken over would send it. What is accepted must be inside its bounds and
 * survive being encoded and decoded again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "roles/link.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void try_facts(const uint8_t *data, size_t size, struct pst_buf *again)
{
    struct pst_link_facts facts, copy;

    if (pst_link_facts_decode(data, size, &facts) < 0)
        return;
    check(pst_link_facts_encode(&facts, again) == 0);
    check(pst_link_facts_decode(again->data, again->len, &copy) == 0);
    check(copy.kind == facts.kind && copy.facts.id == facts.facts.id);
    if (facts.kind == PST_LINK_FACT) {
        check(facts.facts.id != 0 && facts.facts.id <= UINT32_MAX && facts.facts.pid > 0);
        check(facts.facts.argv.len <= PST_MAX_LINK_BLOCK_BYTES);
        check(pst_str_eq(facts.facts.exe, copy.facts.exe));
    }
    pst_link_facts_done(&copy);
    pst_link_facts_done(&facts);
}

static void try_plan(const uint8_t *data, size_t size, struct pst_buf *again)
{
    static struct pst_link_plan plan, copy;

    if (pst_link_plan_decode(data, size, &plan) < 0)
        return;
    check(plan.row_count <= PST_MAX_PLAN_ROWS);
    for (size_t i = 0; i < plan.row_count; i++) {
        check(plan.rows[i].target != 0 && plan.rows[i].modes != 0);
        check(plan.rows[i].hz > 0 && plan.rows[i].hz <= 1000);
    }
    check(pst_link_plan_encode(&plan, again) == 0);
    check(pst_link_plan_decode(again->data, again->len, &copy) == 0);
    check(copy.kind == plan.kind && copy.row_count == plan.row_count);
}

static void try_up(const uint8_t *data, size_t size, struct pst_buf *again)
{
    struct pst_link_up up, copy;
    struct pst_buf third;

    if (pst_link_up_decode(data, size, &up) < 0)
        return;
    check(up.body_count <= PST_MODE_COUNT);
    for (size_t i = 0; i < up.body_count; i++)
        check(up.bodies[i].bytes > 0 && up.bodies[i].bytes <= PST_MAX_LINK_BODY_BYTES);
    check(pst_link_up_encode(&up, again) == 0);
    check(pst_link_up_decode(again->data, again->len, &copy) == 0);
    /* Compared as bytes on the wire: padding between members may hold anything. */
    pst_buf_init(&third, PST_MAX_LINK_MESSAGE_BYTES);
    check(pst_link_up_encode(&copy, &third) == 0);
    check(pst_str_eq(pst_buf_view(again), pst_buf_view(&third)));
    pst_buf_done(&third);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const tries[])(const uint8_t *, size_t, struct pst_buf *) = {try_facts, try_plan,
                                                                               try_up};
    struct pst_buf again;

    if (size == 0)
        return 0;
    pst_buf_init(&again, PST_MAX_LINK_MESSAGE_BYTES);
    tries[data[0] % 3](data + 1, size - 1, &again);
    pst_buf_done(&again);
    return 0;
}
