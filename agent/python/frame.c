/* What the copies of a frame say: its fields, whether they changed between the copies, and whether
 * the frame runs, waits for what it called, or was left. Reads nothing. */
#include <string.h>

#include "walk.h"

enum { STATE_UNWINDING = 2, STACKTOP_LOADED = -1 };

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

/* The first argument, where all copies hold the same. */
static uint64_t first_word(const struct pst_layout *l, const struct pst_copies *copies)
{
    uint32_t offset = l->frame.localsplus;

    if (offset == 0 || copies->bytes < offset + sizeof(uint64_t))
        return 0;
    uint64_t word = pst_word(copies->walked, offset);
    bool same =
        word == pst_word(copies->others[0], offset) && word == pst_word(copies->others[1], offset);
    return same ? word : 0;
}

void pst_frame_load(const struct pst_layout *l, uint64_t address, const struct pst_copies *copies,
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
    ret->runs_here = ret->ran;
    take_state(l, copies->others[0], ret);
    take_state(l, copies->others[1], ret);
    ret->first_word = first_word(l, copies);
    ret->instr_changed = ret->instr != instr_of(l, copies->others[0]) ||
                         ret->instr != instr_of(l, copies->others[1]);
}

uint32_t pst_walk_frame_bytes(const struct pst_walk *walk, uint64_t code)
{
    uint32_t index = pst_codes_find(walk->python->codes, code);

    return index == PST_CODE_NONE ? 0 : pst_codes_get(walk->python->codes, index)->frame_bytes;
}

/* Behind a frame outside the data stack lies what has nothing to do with it. */
static size_t own_bytes(const struct pst_walk *walk, const struct pst_copies *copies, uint64_t code)
{
    uint32_t own = pst_walk_frame_bytes(walk, code);

    return own && own < copies->bytes ? own : copies->bytes;
}

/* Bytes of a frame that stand still while it waits for what it called: all up to the next frame on
 * the data stack. Shims and generators that stand between the two lie elsewhere, however many; what
 * lies beyond the next frame moves. */
static size_t still_bytes(const struct pst_walk *walk, const struct pst_copies *copies,
                          const struct pst_raw_frame *caller)
{
    uint64_t frame = caller->address, end = walk->top, next = walk->on_stack;

    if (!copies->on_stack)
        return own_bytes(walk, copies, caller->code);
    if (next > frame && next - frame < copies->bytes)
        end = next;
    return end > frame && end - frame <= copies->bytes ? end - frame : 0;
}

/* Whether the caller did nothing between the copies. Its instruction alone does not tell: a loop
 * comes back to it, but seldom with the same locals and temporaries. */
bool pst_frame_stood_still(const struct pst_walk *walk, const struct pst_raw_frame *caller,
                           const struct pst_copies *copies)
{
    size_t len = still_bytes(walk, copies, caller);

    return memcmp(copies->walked, copies->others[0], len) == 0 &&
           memcmp(copies->walked, copies->others[1], len) == 0;
}

/* Entering and leaving a function take their time, too: only a place that is free again proves that
 * a leaf which does not run is none. */
static bool was_popped(const struct pst_walk *walk, const struct pst_raw_frame *leaf)
{
    const unsigned char *top = walk->thread->top_again;

    /* A generator that was left has no caller any more, which the chain shows. */
    return !top || (leaf->owner == 0 && pst_word(top, 0) <= leaf->address);
}

/* Whether the frame's own word fits its place in the chain. One that was left stays in memory as
 * it was, so that copies may agree on a call that was over in each of them. */
bool pst_frame_state_fits(const struct pst_walk *walk, const struct pst_raw_frame *frame)
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
