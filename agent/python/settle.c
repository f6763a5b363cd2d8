/* What of a chain is kept. What stood still between the copies is: frames that changed are cut, and
 * with them all that lies nearer the leaf; or the thread is read again. Counts the tries. */
#include <stdlib.h>
#include <string.h>

#include "walk.h"

enum {
    RESTLESS = 8,       /* samples whose leaf moved at each try */
    RESTLESS_TRIES = 8, /* of so many one tries again nevertheless */
    SETTLED_COUNTS = 2, /* of those make up for one whose leaf stood still at a later try */
};

/* The frame of the walk that a thread which was at `later` stands on, if it is none of the leaf's:
 * itself, or what called it. 0 for the leaf and for what cannot be told. */
static uint32_t stands_on(struct pst_walk *walk, uint64_t later)
{
    const struct pst_known *known = pst_place_known(walk, later);
    uint64_t caller = known ? pst_word(known->copy[0], walk->python->layout.frame.previous) : 0;

    for (uint32_t i = 0; i < walk->count; i++) {
        if (walk->raw[i].address == later || walk->raw[i].address == caller)
            return i;
    }
    return 0;
}

/* The number of leaf frames that the thread had left when it was looked at between and after the
 * copies: in a tight loop all of them may agree on a call that was over and made again. */
static uint32_t left(struct pst_walk *walk)
{
    uint32_t most = 0;

    for (unsigned instant = 0; instant <= 2 && !walk->python->validation_off; instant++) {
        uint64_t later;
        if (!pst_walk_frame_at(walk, instant, &later))
            continue;
        uint32_t place = stands_on(walk, later);
        if (place > most)
            most = place;
    }
    return most;
}

/* The number of leaf frames that did not stand still. */
static uint32_t unsettled(const struct pst_walk *walk)
{
    uint32_t start = 0;

    if (walk->python->validation_off)
        return 0;
    for (uint32_t i = 0; i < walk->count; i++) {
        if (walk->raw[i].link_changed || walk->raw[i].misfit)
            start = i + 1;
    }
    uint32_t cut = start;
    for (uint32_t i = start; i < walk->count; i++) {
        if (walk->raw[i].instr_changed)
            cut = i;
    }
    return cut;
}

/* Remembers what the first try gave, in case that no further one gives anything. */
static bool keep(struct pst_thread *thread, const struct pst_raw_frame *raw, uint32_t count)
{
    if (thread->moved_retries > 0)
        return true;
    if (count > thread->kept_cap) {
        struct pst_raw_frame *kept = realloc(thread->kept, count * sizeof(*kept));
        if (!kept)
            return false;
        thread->kept = kept;
        thread->kept_cap = count;
    }
    memcpy(thread->kept, raw, count * sizeof(*raw));
    thread->kept_count = count;
    thread->kept_truncated = thread->truncated;
    return true;
}

static bool fall_back(struct pst_python *python, struct pst_thread *thread)
{
    struct pst_py_scratch *scratch = python->scratch;

    if (thread->kept_count == 0 || thread->kept_count > PST_MAX_RAW_FRAMES - scratch->raw_count)
        return false;
    memcpy(scratch->raw + scratch->raw_count, thread->kept,
           thread->kept_count * sizeof(*thread->kept));
    thread->first_raw = (uint32_t)scratch->raw_count;
    thread->raw_count = thread->kept_count;
    scratch->raw_count += thread->kept_count;
    thread->kept_count = 0;
    thread->trimmed = true;
    thread->truncated = thread->kept_truncated;
    thread->state = PST_THREAD_WALKED;
    thread->verdict = PST_V_OK;
    return true;
}

void pst_thread_end(struct pst_python *python, struct pst_thread *thread, enum pst_verdict verdict)
{
    if (fall_back(python, thread))
        return;
    thread->state = PST_THREAD_DONE;
    thread->verdict = verdict;
}

void pst_thread_torn(struct pst_python *python, struct pst_thread *thread, enum pst_verdict verdict)
{
    if (thread->torn_retries < PST_TORN_RETRIES) {
        thread->torn_retries++;
        python->stats.retries++;
        return; /* still pending */
    }
    pst_thread_end(python, thread, verdict);
}

/* The C frame under a thread's first Python frame stands still as long as the thread lives. */
static void settle_root(struct pst_walk *walk)
{
    const struct pst_layout *l = &walk->python->layout;

    if (l->root_kind != PST_ROOT_SHIM || walk->count == 0 || walk->thread->truncated)
        return;
    walk->known_hint = 0;
    struct pst_known *known = pst_place_known(walk, walk->raw[walk->count - 1].address);
    if (known)
        known->reading = PST_READ_LAST;
}

/* Whether to read again because of leaves that moved. At once: what lasts for some microseconds
 * then is whole, or the one after it is, so that each function gives as much to the next as it
 * takes from the one before; to leave them out would take the same time from each, most of it from
 * the short. What moves all the time moves at the next try, too: then only some samples try again.
 */
static bool try_moved(struct pst_thread *thread, const struct pst_raw_frame *raw, uint32_t count)
{
    if (thread->moved_retries == PST_MOVED_RETRIES)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (raw[i].owner == PST_OWNER_GENERATOR)
            return false; /* chains through them fail most, and a leaf is not worth the stack */
    }
    if (thread->moved_retries == 0 && thread->restless >= RESTLESS &&
        ++thread->restless_samples % RESTLESS_TRIES != 0)
        return false;
    if (!keep(thread, raw, count))
        return false;
    thread->moved_retries++;
    return true;
}

static void learn_moved(struct pst_thread *thread, bool trimmed)
{
    if (thread->moved_retries == 0)
        return;
    if (!trimmed)
        thread->restless -= thread->restless < SETTLED_COUNTS ? thread->restless : SETTLED_COUNTS;
    else if (thread->restless < 2 * RESTLESS)
        thread->restless++;
}

/* What begins below the leaf is the last try. */
static void not_settled(const struct pst_walk *walk, enum pst_verdict verdict)
{
    if (!walk->below)
        pst_thread_torn(walk->python, walk->thread, verdict);
}

void pst_walk_settle(struct pst_walk *walk)
{
    struct pst_thread *thread = walk->thread;
    uint32_t start = unsettled(walk), over = left(walk);

    if (over > start)
        start = over;
    start = pst_walk_uncontradicted(walk, pst_walk_called(walk, start));

    for (uint32_t i = start; i < walk->count; i++) {
        if (walk->raw[i].code == 0 && walk->python->layout.clears_popped &&
            walk->raw[i].owner < walk->python->layout.shim_owner) {
            not_settled(walk, PST_V_CODE);
            return;
        }
    }
    if (walk->count > 0 && start == walk->count) {
        not_settled(walk, PST_V_TORN);
        return;
    }
    bool moved = walk->count > 0 && (start > 0 || walk->below || walk->raw[0].instr_changed);
    bool told = moved && pst_walk_above(walk, &start);
    if (!told)
        pst_walk_remember(walk, start);
    bool lacking = (start > 0 || walk->below) && !told;
    if (lacking && !walk->below && try_moved(thread, walk->raw + start, walk->count - start)) {
        walk->python->stats.retries++;
        return; /* still pending */
    }
    learn_moved(thread, lacking);
    thread->trimmed = lacking;
    settle_root(walk);
    thread->first_raw = (uint32_t)(walk->raw - walk->python->scratch->raw) + start;
    thread->raw_count = walk->count - start;
    walk->python->scratch->raw_count += walk->count;
    thread->state = PST_THREAD_WALKED;
    thread->verdict = PST_V_OK;
}
