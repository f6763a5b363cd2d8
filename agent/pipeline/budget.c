/* Steps down at once, steps back only after several calm windows: a limit that flaps would make
 * rates incomparable from window to window. */
#include "pipeline/budget.h"

#include <stddef.h>

static const double least = 1.0 / 16;
static const double calm_ratio = 0.6; /* doubling the rate at this load stays near the limit */
enum { CALM_WINDOWS = 4 };
/* Room that is given back is soon used again, and what it held was read anew for nothing. */
enum { CALM_WINDOWS_OF_CACHES = 20 };
/* Caches shrink here, so that the limit itself is not reached between two measurements. */
static const double near = 0.875, far = 0.75;

void pst_budget_init(struct pst_budget *budget)
{
    *budget = (struct pst_budget){.rate_factor = 1, .target_share = 1};
}

static const char *step_down(struct pst_budget *budget)
{
    if (budget->rate_factor > 0.26) {
        budget->rate_factor /= 2;
        return "interval";
    }
    if (!budget->cpu_only) {
        budget->cpu_only = true;
        return "cpu_only";
    }
    if (budget->target_share > least) {
        budget->target_share /= 2;
        return "targets";
    }
    if (budget->rate_factor > least) {
        budget->rate_factor /= 2;
        return "interval";
    }
    return NULL;
}

const char *pst_budget_memory(struct pst_budget *budget, uint64_t memory_bytes,
                              uint64_t memory_limit_bytes, bool settled)
{
    if (!settled || budget->shrink == PST_BUDGET_SHRINK_MAX ||
        (double)memory_bytes <= (double)memory_limit_bytes * near)
        return NULL;
    budget->calm_windows = 0;
    budget->shrink =
        memory_bytes > memory_limit_bytes ? (unsigned)PST_BUDGET_SHRINK_MAX : budget->shrink + 1;
    return "caches";
}

static const char *step_up(struct pst_budget *budget)
{
    if (budget->target_share < 1)
        budget->target_share *= 2;
    else if (budget->cpu_only)
        budget->cpu_only = false;
    else if (budget->rate_factor < 1)
        budget->rate_factor *= 2;
    else if (budget->shrink > 0)
        budget->shrink--;
    else
        return NULL;
    return "recover";
}

const char *pst_budget_measure(struct pst_budget *budget, double cpu_ratio, double cpu_limit,
                               uint64_t memory_bytes, uint64_t memory_limit_bytes)
{
    bool full = memory_bytes > memory_limit_bytes && budget->shrink == PST_BUDGET_SHRINK_MAX;
    if (cpu_ratio > cpu_limit || full) {
        budget->calm_windows = 0;
        return step_down(budget);
    }
    bool calm = cpu_ratio < cpu_limit * calm_ratio / 2 &&
                (double)memory_bytes < (double)memory_limit_bytes * far;
    if (!calm) {
        budget->calm_windows = 0;
        return NULL;
    }
    bool whole = budget->target_share >= 1 && !budget->cpu_only && budget->rate_factor >= 1;
    if (++budget->calm_windows < (whole ? CALM_WINDOWS_OF_CACHES : CALM_WINDOWS))
        return NULL;
    budget->calm_windows = 0;
    return step_up(budget);
}
