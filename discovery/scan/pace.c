/* With few processes each is looked at in every run; with very many, as many as the time since the
 * run before pays for: reading one costs some 9 µs, so that 200 a second are 0.2% of a core. */
#include "pace.h"

#include "base/clock.h"

enum {
    LOOKS_PER_SECOND = 200,
    LOOKS_PER_RUN = 512, /* the least */
    RECHECKS_PER_RUN = 64,
};
static const uint64_t young_ns = 60 * PST_NS_PER_S;

void pst_pace_run(struct pst_pace *pace, uint64_t now_ns)
{
    uint64_t looks = (now_ns - pace->run_ns) / PST_NS_PER_S * LOOKS_PER_SECOND;

    if (looks < LOOKS_PER_RUN)
        looks = LOOKS_PER_RUN;
    *pace = (struct pst_pace){
        .run_ns = now_ns,
        .run = pace->run + 1,
        .stride = pace->known > looks ? (pace->known + looks - 1) / looks : 1,
        .rechecks = RECHECKS_PER_RUN,
    };
}

bool pst_pace_turn(struct pst_pace *pace, pid_t pid, uint64_t age_ns)
{
    pace->known++;
    return ((uint64_t)pid + pace->run) % pace->stride == 0 || age_ns < young_ns;
}

bool pst_pace_recheck(struct pst_pace *pace)
{
    if (pace->rechecks == 0)
        return false;
    pace->rechecks--;
    return true;
}
