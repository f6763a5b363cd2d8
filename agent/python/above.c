/* What stood above the last frame that stood still, at the one instant of the copy that was walked.
 * Functions shorter than a read are never in all of its copies; but a frame that is in use says so
 * itself (by its link, its code, its stack pointer), and that its caller calls it from there has
 * been proven before, or the caller's bytecode says it. A stack with a step that was not proven is
 * not taken. */
#include <string.h>

#include "steps.h"
#include "walk.h"

enum {
    ABOVE_MAX = 48,   /* frames told so */
    BETWEEN_MAX = 16, /* frames outside the data stack between two that are in it */
    BELOW_MAX = 8,    /* frames looked at for where the data stack ends */
    SCANNED_MAX = 64, /* of the frames outside the data stack: for a generator that runs */
    NEAR_LEAF = 8,    /* steps of a sample that are remembered */
    FUNCTION_BYTES = 136,
    CALL_VERSION = 4, /* bytes from a call to the version that it was specialised for, */
    CALL_PASSED_3_12 = 2,
    CALL_PASSED_3_11 = 4, /* and back to it from the call's last cache entry */
};

struct rise {
    struct pst_walk *walk;
    uint32_t start;                         /* of the chain that it begins on */
    struct pst_raw_frame frames[ABOVE_MAX]; /* root first */
    uint32_t count;
    struct pst_raw_frame top, caller; /* the caller is the nearest that is no shim */
    uint64_t slot;                    /* where the next frame of the data stack would lie */
    bool from_c; /* some step went through C, where no caller says that it waits */
};

enum next { NEXT_FRAME, NEXT_NONE, NEXT_UNSURE };

static bool is_shim(const struct pst_walk *walk, const struct pst_raw_frame *frame)
{
    uint8_t shim_owner = walk->python->layout.shim_owner;

    return shim_owner && frame->owner >= shim_owner;
}

/* What stands between caller and callee without saying who calls whom: C, and the code with which
 * CPython itself checks what __init__ returned. */
static bool is_between(const struct pst_walk *walk, const struct pst_raw_frame *frame)
{
    if (is_shim(walk, frame))
        return true;
    uint32_t index = pst_codes_find(walk->python->codes, frame->code);
    return index != PST_CODE_NONE && pst_code_is_helper(walk->python->codes, index);
}

static struct pst_step step_of(const struct pst_raw_frame *caller,
                               const struct pst_raw_frame *callee)
{
    return (struct pst_step){caller->code, caller->instr, callee->code};
}

/* The version that a call which was specialised for this function has behind it; 0 unknown. */
static uint32_t version_of(struct pst_walk *walk, const struct pst_raw_frame *callee)
{
    struct pst_python *python = walk->python;
    const struct pst_layout *l = &python->layout;
    unsigned char function[FUNCTION_BYTES];
    struct pst_copies copies;

    if (!l->object.function_version) { /* functions have the version of their code */
        uint32_t index = pst_codes_find(python->codes, callee->code);
        return index == PST_CODE_NONE ? 0 : pst_codes_get(python->codes, index)->identity.version;
    }
    if (pst_place_find(walk, callee->address, &copies) != PST_PLACE_FOUND ||
        pst_memory_read(python->memory, pst_word(copies.walked, 0), function, sizeof(function)) <
            0 ||
        pst_word(function, l->object.function_code) != callee->code)
        return 0;
    return pst_half(function, l->object.function_version);
}

/* Whether the call at the caller's instruction was specialised for this function: it has the
 * function's version behind it then. Up to 3.12 a caller that waits has gone past that. */
static bool bytecode_says(struct pst_walk *walk, const struct pst_raw_frame *caller,
                          const struct pst_raw_frame *callee)
{
    const struct pst_layout *l = &walk->python->layout;
    uint32_t said, version;
    uint64_t at = caller->instr + CALL_VERSION;

    if (l->version <= 0x030c)
        at = caller->instr - (l->version == 0x030c ? CALL_PASSED_3_12 : CALL_PASSED_3_11);
    version = version_of(walk, callee);
    return version != 0 && pst_memory_read(walk->python->memory, at, &said, sizeof(said)) == 0 &&
           said == version;
}

static bool may_call(struct pst_walk *walk, const struct pst_raw_frame *caller,
                     const struct pst_raw_frame *callee)
{
    struct pst_step step = step_of(caller, callee);

    if (pst_steps_proven(walk->python->steps, &step))
        return true;
    if (!bytecode_says(walk, caller, callee))
        return false;
    pst_steps_prove(walk->python->steps, &step);
    step.callee = 0; /* that the call is specialised */
    pst_steps_prove(walk->python->steps, &step);
    return true;
}

/* Whether the call at the caller's instruction is specialised, and for another function. */
static bool calls_another(struct pst_walk *walk, const struct pst_raw_frame *caller,
                          const struct pst_raw_frame *callee)
{
    const struct pst_step specialised = {caller->code, caller->instr, 0};

    return pst_steps_proven(walk->python->steps, &specialised) && !may_call(walk, caller, callee);
}

uint32_t pst_walk_data_bytes(struct pst_walk *walk, uint64_t code)
{
    uint32_t bytes = pst_walk_frame_bytes(walk, code);

    if (bytes == 0)
        (void)pst_codes_request(walk->python->codes, code);
    return bytes;
}

static bool load_at(struct pst_walk *walk, uint64_t address, struct pst_raw_frame *ret,
                    bool *ret_on_stack)
{
    struct pst_copies copies;

    if (!pst_memory_plausible(address) ||
        pst_place_find(walk, address, &copies) != PST_PLACE_FOUND || !copies.walked)
        return false;
    pst_frame_load(&walk->python->layout, address, &copies, ret);
    *ret_on_stack = copies.on_stack;
    return true;
}

/* Frames outside the data stack, root first. */
struct path {
    struct pst_raw_frame frames[BETWEEN_MAX];
    uint32_t count;
};

/* Whether the frame is one of the chain that is risen from: then it leads to the root, not to the
 * top. */
static bool lies_below(const struct rise *rise, uint64_t address)
{
    for (uint32_t i = rise->start; i < rise->walk->count; i++) {
        if (rise->walk->raw[i].address == address)
            return true;
    }
    return false;
}

/* The frames from `address` down to the top, all of them outside the data stack. False when they
 * do not lead there, or not so soon: then ret->count is BETWEEN_MAX, and the first of ret->frames
 * the last that was looked at. */
static bool between(struct rise *rise, uint64_t address, struct path *ret)
{
    struct pst_raw_frame found[BETWEEN_MAX];
    bool on_stack;

    for (ret->count = 0; address != rise->top.address; ret->count++) {
        if (ret->count == BETWEEN_MAX) {
            ret->frames[0] = found[BETWEEN_MAX - 1];
            return false;
        }
        if (!load_at(rise->walk, address, &found[ret->count], &on_stack) || on_stack)
            return false;
        address = found[ret->count].previous;
    }
    for (uint32_t i = 0; i < ret->count; i++)
        ret->frames[i] = found[ret->count - 1 - i];
    return true;
}

static bool on_data_stack(const struct pst_thread *thread, uint64_t address)
{
    for (uint32_t i = 0; i < thread->chunk_count; i++) {
        if (address - thread->chunks[i].address < thread->chunks[i].size)
            return true;
    }
    return false;
}

/* One more frame on top, if its caller is known to call it from there. */
static bool rise_to(struct rise *rise, const struct pst_raw_frame *frame)
{
    if (rise->count == ABOVE_MAX || frame->code == 0)
        return false;
    rise->from_c |= is_shim(rise->walk, frame) || frame->entry;
    if (!is_between(rise->walk, frame)) {
        if (!may_call(rise->walk, &rise->caller, frame))
            return false;
        rise->caller = *frame;
    }
    rise->frames[rise->count++] = *frame;
    rise->top = *frame;
    return true;
}

static bool rise_through(struct rise *rise, const struct path *path)
{
    for (uint32_t i = 0; i < path->count; i++) {
        if (!rise_to(rise, &path->frames[i]))
            return false;
    }
    return true;
}

/* Whether the top itself runs, in Python: then nothing that it called is in use. */
static bool runs(const struct rise *rise)
{
    return rise->walk->python->layout.frame.stacktop && rise->top.runs_here;
}

/* Whether what lies behind the top is no frame in use: none of C's that are known called it. */
static bool is_left_over(const struct rise *rise, const struct pst_raw_frame *frame)
{
    struct pst_python *python = rise->walk->python;

    return !pst_memory_plausible(frame->previous) ||
           on_data_stack(rise->walk->thread, frame->previous) ||
           pst_codes_find(python->codes, frame->code) == PST_CODE_NONE ||
           (python->layout.frame.stacktop && !frame->runs_here);
}

/* A frame that lies in the data stack behind the top. */
static enum next next_in_stack(struct rise *rise)
{
    const struct pst_layout *l = &rise->walk->python->layout;
    struct pst_raw_frame frame;
    struct path path;
    bool on_stack;

    if (!rise->slot || !load_at(rise->walk, rise->slot, &frame, &on_stack) || !on_stack)
        return NEXT_UNSURE;
    if (frame.code == 0)
        return NEXT_NONE;
    if (!between(rise, frame.previous, &path))
        return is_left_over(rise, &frame) ? NEXT_NONE : NEXT_UNSURE;
    bool from_c = frame.entry || (path.count > 0 && is_shim(rise->walk, &path.frames[0]));
    if (l->frame.stacktop && runs(rise) != from_c)
        return from_c ? NEXT_UNSURE : NEXT_NONE;
    uint32_t bytes = pst_walk_data_bytes(rise->walk, frame.code);
    if (bytes == 0 || !rise_through(rise, &path))
        return NEXT_UNSURE;
    /* One that is entered or left just now, or was left: its caller is as true a leaf. */
    if (!rise_to(rise, &frame))
        return l->frame.stacktop && !frame.runs_here && path.count == 0 ? NEXT_NONE : NEXT_UNSURE;
    rise->slot += bytes;
    return NEXT_FRAME;
}

static bool stands_in(const struct path *path, uint64_t address)
{
    for (uint32_t i = 0; i < path->count; i++) {
        if (path->frames[i].address == address)
            return true;
    }
    return false;
}

/* The generators whose callers lead to the top: how many, and the path of the one that most of them
 * lie on. -1 when it cannot be told. */
static int32_t generators_above(struct rise *rise, uint64_t found[SCANNED_MAX], struct path *ret)
{
    struct pst_thread *thread = rise->walk->thread;
    int32_t count = 0;

    ret->count = 0;
    for (uint32_t i = 0; i < thread->known_count && i < SCANNED_MAX; i++) {
        uint64_t address = thread->known[i].address;
        struct pst_raw_frame frame;
        struct path path;
        bool on_stack;
        if (!thread->known[i].copy[0] || address == rise->top.address ||
            !load_at(rise->walk, address, &frame, &on_stack) || on_stack ||
            frame.owner != PST_OWNER_GENERATOR || frame.code == 0)
            continue;
        if (!between(rise, address, &path)) {
            if (path.count == BETWEEN_MAX && !lies_below(rise, path.frames[0].address))
                return -1;
            continue;
        }
        if (path.count == 0)
            continue;
        found[count++] = address;
        if (path.count > ret->count)
            *ret = path;
    }
    return count;
}

/* A generator that runs itself: it lies elsewhere, and only while it runs it has a caller. Those
 * that wait for one another are one path; two paths are of two moments. */
static enum next next_generator(struct rise *rise)
{
    uint64_t found[SCANNED_MAX];
    struct path path;
    int32_t count = generators_above(rise, found, &path);

    if (count <= 0)
        return count == 0 ? NEXT_NONE : NEXT_UNSURE;
    for (int32_t i = 0; i < count; i++) {
        if (!stands_in(&path, found[i]))
            return NEXT_UNSURE;
    }
    return rise_through(rise, &path) ? NEXT_FRAME : NEXT_UNSURE;
}

/* Whether the thread was in something outside the data stack while the copies were made, which may
 * be in none of them. */
static bool was_elsewhere(const struct pst_walk *walk)
{
    for (unsigned instant = 0; instant < 2; instant++) {
        uint64_t frame;
        if (!pst_walk_frame_at(walk, instant, &frame) || !on_data_stack(walk->thread, frame))
            return true;
    }
    return false;
}

/* Where the data stack ends above the frame that is start-th from the leaf. */
static uint64_t slot_above(struct pst_walk *walk, uint32_t start)
{
    for (uint32_t i = start; i < walk->count && i < start + BELOW_MAX; i++) {
        uint32_t bytes;
        if (!on_data_stack(walk->thread, walk->raw[i].address))
            continue;
        bytes = pst_walk_data_bytes(walk, walk->raw[i].code);
        return bytes ? walk->raw[i].address + bytes : 0;
    }
    return 0;
}

static bool begin(struct rise *rise, struct pst_walk *walk, uint32_t start)
{
    uint32_t caller = start;

    while (caller < walk->count && is_between(walk, &walk->raw[caller]))
        caller++;
    if (caller == walk->count)
        return false;
    rise->walk = walk;
    rise->start = start;
    rise->count = 0;
    rise->top = walk->raw[start];
    rise->caller = walk->raw[caller];
    rise->slot = slot_above(walk, start);
    rise->from_c = is_shim(walk, &walk->raw[start]);
    return true;
}

static bool put(struct pst_walk *walk, const struct rise *rise, uint32_t *start)
{
    if (rise->count > *start) {
        uint32_t more = rise->count - *start;
        if (walk->count + more > walk->cap)
            return false;
        memmove(walk->raw + rise->count, walk->raw + *start,
                (walk->count - *start) * sizeof(*walk->raw));
        walk->count += more;
        *start += more;
    }
    for (uint32_t i = 0; i < rise->count; i++)
        walk->raw[--*start] = rise->frames[i];
    return true;
}

static bool rise_above(struct pst_walk *walk, uint32_t *start)
{
    struct rise rise;
    enum next next = NEXT_FRAME;

    if (!begin(&rise, walk, *start))
        return false;
    while (next == NEXT_FRAME) {
        next = next_in_stack(&rise);
        if (next == NEXT_NONE)
            next = next_generator(&rise);
    }
    if (next == NEXT_UNSURE || is_shim(walk, &rise.top))
        return false;
    if (walk->below && rise.count == 0)
        return false; /* something ran above it */
    if (rise.from_c && walk->python->layout.frame.stacktop && !rise.top.runs_here)
        return false;
    if (was_elsewhere(walk) && rise.top.owner != PST_OWNER_GENERATOR)
        return false;
    return put(walk, &rise, start);
}

/* The frame that is start-th from the leaf as the copy of another look has it. */
static bool retake(struct pst_walk *walk, uint32_t start)
{
    struct pst_raw_frame *frame = &walk->raw[start], other;
    bool on_stack;

    if (!load_at(walk, frame->address, &other, &on_stack) || other.code != frame->code ||
        other.previous != frame->previous)
        return false;
    other.instr_changed |= frame->instr_changed;
    other.misfit = frame->misfit;
    *frame = other;
    return true;
}

/* What stood still did so in each copy: where one shows no moment that is proven above it, another
 * may. */
static bool rise_in_some_copy(struct pst_walk *walk, uint32_t *start)
{
    static const struct pst_look looks[] = {{0, 1, {0, 2}}, {0, 0, {1, 2}}, {0, 2, {0, 1}}};
    const struct pst_look *own = walk->look;
    struct pst_raw_frame kept = walk->raw[*start];
    uint32_t from = *start;
    bool told = rise_above(walk, start);

    for (size_t i = 0; !told && i < sizeof(looks) / sizeof(*looks); i++) {
        if (looks[i].copy == own->copy)
            continue;
        walk->look = &looks[i];
        told = retake(walk, from) && rise_above(walk, start);
    }
    walk->look = own;
    if (!told)
        walk->raw[from] = kept;
    return told;
}

/* Frame objects: the chain as it was walked, where each says that it runs. */
static bool chain_proven(struct pst_walk *walk, uint32_t *start)
{
    for (uint32_t i = 0; i < *start; i++) {
        const struct pst_raw_frame *callee = &walk->raw[i], *caller = callee + 1;
        if (!callee->runs_here || !caller->runs_here || !may_call(walk, caller, callee))
            return false;
    }
    *start = 0;
    return true;
}

static bool has_steps(struct pst_python *python)
{
    if (!python->steps)
        python->steps = pst_steps_new();
    if (!python->steps)
        return false;
    pst_steps_epoch(python->steps, pst_codes_epoch(python->codes));
    return true;
}

uint32_t pst_walk_called(struct pst_walk *walk, uint32_t start)
{
    struct pst_python *python = walk->python;
    const struct pst_raw_frame *frame = &walk->raw[start], *caller = frame + 1;

    if (python->validation_off || python->layout.frames_kind == PST_FRAMES_OBJECT ||
        start + 1 >= walk->count || frame->owner != PST_OWNER_GENERATOR || !frame->instr_changed)
        return start;
    /* The place of a shim on the C stack is overwritten as soon as it is left. */
    if (is_shim(walk, caller) || (has_steps(python) && may_call(walk, caller, frame)))
        return start;
    return start + 1;
}

uint32_t pst_walk_uncontradicted(struct pst_walk *walk, uint32_t start)
{
    struct pst_python *python = walk->python;
    uint32_t cut = start;

    if (python->validation_off || python->layout.frames_kind == PST_FRAMES_OBJECT ||
        !python->steps || !has_steps(python))
        return start;
    for (uint32_t i = start; i + 1 < walk->count && i < start + NEAR_LEAF; i++) {
        const struct pst_raw_frame *callee = &walk->raw[i], *caller = callee + 1;
        if (caller->owner == PST_OWNER_GENERATOR && callee->owner != PST_OWNER_GENERATOR &&
            !is_between(walk, callee) && calls_another(walk, caller, callee))
            cut = i + 1;
    }
    return cut;
}

bool pst_walk_above(struct pst_walk *walk, uint32_t *start)
{
    struct pst_python *python = walk->python;

    if (python->validation_off || *start >= walk->count || !has_steps(python))
        return false;
    if (python->layout.frames_kind == PST_FRAMES_OBJECT)
        return *start == 0 || chain_proven(walk, start);
    return rise_in_some_copy(walk, start);
}

void pst_walk_remember(struct pst_walk *walk, uint32_t start)
{
    struct pst_python *python = walk->python;
    uint32_t caller;

    if (!python->steps || python->validation_off)
        return;
    pst_steps_epoch(python->steps, pst_codes_epoch(python->codes));
    pst_steps_sample(python->steps);
    for (uint32_t i = start; i < walk->count && i < start + NEAR_LEAF; i = caller) {
        caller = i + 1;
        while (caller < walk->count && is_between(walk, &walk->raw[caller]))
            caller++;
        const struct pst_raw_frame *callee = &walk->raw[i];
        if (caller == walk->count || is_between(walk, callee) || callee->link_changed ||
            walk->raw[caller].link_changed || walk->raw[caller].instr_changed)
            continue;
        /* A generator lies apart from the data stack: others come and go between their copies. */
        if (callee->instr_changed && (callee->owner == PST_OWNER_GENERATOR ||
                                      walk->raw[caller].owner == PST_OWNER_GENERATOR))
            continue;
        /* What it calls itself lies in another piece: in a tight loop of few states the copies of
         * both agree by chance. The bytecode of such a loop is specialised, and tells. */
        if (python->layout.frames_kind != PST_FRAMES_OBJECT &&
            walk->raw[caller].owner == PST_OWNER_GENERATOR && callee->owner != PST_OWNER_GENERATOR)
            continue;
        struct pst_step step = step_of(&walk->raw[caller], callee);
        pst_steps_seen(python->steps, &step);
    }
}
