/* One turn of one target: whether it is looked at, or so idle, so quiet or so still that a clock
 * read tells all. */
#include "base/clock.h"
#include "look.h"

enum {
    IDLE_LOOK_ONE_IN = 16,
    QUIET_TURN_ONE_IN = 4,
    MAX_INTERVALS = 3, /* what one sample may weigh of its target's current intervals */
};
/* A CPU clock of another process moves only at the kernel's tick or at a switch: unmoved for this
 * long, nothing of it was on a CPU. */
static const uint64_t idle_after_ns = PST_NS_PER_S;
/* Of a process that uses less than this in a second (a worker that wakes up to see whether there is
 * work), the agent lets three turns in four pass, drawn by chance without looking at it: the fourth
 * weighs four times. On a host with hundreds of them the turns are what costs. */
static const uint64_t quiet_cpu_ns = PST_NS_PER_MS / 2;

static void start_counting(struct pst_sampled *target, uint64_t clock_ns)
{
    target->rejoined = target->counting;
    if (!target->counting)
        target->cpu_base_ns = target->plan.born_observed ? 0 : clock_ns;
    target->counting = true;
}

/* Nothing of it has run since the last look: what stood then stands now, for whoever looks next. */
static bool is_still(struct pst_sampled *target)
{
    if (target->look_clock_ns == 0 || target->look_clock_ns != target->clock_ns ||
        !target->threads || !target->window || target->rejoined)
        return false;
    for (size_t i = 0; i < pst_os_threads_count(target->threads); i++)
        if (pst_sampled_wants(target, pst_os_threads_at(target->threads, i)))
            return false;
    return pst_os_threads_still(target->threads);
}

static void note_clock(struct pst_sampled *target, uint64_t clock, uint64_t now_ns)
{
    uint64_t used = clock - target->step_clock_ns, passed = now_ns - target->step_ns;
    bool whole = passed >= PST_NS_PER_S;
    if (target->step_ns == 0) {
        target->quiet = false;
    } else if (whole) {
        target->quiet = used / quiet_cpu_ns <= passed / PST_NS_PER_S - 1;
    } else if (used >= quiet_cpu_ns) {
        target->quiet = false;
    }
    if (whole || target->step_ns == 0) {
        target->step_ns = now_ns;
        target->step_clock_ns = clock;
    }
}

/* By chance, how many turns this one stands for; 0 when it is not looked at. */
static unsigned draw(struct pst_sampled *target, unsigned one_in)
{
    return pst_random_below(&target->shared->random, one_in) == 0 ? one_in : 0;
}

static void begin_turn(struct pst_sampled *target, uint64_t now_ns, uint64_t counted_ns,
                       uint64_t elapsed_ns)
{
    target->last_turn_ns = now_ns;
    target->stats.ticks++;
    target->pending_ns += counted_ns;
    target->pending_gap_ns += elapsed_ns - counted_ns;
    target->pending_turns++;
}

static bool pass(struct pst_sampled *target)
{
    atomic_fetch_add_explicit(&target->shared->idle_looks, 1, memory_order_relaxed);
    return true;
}

bool pst_sampled_turn(struct pst_sampled *target, uint64_t now_ns, uint64_t period_ns)
{
    bool first = target->last_turn_ns == 0;
    uint64_t elapsed = first ? 0 : now_ns - target->last_turn_ns;
    uint64_t most = MAX_INTERVALS * period_ns;
    uint64_t counted = elapsed < most ? elapsed : most;
    uint64_t clock;
    bool thin = target->plan.thin && target->quiet;
    unsigned stands_for = thin ? draw(target, QUIET_TURN_ONE_IN) : 1;
    if (stands_for == 0) {
        begin_turn(target, now_ns, counted, elapsed);
        return pass(target);
    }
    if (pst_process_cpu_ns(target->plan.pid, &clock) < 0) {
        target->gone = true;
        return true;
    }
    begin_turn(target, now_ns, counted, elapsed);
    if (first || clock != target->clock_ns) {
        target->clock_ns = clock;
        target->clock_moved_ns = now_ns;
    }
    note_clock(target, clock, now_ns);
    if (first)
        start_counting(target, clock);
    bool idle = now_ns - target->clock_moved_ns >= idle_after_ns;
    if (idle)
        stands_for *= draw(target, IDLE_LOOK_ONE_IN / stands_for);
    if (stands_for == 0 || (!idle && is_still(target)))
        return pass(target) &&
               (!pst_sampled_names_due(target) || pst_sampled_ask_names(target, now_ns));
    struct pst_look look = {
        .target = target,
        .now_ns = now_ns,
        .counted_ns = counted,
        .gap_ns = target->pending_gap_ns,
        /* Each period has one instant, drawn uniformly: every hit stands for one period, whatever
         * lies between two draws, and for more only when turns were missed. */
        .raw_ns = stands_for > 1             ? stands_for * period_ns
                  : counted <= 2 * period_ns ? period_ns
                                             : counted,
    };
    atomic_fetch_add_explicit(&target->shared->looks, 1, memory_order_relaxed);
    return pst_look_at(&look);
}
