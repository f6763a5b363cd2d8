/* A process may load another CPython runtime long after it was found to be a target: a plugin that
 * brings its own, a program that changes from one to the next. Reading everybody's mappings time
 * and again would cost more than sampling does; what they sum up to costs some microseconds, and
 * libraries do not come without it. */
#include "base/clock.h"
#include "base/limits.h"
#include "detect.h"
#include "scan_internal.h"

enum { LATEST_BACKOFF = 8 }; /* a second doubled so often between looks that find nothing */

/* The smallest libpython has 2 MB. */
static const uint64_t growth_bytes = 1048576;

void pst_runtimes_seen(struct target *target, const struct pst_runtime *waiting, bool unsettled)
{
    struct mapped *mapped = &target->mapped;

    mapped->waiting = *waiting;
    mapped->unsettled = unsettled;
    if (pst_statm_mapped(target->ref.pid, &mapped->bytes) < 0)
        mapped->bytes = UINT64_MAX;
}

static bool has_grown(struct target *target)
{
    struct mapped *mapped = &target->mapped;
    uint64_t bytes;

    if (pst_statm_mapped(target->ref.pid, &bytes) < 0)
        return false;
    if (bytes < mapped->bytes)
        mapped->bytes = bytes;
    return bytes - mapped->bytes >= growth_bytes;
}

static bool may_have_another(struct target *target)
{
    const struct pst_runtime *waiting = &target->mapped.waiting;

    return has_grown(target) || target->mapped.unsettled ||
           (waiting->hexversion && pst_detect_up(target->memory, waiting) > 0);
}

void pst_runtimes_check(struct pst_scan *scan, struct target *target)
{
    struct mapped *mapped = &target->mapped;
    uint64_t now = pst_clock_monotonic_ns();

    if (now < mapped->next_ns || target->facts->state == PST_TARGET_FAILED)
        return;
    pst_scan_enter(scan, target->ref.pid, target->ref.start_ticks);
    if (!may_have_another(target) || pst_target_look_again(scan, target) == 0)
        mapped->fruitless = 0;
    else if (mapped->fruitless < LATEST_BACKOFF)
        mapped->fruitless++;
    pst_scan_leave(scan);
    mapped->next_ns = now + (PST_NS_PER_S << mapped->fruitless);
}
