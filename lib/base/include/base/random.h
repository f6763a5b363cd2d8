/* Randomness for jitter and hash seeds. Not for secrets. */
#ifndef PST_BASE_RANDOM_H
#define PST_BASE_RANDOM_H

#include <stdint.h>

/* Process-wide seed drawn once from getrandom(2). */
uint64_t pst_random_seed(void);

/* Small generator with its own state (splitmix64); seed it with pst_random_seed() or a test's
 * constant. */
struct pst_random {
    uint64_t state;
};
uint64_t pst_random_next(struct pst_random *random);
/* Uniform in [0, bound); 0 when bound is 0. */
uint64_t pst_random_below(struct pst_random *random, uint64_t bound);

#endif
