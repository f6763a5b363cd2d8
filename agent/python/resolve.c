/* Raw frames to code ids and lines. Decides when a code object may be trusted unread: on versions
 * that count freed code objects while the count stands; else a frame that did not change since the
 * thread's last sample holds its code alive, and the others are read again. */
#include <stdlib.h>

#include "internal.h"

enum {
    VERIFIED_PER_SAMPLE = 16, /* codes read again; beyond that, age decides */
    TRUST_NS = 1000000000,
    NOT_STARTED = -2, /* offset of prev_instr at a function's entry, in bytes */
};

static bool is_shim(const struct pst_python *python, const struct pst_raw_frame *frame)
{
    return python->layout.shim_owner != 0 && frame->owner >= python->layout.shim_owner;
}

static const struct pst_raw_frame *raw_from_root(const struct pst_python *python,
                                                 const struct pst_thread *thread, uint32_t i)
{
    return &python->scratch->raw[thread->first_raw + thread->raw_count - 1 - i];
}

static bool trusted(struct pst_python *python, const struct pst_code *code, bool held,
                    uint64_t generation)
{
    if (python->layout.interp.code_generation && code->generation == generation)
        return true;
    if (held || code->verified_ns == python->now_ns)
        return true;
    return python->verified_now >= VERIFIED_PER_SAMPLE &&
           python->now_ns - code->verified_ns < TRUST_NS;
}

/* Frames at the same place, of the same code, from the root on as in the thread's last sample. */
static uint32_t held_frames(const struct pst_python *python, const struct pst_thread *thread)
{
    uint32_t i = 0;

    if (thread->seen_epoch != pst_codes_epoch(python->codes))
        return 0;
    for (; i < thread->seen_count && i < thread->raw_count; i++) {
        const struct pst_raw_frame *frame = raw_from_root(python, thread, i);
        if (thread->seen[i].frame != frame->address || thread->seen[i].code != frame->code)
            break;
    }
    return i;
}

void pst_resolve_request(struct pst_python *python, struct pst_thread *thread)
{
    const struct pst_interp *interp = pst_thread_interp(python, thread);
    uint64_t generation = interp ? interp->generation : 0;
    uint32_t held = held_frames(python, thread);

    for (uint32_t i = 0; i < thread->raw_count; i++) {
        const struct pst_raw_frame *frame = raw_from_root(python, thread, i);
        if (is_shim(python, frame))
            continue;
        uint32_t index =
            i < held ? thread->seen[i].index : pst_codes_find(python->codes, frame->code);
        if (index == PST_CODE_NONE) {
            python->stats.code_misses += pst_codes_request(python->codes, frame->code);
            continue;
        }
        python->stats.code_hits++;
        if (!trusted(python, pst_codes_get(python->codes, index), i < held, generation) &&
            pst_codes_request(python->codes, frame->code))
            python->verified_now++;
    }
}

static bool grow_seen(struct pst_thread *thread)
{
    uint32_t cap = thread->seen_cap ? thread->seen_cap * 2 : 16;
    struct pst_seen *seen = realloc(thread->seen, cap * sizeof(*seen));

    if (!seen)
        return false;
    thread->seen = seen;
    thread->seen_cap = cap;
    return true;
}

static bool in_code(const struct pst_code *code, int64_t offset)
{
    return offset >= NOT_STARTED && offset < (int64_t)code->bytes;
}

/* Every thread but the first runs a copy of the bytecode. Where a thread that has ended left its
 * index to another, the copy kept here may be gone: it is asked for once more. */
static bool offset_in_copy(struct pst_python *python, const struct pst_thread *thread,
                           const struct pst_raw_frame *frame, const struct pst_code *code,
                           int64_t *ret)
{
    const struct pst_interp *interp = pst_thread_interp(python, thread);
    uint32_t generation = interp ? interp->tlbc_generation : 0;
    uint64_t start;

    if (frame->tlbc < 0 ||
        pst_tlbc_start(python, code, (uint32_t)frame->tlbc, generation, &start) < 0)
        return false;
    *ret = (int64_t)(frame->instr - start);
    if (in_code(code, *ret))
        return true;
    if (pst_tlbc_read(python, code, (uint32_t)frame->tlbc, generation, &start) < 0)
        return false;
    *ret = (int64_t)(frame->instr - start);
    return in_code(code, *ret);
}

static bool offset_of(struct pst_python *python, const struct pst_thread *thread,
                      const struct pst_raw_frame *frame, const struct pst_code *code, int64_t *ret)
{
    if (frame->tlbc != 0 && python->layout.code.tlbc)
        return offset_in_copy(python, thread, frame, code, ret);
    if (code->start)
        *ret = (int64_t)(frame->instr - code->start);
    else
        *ret = (int64_t)(int32_t)frame->instr * (python->layout.word_lasti ? 2 : 1);
    return in_code(code, *ret);
}

static uint32_t public_of(struct pst_python *python, const struct pst_raw_frame *frame,
                          const struct pst_code *code)
{
    return frame->class_id ? pst_details_public(python, code->public_id, frame->class_id)
                           : code->public_id;
}

static bool grow_frames(struct pst_python *python)
{
    uint32_t cap = python->out_frame_cap ? python->out_frame_cap * 2 : 64;
    struct pst_py_frame *frames = realloc(python->out_frames, cap * sizeof(*frames));

    if (!frames)
        return false;
    python->out_frames = frames;
    if (python->keep_places) {
        struct pst_raw_frame *places = realloc(python->out_places, cap * sizeof(*places));
        if (!places)
            return false;
        python->out_places = places;
    }
    python->out_frame_cap = cap;
    return true;
}

static bool put_frame(struct pst_python *python, const struct pst_raw_frame *raw, uint32_t code,
                      int32_t line, const struct pst_raw_frame *shim)
{
    if (python->out_frame_count == python->out_frame_cap && !grow_frames(python))
        return false;
    if (python->keep_places)
        python->out_places[python->out_frame_count] = *raw;
    python->out_frames[python->out_frame_count++] =
        (struct pst_py_frame){code, line, raw->entry || shim != NULL, shim ? shim->address : 0};
    return true;
}

/* The shim right below the frame that is i-th from the root: a C call of the evaluation loop began
 * with the frame. NULL when it was called by another Python frame. */
static const struct pst_raw_frame *shim_of(const struct pst_python *python,
                                           const struct pst_thread *thread, uint32_t i)
{
    if (i == 0 || !is_shim(python, raw_from_root(python, thread, i - 1)))
        return NULL;
    return raw_from_root(python, thread, i - 1);
}

/* Resolves the frame that is i-th from the root; false when it cannot be one. */
static bool resolve_frame(struct pst_python *python, struct pst_thread *thread, uint32_t i,
                          uint32_t held)
{
    const struct pst_raw_frame *frame = raw_from_root(python, thread, i);
    struct pst_seen *seen = i < thread->seen_cap ? &thread->seen[i] : NULL;
    struct pst_seen now = {frame->address, frame->code, frame->instr, PST_CODE_NONE, 0};

    if (!is_shim(python, frame)) {
        now.index = i < held ? seen->index : pst_codes_find(python->codes, frame->code);
        if (now.index == PST_CODE_NONE)
            return false;
        const struct pst_code *code = pst_codes_get(python->codes, now.index);
        if (i < held && seen->instr == frame->instr) {
            now.line = seen->line;
        } else {
            int64_t offset;
            if (!offset_of(python, thread, frame, code, &offset))
                return false;
            now.line = pst_lines_find(&code->lines, offset);
        }
        if (!pst_code_is_helper(python->codes, now.index) &&
            !put_frame(python, frame, public_of(python, frame, code),
                       frame->own_line ? frame->own_line : now.line, shim_of(python, thread, i)))
            return false;
    }
    if (!seen && i < PST_SEEN_MAX && grow_seen(thread))
        seen = &thread->seen[i];
    if (seen) {
        *seen = now;
        thread->seen_count = i + 1;
    }
    return true;
}

static void reverse(struct pst_python *python, uint32_t first, uint32_t count)
{
    for (uint32_t a = first, b = first + count - 1; count > 0 && a < b; a++, b--) {
        struct pst_py_frame frame = python->out_frames[a];
        python->out_frames[a] = python->out_frames[b];
        python->out_frames[b] = frame;
        if (!python->keep_places)
            continue;
        struct pst_raw_frame place = python->out_places[a];
        python->out_places[a] = python->out_places[b];
        python->out_places[b] = place;
    }
}

void pst_resolve_thread(struct pst_python *python, struct pst_thread *thread)
{
    uint32_t held = held_frames(python, thread);
    uint32_t first = python->out_frame_count;
    uint32_t i = 0;

    for (; i < thread->raw_count; i++) {
        if (!resolve_frame(python, thread, i, held))
            break;
    }
    if (thread->seen_count > i)
        thread->seen_count = i;
    thread->seen_epoch = pst_codes_epoch(python->codes);
    /* A leaf may have been caught while it was being set up; anything below it may not. */
    if (i + 1 < thread->raw_count) {
        python->out_frame_count = first;
        thread->seen_count = 0;
        thread->state = PST_THREAD_PENDING;
        pst_thread_torn(python, thread, PST_V_CODE);
        if (thread->state == PST_THREAD_WALKED)
            pst_resolve_thread(python, thread); /* an earlier try's, once */
        return;
    }
    if (i < thread->raw_count)
        thread->trimmed = true;
    thread->first_frame = first;
    thread->frame_count = python->out_frame_count - first;
    reverse(python, first, thread->frame_count);
    thread->state = PST_THREAD_DONE;
}
