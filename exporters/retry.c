/* Exponential backoff with full jitter. */
#include "retry.h"

#include "base/clock.h"

#define INITIAL_NS   (1 * PST_NS_PER_S)
#define MAX_NS       (60 * PST_NS_PER_S)
#define MAX_AFTER_NS (300 * PST_NS_PER_S)

uint64_t pst_retry_delay_ns(const struct pst_retry_policy *policy, unsigned failures,
                            uint64_t after_ns, struct pst_random *random)
{
    if (after_ns) {
        if (after_ns > MAX_AFTER_NS)
            after_ns = MAX_AFTER_NS;
        return after_ns + pst_random_below(random, after_ns / 10 + 1);
    }
    uint64_t ceiling_ns = policy->initial_ns ? policy->initial_ns : INITIAL_NS;
    uint64_t max_ns = policy->max_ns ? policy->max_ns : MAX_NS;
    for (unsigned i = 1; i < failures && ceiling_ns < max_ns; i++) {
        if (__builtin_mul_overflow(ceiling_ns, 2, &ceiling_ns))
            ceiling_ns = UINT64_MAX;
    }
    if (ceiling_ns > max_ns)
        ceiling_ns = max_ns;
    return 1 + pst_random_below(random, ceiling_ns);
}

bool pst_retry_exhausted(const struct pst_retry_policy *policy, uint64_t first_ns, uint64_t now_ns)
{
    return policy->max_elapsed_ns && now_ns > first_ns &&
           now_ns - first_ns >= policy->max_elapsed_ns;
}
