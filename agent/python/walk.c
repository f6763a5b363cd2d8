/* The walk over the two copies of a thread's stack. What stood still
 * between them is kept: frames that changed are cut, and with them all that lies nearer the leaf.
 * Decides validity only; never reads more than single records outside the batch. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

enum {
    CHUNK_HEADER = 24,
    OWNER_MAX = 4,
    STATE_UNWINDING = 2,
    STACKTOP_LOADED = -1,
    DEEPEST = PST_MAX_FRAMES_WALKED - 64, /* which leaves room for what stands for the rest */
    CHASED_MAX = 64,    /* unknown frames followed one by one before the copy is taken again */
    MET_MAX = 4,        /* that are read in the middle of a walk */
    RESTLESS = 8,       /* samples whose leaf moved at each try */
    RESTLESS_TRIES = 8, /* of so many one tries again nevertheless */
    SETTLED_COUNTS = 2, /* of those make up for one whose leaf stood still at a later try */
};

enum walk_end {
    WALK_COMPLETE,
    WALK_AGAIN, /* the prediction was wrong and has been mended: read again */
    WALK_TORN,
};

/* One way to read a batch: where the thread was at an instant, the copy that is walked, and the
 * copy on the other side of the instant. */
struct look {
    uint8_t instant, copy, others[2];
};

struct walk {
    struct pst_python *python;
    struct pst_thread *thread;
    struct pst_raw_frame *raw;
    uint32_t count, cap;
    uint64_t base_frame;
    uint64_t newest_chunk, top; /* of the data stack, as the thread state says */
    uint64_t current, where;    /* the frame that ran, and the address that said so */
    uint32_t met;
    uint32_t known_hint; /* where the next frame outside the data stack likely is */
    const struct look *look;
    enum pst_verdict verdict; /* of WALK_TORN */
};

enum place { PLACE_FOUND, PLACE_BEYOND, PLACE_UNKNOWN };

struct copies {
    const unsigned char *walked;
    const unsigned char *others[2]; /* may equal walked where there are fewer copies */
    uint32_t bytes;                 /* that each of them holds from here on */
    bool on_stack;
};

static struct pst_known *find_known(struct walk *walk, uint64_t address)
{
    struct pst_thread *thread = walk->thread;
    uint32_t place = walk->known_hint;

    for (uint32_t i = 0; i < thread->known_count; i++, place++) {
        if (place >= thread->known_count)
            place = 0;
        struct pst_known *known = &thread->known[place];
        if (known->address == address && known->copy[0]) {
            walk->known_hint = place + 1;
            return known;
        }
    }
    return NULL;
}

/* A frame of the data stack. False when the address lies outside of it. */
static bool in_chunk(struct walk *walk, uint64_t address, const unsigned char *copy[3],
                     uint32_t *ret_bytes, enum place *ret_place)
{
    struct pst_thread *thread = walk->thread;
    uint32_t frame_len = walk->python->spans.frame_len;

    for (uint32_t i = 0; i < thread->chunk_count; i++) {
        struct pst_chunk *chunk = &thread->chunks[i];
        uint64_t offset = address - chunk->address;
        if (address < chunk->address || offset >= chunk->size)
            continue;
        *ret_place = PLACE_BEYOND;
        if (offset < CHUNK_HEADER || offset + frame_len > chunk->copied) {
            if (offset + frame_len > chunk->used && offset + frame_len <= chunk->size)
                chunk->used = (uint32_t)offset + frame_len;
            return true;
        }
        *ret_place = PLACE_FOUND;
        *ret_bytes = chunk->copied - (uint32_t)offset;
        copy[0] = chunk->copy[0] + offset;
        copy[1] = chunk->copy[1] + offset;
        if (offset >= chunk->again_from)
            copy[2] = chunk->copy[2] + (offset - chunk->again_from);
        return true;
    }
    return false;
}

static enum pst_reading reading_at(const struct walk *walk, uint32_t place)
{
    if (walk->python->layout.frames_kind != PST_FRAMES_OBJECT || place < PST_AGAIN_NEAR_LEAF / 2)
        return PST_READ_AGAIN;
    return place < PST_AGAIN_NEAR_LEAF ? PST_READ_BORDER : PST_READ_ONCE;
}

static enum place locate(struct walk *walk, uint64_t address, struct copies *ret)
{
    const unsigned char *copy[3] = {NULL};
    uint32_t bytes = 0;
    enum place place;
    bool on_stack = in_chunk(walk, address, copy, &bytes, &place);

    if (!on_stack) {
        struct pst_known *known = find_known(walk, address);
        if (!known)
            return PLACE_UNKNOWN;
        known->age = 0;
        if (known->reading != PST_READ_LAST ||
            pst_word(known->copy[0], walk->python->layout.frame.previous) != 0)
            known->reading = reading_at(walk, walk->count);
        memcpy(copy, known->copy, sizeof(copy));
        bytes = known->brief || known->copy[0] == known->copy[1] ? 0 : walk->python->frame_bytes;
        place = PLACE_FOUND;
    }
    if (!copy[2])
        copy[2] = copy[1];
    *ret = (struct copies){.walked = copy[walk->look->copy], .bytes = bytes, .on_stack = on_stack};
    ret->others[0] = copy[walk->look->others[0]];
    ret->others[1] = copy[walk->look->others[1]];
    return place;
}

static bool link_differs(const struct pst_layout *l, const struct pst_raw_frame *frame,
                         const unsigned char *copy)
{
    return frame->code != pst_frame_code(l, copy) ||
           frame->previous != pst_word(copy, l->frame.previous);
}

static uint64_t instr_of(const struct pst_layout *l, const unsigned char *copy)
{
    if (l->frames_kind == PST_FRAMES_OBJECT) /* an int, beside others */
        return pst_half(copy, l->frame.instr);
    return pst_word(copy, l->frame.instr);
}

static uint8_t owner_of(const struct pst_layout *l, const unsigned char *copy)
{
    if (l->frame.owner)
        return copy[l->frame.owner];
    return l->frame.generator && pst_word(copy, l->frame.generator) ? PST_OWNER_GENERATOR : 0;
}

/* What a frame says about itself: before 3.11 that it is between its first and its last
 * instruction (before 3.4 by holding no stack pointer while somebody holds it), from 3.11 to 3.13
 * whether its stack pointer lies in the evaluation loop (it runs, or C code that it called does) or
 * was put away (it called a Python function, or was left). */
static void take_state(const struct pst_layout *l, const unsigned char *copy,
                       struct pst_raw_frame *frame)
{
    if (l->frame.running) {
        unsigned char running = copy[l->frame.running];
        bool runs = l->frame_state ? running == 0 || running == STATE_UNWINDING : running == 1;
        frame->runs &= runs;
        frame->waits &= runs;
        frame->ran |= runs;
    } else if (l->frame.stack_kept) {
        bool runs = pst_word(copy, 0) != 0 && pst_word(copy, l->frame.stack_kept) == 0;
        frame->runs &= runs;
        frame->waits &= runs;
        frame->ran |= runs;
    } else if (l->frame.stacktop) {
        bool runs = (int32_t)pst_half(copy, l->frame.stacktop) == STACKTOP_LOADED;
        frame->runs &= runs;
        frame->waits &= !runs;
        frame->ran |= runs;
    } else {
        frame->ran = true;
    }
}

static void load(const struct pst_layout *l, uint64_t address, const struct copies *copies,
                 struct pst_raw_frame *ret)
{
    const unsigned char *copy = copies->walked;

    *ret = (struct pst_raw_frame){
        .address = address,
        .code = pst_frame_code(l, copy),
        .previous = pst_word(copy, l->frame.previous),
        .instr = instr_of(l, copy),
        .owner = owner_of(l, copy),
        .entry = l->frames_kind == PST_FRAMES_OBJECT ||
                 (l->frame.entry != 0 && copy[l->frame.entry] != 0),
        .tlbc = l->free_threaded && l->frame.tlbc_index
                    ? (int32_t)pst_half(copy, l->frame.tlbc_index)
                    : 0,
    };
    ret->link_changed =
        link_differs(l, ret, copies->others[0]) || link_differs(l, ret, copies->others[1]);
    ret->runs = ret->waits = true;
    take_state(l, copy, ret);
    take_state(l, copies->others[0], ret);
    take_state(l, copies->others[1], ret);
    ret->instr_changed = ret->instr != instr_of(l, copies->others[0]) ||
                         ret->instr != instr_of(l, copies->others[1]);
}

/* Bytes of a frame that stand still while it waits for the frame that it called: all of it. */
static size_t still_bytes(const struct walk *walk, const struct copies *copies, uint64_t frame,
                          uint64_t callee)
{
    if (!copies->on_stack)
        return copies->bytes;
    uint64_t end = callee > frame && callee - frame < copies->bytes ? callee : walk->top;
    return end > frame && end - frame <= copies->bytes ? end - frame : 0;
}

/* Whether the caller did nothing between the copies. Its instruction alone does not tell: a loop
 * comes back to it, but seldom with the same locals and temporaries. */
static bool caller_stood_still(const struct walk *walk, const struct pst_raw_frame *caller,
                               const struct pst_raw_frame *callee, const struct copies *copies)
{
    size_t len = still_bytes(walk, copies, caller->address, callee->address);

    return memcmp(copies->walked, copies->others[0], len) == 0 &&
           memcmp(copies->walked, copies->others[1], len) == 0;
}

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
static bool chase(struct walk *walk, uint64_t address)
{
    unsigned char frame[PST_SPAN_FRAME];
    struct copies none;
    int place;

    uint32_t max = walk->python->layout.frames_kind == PST_FRAMES_OBJECT ? walk->cap - walk->count
                                                                         : CHASED_MAX;

    for (uint32_t i = 0; i < max && pst_memory_plausible(address) && address != walk->base_frame;
         i++) {
        if (locate(walk, address, &none) != PLACE_UNKNOWN)
            return true;
        place = pst_known_add(walk->python, walk->thread, address, walk->known_hint);
        if (place < 0)
            return place != -ENOSPC;
        struct pst_known *known = &walk->thread->known[place];
        walk->known_hint = (uint32_t)place + 1;
        known->reading = reading_at(walk, walk->count + i);
        if (pst_memory_read(walk->python->memory, address, frame, walk->python->spans.frame_len) <
            0)
            return true;
        address = pst_word(frame, walk->python->layout.frame.previous);
    }
    return true;
}

static enum walk_end torn(struct walk *walk, enum pst_verdict verdict)
{
    walk->verdict = verdict;
    return WALK_TORN;
}

/* What is nearer the root stays unread: the leaf's side is as true without it. */
static enum walk_end deep_enough(struct walk *walk)
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
static bool meet(struct walk *walk, uint64_t address)
{
    const struct pst_raw_frame *callee = walk->count ? &walk->raw[walk->count - 1] : NULL;
    struct pst_meeting meeting = {callee, walk->where, walk->current, walk->known_hint};

    if (walk->python->validation_off || walk->met >= MET_MAX || (callee && callee->link_changed))
        return false;
    walk->met++;
    return pst_known_meet(walk->python, walk->thread, address, &meeting);
}

/* The walk met an address that no copy holds. */
static enum walk_end missing(struct walk *walk, uint64_t address, enum place place)
{
    const struct pst_raw_frame *child = walk->count ? &walk->raw[walk->count - 1] : NULL;

    if (child && child->link_changed && !walk->python->validation_off) {
        if (place == PLACE_UNKNOWN && walk->python->layout.frames_kind == PST_FRAMES_OBJECT)
            (void)chase(walk, address); /* the next try will have it */
        return torn(walk, PST_V_TORN);
    }
    if (place == PLACE_BEYOND)
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

/* Entering and leaving a function take their time, too: only a place that is free again proves that
 * a leaf which does not run is none. */
static bool was_popped(const struct walk *walk, const struct pst_raw_frame *leaf)
{
    const unsigned char *top = walk->thread->top_again;

    /* A generator that was left has no caller any more, which the chain shows. */
    return !top || (leaf->owner == 0 && pst_word(top, 0) <= leaf->address);
}

/* Whether the frame's own word fits its place in the chain. One that was left stays in memory as
 * it was, so that copies may agree on a call that was over in each of them. */
static bool state_fits(const struct walk *walk, const struct pst_raw_frame *frame)
{
    uint8_t shim_owner = walk->python->layout.shim_owner;

    if (shim_owner && frame->owner >= shim_owner)
        return true;
    if (walk->count == 0)
        return walk->python->layout.frames_kind == PST_FRAMES_OBJECT
                   ? frame->runs
                   : frame->ran || !was_popped(walk, frame);
    const struct pst_raw_frame *callee = &walk->raw[walk->count - 1];
    bool from_c = callee->entry || (shim_owner && callee->owner >= shim_owner);

    return from_c ? walk->python->layout.frame.stacktop || frame->runs : frame->waits;
}

static enum walk_end follow(struct walk *walk, uint64_t address)
{
    const struct pst_layout *l = &walk->python->layout;
    uint64_t landmark = 0; /* an address of the chain, moved on at doubling distances */

    while (address != 0 && address != walk->base_frame) {
        struct copies copies;
        if (!pst_memory_plausible(address))
            return torn(walk, PST_V_POINTER);
        if (walk->count == walk->cap)
            return walk->cap < DEEPEST ? torn(walk, PST_V_DEPTH) : deep_enough(walk);
        if (address == landmark)
            return torn(walk, PST_V_CYCLE);
        if ((walk->count & (walk->count - 1)) == 0)
            landmark = address;
        enum place place = locate(walk, address, &copies);
        if (place == PLACE_UNKNOWN && meet(walk, address))
            place = locate(walk, address, &copies);
        if (place != PLACE_FOUND)
            return missing(walk, address, place);
        struct pst_raw_frame *frame = &walk->raw[walk->count];
        load(l, address, &copies, frame);
        if (walk->count > 0 &&
            !caller_stood_still(walk, frame, &walk->raw[walk->count - 1], &copies))
            frame->instr_changed = true;
        frame->misfit = !state_fits(walk, frame);
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

static bool frame_at(const struct walk *walk, unsigned instant, uint64_t first, uint64_t *ret)
{
    const struct pst_thread *thread = walk->thread;

    *ret = first;
    if (instant == 0)
        return true;
    if (!thread->frame_again[instant - 1])
        return false;
    return frame_of(walk->python, thread, pst_word(thread->frame_again[instant - 1], 0),
                    thread->cframe_again, ret);
}

/* The frame of the walk that a thread which was at `later` stands on, if it is none of the leaf's:
 * itself, or what called it. 0 for the leaf and for what cannot be told. */
static uint32_t stands_on(struct walk *walk, uint64_t later)
{
    const struct pst_known *known = find_known(walk, later);
    uint64_t caller = known ? pst_word(known->copy[0], walk->python->layout.frame.previous) : 0;

    for (uint32_t i = 0; i < walk->count; i++) {
        if (walk->raw[i].address == later || walk->raw[i].address == caller)
            return i;
    }
    return 0;
}

/* The number of leaf frames that the thread had left when it was looked at between and after the
 * copies: in a tight loop all of them may agree on a call that was over and made again. */
static uint32_t left(struct walk *walk, uint64_t first)
{
    uint32_t most = 0;

    for (unsigned instant = 0; instant <= 2 && !walk->python->validation_off; instant++) {
        uint64_t later;
        if (!frame_at(walk, instant, first, &later))
            continue;
        uint32_t place = stands_on(walk, later);
        if (place > most)
            most = place;
    }
    return most;
}

/* The number of leaf frames that did not stand still. */
static uint32_t unsettled(const struct walk *walk)
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

/* Any copy may be the one that holds the chain whole; what it may be trusted for, the others say.
 */
static const struct look LOOKS[] = {
    {0, 1, {0, 2}}, {0, 0, {1, 2}}, {0, 2, {0, 1}}, {1, 1, {0, 2}},
    {1, 2, {0, 1}}, {2, 2, {0, 1}}, {2, 1, {0, 2}},
};

static enum walk_end walk_look(struct walk *walk, const struct look *look)
{
    walk->look = look;
    walk->known_hint = 0;
    walk->count = 0;
    walk->thread->truncated = false;

    enum walk_end end = follow(walk, walk->current);
    if (end == WALK_COMPLETE && walk->count > 0 && !walk->python->validation_off &&
        !walk->thread->truncated &&
        !pst_root_reached(&walk->python->layout, walk->thread, walk->raw, walk->count, walk->top))
        return torn(walk, PST_V_TRUNCATED);
    return end;
}

static enum walk_end walk_copies(struct walk *walk, uint64_t first)
{
    enum walk_end end = WALK_TORN;

    for (size_t i = 0; end == WALK_TORN && i < sizeof(LOOKS) / sizeof(*LOOKS); i++) {
        if (i > 0 && walk->python->validation_off)
            break;
        if (frame_at(walk, LOOKS[i].instant, first, &walk->current))
            end = walk_look(walk, &LOOKS[i]);
    }
    return end;
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

static void again(struct pst_python *python, struct pst_thread *thread)
{
    if (++thread->struct_retries > PST_STRUCT_RETRIES)
        pst_thread_end(python, thread, PST_V_TORN);
}

/* The C frame under a thread's first Python frame stands still as long as the thread lives. */
static void settle_root(struct walk *walk)
{
    const struct pst_layout *l = &walk->python->layout;

    if (l->root_kind != PST_ROOT_SHIM || walk->count == 0 || walk->thread->truncated)
        return;
    walk->known_hint = 0;
    struct pst_known *known = find_known(walk, walk->raw[walk->count - 1].address);
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

static void accept(struct walk *walk, uint64_t first)
{
    struct pst_thread *thread = walk->thread;
    uint32_t start = unsettled(walk), over = left(walk, first);

    if (over > start)
        start = over;

    for (uint32_t i = start; i < walk->count; i++) {
        if (walk->raw[i].code == 0 && walk->python->layout.clears_popped &&
            walk->raw[i].owner < walk->python->layout.shim_owner) {
            pst_thread_torn(walk->python, thread, PST_V_CODE);
            return;
        }
    }
    if (walk->count > 0 && start == walk->count) {
        pst_thread_torn(walk->python, thread, PST_V_TORN);
        return;
    }
    if (start > 0 && try_moved(thread, walk->raw + start, walk->count - start)) {
        walk->python->stats.retries++;
        return; /* still pending */
    }
    learn_moved(thread, start > 0);
    thread->trimmed = start > 0;
    settle_root(walk);
    thread->first_raw = (uint32_t)(walk->raw - walk->python->scratch->raw) + start;
    thread->raw_count = walk->count - start;
    walk->python->scratch->raw_count += walk->count;
    thread->state = PST_THREAD_WALKED;
    thread->verdict = PST_V_OK;
}

/* The frame that runs, as the thread state's copy says. False when it takes another batch. */
static bool current_frame(struct pst_python *python, struct pst_thread *thread, uint64_t *ret)
{
    uint64_t frame = pst_word(thread->tstate_copy, python->layout.tstate.frame);

    if (frame_of(python, thread, frame, thread->cframe_copies, ret))
        return true;
    if (pst_memory_plausible(frame))
        pst_cframe_add(thread, frame);
    return false;
}

static void predict_top(struct pst_chunk *newest, uint64_t top)
{
    uint32_t used = newest->size;

    if (top >= newest->address + CHUNK_HEADER && top <= newest->address + newest->size)
        used = (uint32_t)(top - newest->address);
    /* Shrinks slowly, so that a stack that swings is not met too deep. */
    newest->used = used > newest->used ? used : newest->used - (newest->used - used) / 8;
}

void pst_walk_thread(struct pst_python *python, struct pst_thread *thread)
{
    const struct pst_layout *l = &python->layout;
    uint64_t newest = l->tstate.chunk ? pst_word(thread->tstate_copy, l->tstate.chunk) : 0;
    uint64_t top = l->tstate.chunk ? pst_word(thread->tstate_copy, l->tstate.chunk + 8) : 0;

    uint64_t current;

    bool known = newest == 0 ? thread->chunk_count == 0
                             : thread->chunk_count > 0 && thread->chunks[0].address == newest;
    bool has_current = current_frame(python, thread, &current);
    if (!known && pst_chunks_follow(python, thread, newest, top, false) < 0) {
        thread->chunk_count = 0;
        pst_thread_torn(python, thread, PST_V_TORN);
        return;
    }
    if (!known || !has_current) {
        again(python, thread);
        return;
    }
    if (thread->chunk_count > 0)
        predict_top(&thread->chunks[0], top);
    struct walk walk = {
        .python = python,
        .thread = thread,
        .newest_chunk = newest,
        .top = top,
        .raw = python->scratch->raw + python->scratch->raw_count,
        .cap = (uint32_t)(PST_MAX_RAW_FRAMES - python->scratch->raw_count),
        .base_frame =
            l->tstate.base_frame ? pst_word(thread->tstate_copy, l->tstate.base_frame) : 0,
    };
    if (walk.cap > DEEPEST)
        walk.cap = DEEPEST;
    walk.where = thread->address + l->tstate.frame;
    if (l->frames_kind == PST_FRAMES_CFRAME)
        walk.where = pst_word(thread->tstate_copy, l->tstate.frame) + l->cframe_current;
    enum walk_end end = walk_copies(&walk, current);
    if (end == WALK_COMPLETE)
        accept(&walk, current);
    else if (end == WALK_AGAIN)
        again(python, thread);
    else
        pst_thread_torn(python, thread, walk.verdict);
}
