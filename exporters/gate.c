/* The shared backoff of an exporter's lanes. */
#include "gate.h"

#include "base/clock.h"

#define DRAIN_NS (1 * PST_NS_PER_S)

void pst_gate_init(struct pst_gate *gate, unsigned most)
{
    *gate = (struct pst_gate){.most = most ? most : 1, .width = 1};
}

bool pst_gate_allows(const struct pst_gate *gate, unsigned under_way, uint64_t now_ns)
{
    return under_way < (gate->failing ? 1 : gate->width) && now_ns >= gate->next_ns;
}

bool pst_gate_wants_lane(const struct pst_gate *gate, unsigned lanes, size_t waiting)
{
    uint64_t one_after_the_other_ns;
    if (gate->hurried || lanes == 0 ||
        __builtin_mul_overflow(waiting, gate->answer_ns, &one_after_the_other_ns))
        return true;
    return one_after_the_other_ns / DRAIN_NS >= lanes;
}

static bool old_news(const struct pst_gate *gate, uint64_t started_ns)
{
    return gate->failing && started_ns < gate->failed_ns;
}

bool pst_gate_delivered(struct pst_gate *gate, uint64_t started_ns, uint64_t now_ns)
{
    gate->answer_ns = (gate->answer_ns + (now_ns - started_ns)) / 2;
    if (old_news(gate, started_ns))
        return false;
    gate->failing = false;
    gate->rounds = 0;
    gate->next_ns = 0;
    if (gate->hurried)
        gate->width = gate->most;
    else if (gate->width < gate->most)
        gate->width++;
    return true;
}

void pst_gate_answered(struct pst_gate *gate, uint64_t started_ns)
{
    if (!old_news(gate, started_ns))
        gate->next_ns = 0;
}

uint64_t pst_gate_failed(struct pst_gate *gate, const struct pst_retry_policy *policy,
                         uint64_t after_ns, uint64_t started_ns, uint64_t now_ns,
                         struct pst_random *random)
{
    bool same = old_news(gate, started_ns);
    if (!same) {
        gate->rounds += gate->rounds < 64;
        gate->width = gate->width > 1 ? gate->width / 2 : 1;
        gate->failed_ns = now_ns;
        gate->failing = true;
    }
    /* Of a round that is counted already only a longer wait that the backend asks for is news. */
    uint64_t next_ns = gate->next_ns;
    if (!same || after_ns)
        next_ns = now_ns + pst_retry_delay_ns(policy, gate->rounds, after_ns, random);
    if (!same || next_ns > gate->next_ns)
        gate->next_ns = next_ns;
    return gate->next_ns > now_ns ? gate->next_ns - now_ns : 0;
}

void pst_gate_reset_wait(struct pst_gate *gate)
{
    gate->next_ns = 0;
}

void pst_gate_hurry(struct pst_gate *gate)
{
    gate->hurried = true;
    gate->next_ns = 0;
    if (!gate->failing)
        gate->width = gate->most;
}
