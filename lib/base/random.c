/* Jitter and hash seeds. */
#include "base/random.h"

#include <pthread.h>
#include <sys/random.h>

#include "base/clock.h"

static uint64_t process_seed;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void draw_seed(void)
{
    /* Early boot may have no entropy yet: the clock is a poor seed, but better than blocking. */
    if (getrandom(&process_seed, sizeof(process_seed), GRND_NONBLOCK) != sizeof(process_seed))
        process_seed = pst_clock_monotonic_ns() * 0x9e3779b97f4a7c15ULL;
}

uint64_t pst_random_seed(void)
{
    (void)pthread_once(&once, draw_seed);
    return process_seed;
}

/* splitmix64 (Steele, Lea, Flood 2014): one word of state passes BigCrush. */
uint64_t pst_random_next(struct pst_random *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

uint64_t pst_random_below(struct pst_random *random, uint64_t bound)
{
    return (uint64_t)(((unsigned __int128)pst_random_next(random) * bound) >> 64);
}
