/* Restart policy of the roles: no clock, no process, only the decision. */
#include "restart.h"

#include "base/clock.h"

#define FIRST_DELAY_NS  (100 * PST_NS_PER_MS)
#define LAST_DELAY_NS   (30 * PST_NS_PER_S)
#define KILLED_DELAY_NS (500 * PST_NS_PER_MS)
#define STABLE_NS       PST_NS_PER_S

uint64_t pst_restart_delay_ns(struct pst_restart *state, const struct pst_restart_end *end)
{
    if (end->was_ready && (!end->by_itself || end->lived_ns >= STABLE_NS)) {
        state->failures = 0;
        return 0;
    }
    uint64_t delay = FIRST_DELAY_NS;
    uint64_t most = end->by_itself ? LAST_DELAY_NS : KILLED_DELAY_NS;
    for (unsigned i = 0; i < state->failures && delay < most; i++)
        delay *= 2;
    state->failures++;
    return delay < most ? delay : most;
}
