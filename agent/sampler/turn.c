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
 * work), the agent lets three turns in four pass, drawn by chance, without as much as reading its
 * clock, and where there are many targets most of the others without a look: there the turns are
 * what costs. The one that is looked at weighs as many. A clock that tells of more than that makes
 * it one to be looked at, so that work that begins is noticed within some four turns. Whatever a
 * draw is based on was known before it: on the average each turn weighs one. */
static const uint64_t quiet_cpu_ns = PST_NS_PER_MS / 2;

static void start_counting(struct pst_sampled *target, uint64_t clock_ns)
{
    target->rejoined = target->counting;
    if (!target->counting)
        target->cpu_base_ns = target->plan.born_observed ? 0 : clock_ns;
    target->counting = true;
}

/* Where it sleeps the last look could not tell, and somebody wants to know. */
static bool is_unknown(const struct pst_sampled *target, const struct pst_os_thread *thread)
{
    bool wanted = (target->plan.modes & ~(1U << PST_MODE_CPU)) != 0;
    return wanted && thread->tstate != 0 && thread->stack == PST_NO_STACK;
}

/* Nothing of it has run since the last look: what stood then stands now, for whoever looks next. */
static bool is_still(struct pst_sampled *target)
{
    if (target->look_clock_ns == 0 || target->look_clock_ns != target->clock_ns ||
        !target->threads || !target->window || target->rejoined)
        return false;
    for (size_t i = 0; i < pst_os_threads_count(target->threads); i++)
        if (is_unknown(target, pst_os_threads_at(target->threads, i)))
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

/* In one of how many turns it is looked at, by what its clock tells. */
static unsigned seldom(const struct pst_sampled *target, bool idle)
{
    bool thin = target->plan.thin && target->quiet;
    unsigned one_in = thin ? QUIET_TURN_ONE_IN : 1;
    if (thin && target->shared->quiet_one_in > one_in)
        one_in = target->shared->quiet_one_in;
    return idle && one_in < IDLE_LOOK_ONE_IN ? IDLE_LOOK_ONE_IN : one_in;
}

static void begin_turn(struct pst_sampled *target, uint64_t now_ns, uint64_t counted_ns,
                       uint64_t elapsed_ns)
{
    target->last_turn_ns = now_ns;
    target->stats.ticks++;
    atomic_fetch_add_explicit(&target->shared->turns, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&target->shared->turns_ns, elapsed_ns, memory_order_relaxed);
    target->pending_ns += counted_ns;
    target->pending_gap_ns += elapsed_ns - counted_ns;
    target->pending_turns++;
}

/* Its clock stands where it stood in the last look: so does all that its threads were seen doing,
 * until now, but for the last interval of which a look is about to tell. */
static void know_pending(struct pst_sampled *target, bool looked, uint64_t counted_ns)
{
    target->known_ns = target->pending_ns - (looked ? counted_ns : 0);
    target->known_turns = target->pending_turns - (looked ? 1 : 0);
}

/* Each period has one instant, drawn uniformly: every hit stands for one period, whatever lies
 * between two draws, and for more only when turns were missed. */
static uint64_t raw_of(unsigned stands_for, uint64_t counted_ns, uint64_t period_ns)
{
    if (stands_for > 1)
        return stands_for * period_ns;
    return counted_ns <= 2 * period_ns ? period_ns : counted_ns;
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
    unsigned more_seldom = seldom(target, idle) / stands_for;
    if (more_seldom > 1)
        stands_for *= draw(target, more_seldom);
    bool looked = stands_for > 0 && (idle || !is_still(target));
    if (clock == target->look_clock_ns)
        know_pending(target, looked, counted);
    if (!looked)
        return pass(target) &&
               (!pst_sampled_names_due(target) || pst_sampled_ask_names(target, now_ns));
    struct pst_look look = {
        .target = target,
        .now_ns = now_ns,
        .counted_ns = counted,
        .gap_ns = target->pending_gap_ns,
        .stands_for = stands_for,
        .raw_ns = raw_of(stands_for, counted, period_ns),
    };
    atomic_fetch_add_explicit(&target->shared->looks, 1, memory_order_relaxed);
    return pst_look_at(&look);
}
