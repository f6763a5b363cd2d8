/* The walk over the copies of a thread's stack: follows the chain of frames from the one that runs
 * to the thread's root. Decides whether the chain is whole; never reads more than single records
 * outside the batch. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "walk.h"

enum {
    CHUNK_HEADER = 24,
    OWNER_MAX = 4,
    CHASED_MAX = 64, /* unknown frames followed one by one before the copy is taken again */
    MET_MAX = 4,     /* that are read in the middle of a walk */
};

enum walk_end {
    WALK_COMPLETE,
    WALK_AGAIN, /* the prediction was wrong and has been mended: read again */
    WALK_TORN,
};

/* Whether the older chunks are those that the headers of the copies name. */
static bool chunks_linked(const struct pst_thread *thread)
{
    for (uint32_t i = 0; i < thread->chunk_count; i++) {
        uint64_t next =
            i + 1u < thread->chunk_count ? thread->chunks[i + 1].address : thread->beyond_address;
        if (thread->chunks[i].copied < CHUNK_HEADER ||
            pst_word(thread->chunks[i].copy[0], 0) != next)
            return false;
    }
    return true;
}

/* Follows frames that are in no copy, so that the next batch has them all; none that lie deeper
 * than a walk goes. False when there are more than it takes. */
static bool chase(struct pst_walk *walk, uint64_t address)
{
    unsigned char frame[PST_SPAN_FRAME];
    struct pst_copies none;
    int place;

    uint32_t max = walk->python->layout.frames_kind == PST_FRAMES_OBJECT ? walk->cap - walk->count
                                                                         : CHASED_MAX;

    for (uint32_t i = 0; i < max && pst_memory_plausible(address) && address != walk->base_frame;
         i++) {
        if (pst_place_find(walk, address, &none) != PST_PLACE_UNKNOWN)
            return true;
        place = pst_known_add(walk->python, walk->thread, address, walk->known_hint);
        if (place < 0)
            return place != -ENOSPC;
        struct pst_known *known = &walk->thread->known[place];
        walk->known_hint = (uint32_t)place + 1;
        known->reading = pst_place_reading(walk, walk->count + i);
        if (pst_memory_read(walk->python->memory, address, frame, walk->python->spans.frame_len) <
            0)
            return true;
        address = pst_word(frame, walk->python->layout.frame.previous);
    }
    return true;
}

static enum walk_end torn(struct pst_walk *walk, enum pst_verdict verdict)
{
    walk->verdict = verdict;
    return WALK_TORN;
}

/* What is nearer the root stays unread: the leaf's side is as true without it. */
static enum walk_end deep_enough(struct pst_walk *walk)
{
    walk->thread->truncated = true;
    return WALK_COMPLETE;
}

static bool lies_beyond(const struct pst_thread *thread, uint64_t address)
{
    return thread->beyond_address != 0 && address >= thread->beyond_address &&
           address - thread->beyond_address < thread->beyond_size;
}

/* A frame that is in no copy is read now, so that the walk can go on. */
static bool meet(struct pst_walk *walk, uint64_t address)
{
    const struct pst_raw_frame *callee = walk->count ? &walk->raw[walk->count - 1] : NULL;
    struct pst_meeting meeting = {callee, walk->where, walk->current, walk->known_hint};

    if (walk->python->validation_off || walk->met >= MET_MAX || (callee && callee->link_changed))
        return false;
    walk->met++;
    return pst_known_meet(walk->python, walk->thread, address, &meeting);
}

/* The walk met an address that no copy holds. */
static enum walk_end missing(struct pst_walk *walk, uint64_t address, enum pst_place place)
{
    const struct pst_raw_frame *child = walk->count ? &walk->raw[walk->count - 1] : NULL;

    if (child && child->link_changed && !walk->python->validation_off) {
        if (place == PST_PLACE_UNKNOWN && walk->python->layout.frames_kind == PST_FRAMES_OBJECT)
            (void)chase(walk, address); /* the next try will have it */
        return torn(walk, PST_V_TORN);
    }
    if (place == PST_PLACE_BEYOND)
        return WALK_AGAIN;
    if (!chunks_linked(walk->thread)) {
        return pst_chunks_follow(walk->python, walk->thread, walk->newest_chunk, walk->top, true) <
                       0
                   ? torn(walk, PST_V_TORN)
                   : WALK_AGAIN;
    }
    if (lies_beyond(walk->thread, address))
        return deep_enough(walk);
    return chase(walk, address) ? WALK_AGAIN : torn(walk, PST_V_DEPTH);
}

/* A caller. And a generator that runs itself: it lies apart from its caller, whose step to it would
 * be taken for proven when it has only come back to the same instruction. */
static bool should_stand_still(const struct pst_walk *walk, const struct pst_raw_frame *frame)
{
    return walk->count > 0 || (frame->owner == PST_OWNER_GENERATOR &&
                               walk->python->layout.frames_kind != PST_FRAMES_OBJECT);
}

static enum walk_end follow(struct pst_walk *walk, uint64_t address)
{
    const struct pst_layout *l = &walk->python->layout;
    uint64_t landmark = 0; /* an address of the chain, moved on at doubling distances */

    while (address != 0 && address != walk->base_frame) {
        struct pst_copies copies;
        if (!pst_memory_plausible(address))
            return torn(walk, PST_V_POINTER);
        if (walk->count == walk->cap)
            return walk->cap < PST_WALK_DEEPEST ? torn(walk, PST_V_DEPTH) : deep_enough(walk);
        if (address == landmark)
            return torn(walk, PST_V_CYCLE);
        if ((walk->count & (walk->count - 1)) == 0)
            landmark = address;
        enum pst_place place = pst_place_find(walk, address, &copies);
        if (place == PST_PLACE_UNKNOWN && meet(walk, address))
            place = pst_place_find(walk, address, &copies);
        if (place != PST_PLACE_FOUND)
            return missing(walk, address, place);
        struct pst_raw_frame *frame = &walk->raw[walk->count];
        pst_frame_load(l, address, &copies, frame);
        if (should_stand_still(walk, frame) && !pst_frame_stood_still(walk, frame, &copies))
            frame->instr_changed = true;
        frame->misfit = !pst_frame_state_fits(walk, frame);
        /* A caller that ran in one of the copies moved on, but was not left. */
        if (frame->misfit && walk->count > 0 && l->frame.stacktop) {
            frame->misfit = false;
            frame->instr_changed = true;
        }
        if (frame->owner > OWNER_MAX)
            return torn(walk, PST_V_CODE);
        address = frame->previous;
        /* A popped frame that the thread state still names: it has just returned. */
        if (frame->code == 0 && l->clears_popped && walk->count == 0 &&
            (!l->shim_owner || frame->owner < l->shim_owner))
            continue;
        walk->count++;
        if (copies.on_stack)
            walk->on_stack = frame->address;
    }
    if (l->root_kind == PST_ROOT_BASE_FRAME && walk->base_frame != 0 && address != walk->base_frame)
        return torn(walk, PST_V_TRUNCATED);
    return WALK_COMPLETE;
}

/* The frame that a copy of the thread state's pointer stands for. False when the C stack record
 * that it points at is not in this batch. */
static bool frame_of(const struct pst_python *python, const struct pst_thread *thread,
                     uint64_t pointer, unsigned char *const *cframe_copies, uint64_t *ret)
{
    *ret = pointer;
    if (python->layout.frames_kind != PST_FRAMES_CFRAME || pointer == 0)
        return true;
    for (uint32_t i = 0; i < thread->cframe_count; i++) {
        if (thread->cframes[i] == pointer) {
            *ret = pst_word(cframe_copies[i], 0);
            return true;
        }
    }
    return false;
}

bool pst_walk_frame_at(const struct pst_walk *walk, unsigned instant, uint64_t *ret)
{
    const struct pst_thread *thread = walk->thread;

    *ret = walk->first;
    if (instant == 0)
        return true;
    if (!thread->frame_again[instant - 1])
        return false;
    return frame_of(walk->python, thread, pst_word(thread->frame_again[instant - 1], 0),
                    thread->cframe_again, ret);
}

/* Any copy may be the one that holds the chain whole; what it may be trusted for, the others say.
 */
static const struct pst_look LOOKS[] = {
    {0, 1, {0, 2}}, {0, 0, {1, 2}}, {0, 2, {0, 1}}, {1, 1, {0, 2}},
    {1, 2, {0, 1}}, {2, 2, {0, 1}}, {2, 1, {0, 2}},
};

static enum walk_end walk_look(struct pst_walk *walk, const struct pst_look *look)
{
    walk->look = look;
    walk->known_hint = 0;
    walk->on_stack = 0;
    walk->count = 0;
    walk->thread->truncated = false;

    enum walk_end end = follow(walk, walk->current);
    if (end == WALK_COMPLETE && walk->count > 0 && !walk->python->validation_off &&
        !walk->thread->truncated &&
        !pst_root_reached(&walk->python->layout, walk->thread, walk->raw, walk->count, walk->top))
        return torn(walk, PST_V_TRUNCATED);
    return end;
}

bool pst_walk_look(struct pst_walk *walk, const struct pst_look *look)
{
    return walk_look(walk, look) == WALK_COMPLETE;
}

static enum walk_end walk_copies(struct pst_walk *walk)
{
    enum walk_end end = WALK_TORN;

    for (size_t i = 0; end == WALK_TORN && i < sizeof(LOOKS) / sizeof(*LOOKS); i++) {
        if (i > 0 && walk->python->validation_off)
            break;
        if (pst_walk_frame_at(walk, LOOKS[i].instant, &walk->current))
            end = walk_look(walk, &LOOKS[i]);
    }
    return end;
}

static void again(struct pst_python *python, struct pst_thread *thread)
{
    if (++thread->struct_retries > PST_STRUCT_RETRIES)
        pst_thread_end(python, thread, PST_V_TORN);
}

static void predict_top(struct pst_chunk *newest, uint64_t top)
{
    uint32_t used = newest->size;

    if (top >= newest->address + CHUNK_HEADER && top <= newest->address + newest->size)
        used = (uint32_t)(top - newest->address);
    /* Shrinks slowly, so that a stack that swings is not met too deep. */
    newest->used = used > newest->used ? used : newest->used - (newest->used - used) / 8;
}

static void walk_from_leaf(struct pst_walk *walk)
{
    enum walk_end end = walk_copies(walk);

    if (end == WALK_COMPLETE)
        pst_walk_settle(walk);
    else if (end == WALK_AGAIN)
        again(walk->python, walk->thread);
    else
        pst_thread_torn(walk->python, walk->thread, walk->verdict);
}

/* No further try will be made, and what was wrong comes of a stack that moves; a pointer that is
 * none, of a generator freed meanwhile. A thread whose frames stand in a ring is not half believed.
 */
static bool is_torn(const struct pst_thread *thread)
{
    return thread->state == PST_THREAD_DONE &&
           (thread->verdict == PST_V_TORN || thread->verdict == PST_V_TRUNCATED ||
            thread->verdict == PST_V_CODE || thread->verdict == PST_V_POINTER);
}

/* Whether the batch holds the chunk that the thread is on; else the next one will. */
static bool has_chunk(struct pst_python *python, struct pst_thread *thread, uint64_t newest,
                      uint64_t top)
{
    if (newest == 0 ? thread->chunk_count == 0
                    : thread->chunk_count > 0 && thread->chunks[0].address == newest)
        return true;
    if (pst_chunks_follow(python, thread, newest, top, false) < 0) {
        thread->chunk_count = 0;
        pst_thread_torn(python, thread, PST_V_TORN);
        return false;
    }
    again(python, thread);
    return false;
}

static void walk_stack(struct pst_walk *walk, bool has_leaf)
{
    const struct pst_layout *l = &walk->python->layout;
    struct pst_thread *thread = walk->thread;

    if (walk->cap > PST_WALK_DEEPEST)
        walk->cap = PST_WALK_DEEPEST;
    walk->where = thread->address + l->tstate.frame;
    if (l->frames_kind == PST_FRAMES_CFRAME)
        walk->where = pst_word(thread->tstate_copy, l->tstate.frame) + l->cframe_current;
    if (has_leaf)
        walk_from_leaf(walk);
    else
        again(walk->python, thread);
    if (is_torn(thread))
        pst_walk_below(walk);
}

void pst_walk_thread(struct pst_python *python, struct pst_thread *thread)
{
    const struct pst_layout *l = &python->layout;
    uint64_t newest = l->tstate.chunk ? pst_word(thread->tstate_copy, l->tstate.chunk) : 0;
    uint64_t top = l->tstate.chunk ? pst_word(thread->tstate_copy, l->tstate.chunk + 8) : 0;
    uint64_t pointer = pst_word(thread->tstate_copy, l->tstate.frame), current;
    bool has_leaf = frame_of(python, thread, pointer, thread->cframe_copies, &current);

    if (has_chunk(python, thread, newest, top)) {
        if (thread->chunk_count > 0)
            predict_top(&thread->chunks[0], top);
        struct pst_walk walk = {
            .python = python,
            .thread = thread,
            .newest_chunk = newest,
            .top = top,
            .first = current,
            .raw = python->scratch->raw + python->scratch->raw_count,
            .cap = (uint32_t)(PST_MAX_RAW_FRAMES - python->scratch->raw_count),
            .base_frame =
                l->tstate.base_frame ? pst_word(thread->tstate_copy, l->tstate.base_frame) : 0,
        };
        walk_stack(&walk, has_leaf);
    }
    /* Not before: the copies stand in the order of the records. */
    if (!has_leaf && pst_memory_plausible(pointer))
        pst_cframe_add(thread, pointer);
}
