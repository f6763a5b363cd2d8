/* One sample of one process: batches of pieces, the threads that they hold, and another round for
 * those that have to be read again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "internal.h"

enum {
    LIST_ATTEMPTS = 2,
    ROUNDS_MAX =
        PST_TORN_RETRIES + PST_MOVED_RETRIES + PST_STRUCT_RETRIES + PST_OVERLONG_RETRIES + 1,
    OVERLONG_TIMES = 4,
    OVERLONG_SLACK_NS = 10000,
    USUAL_STEP = 16,
    CALL_PIECES = 4,    /* what a call costs before it copies, in pieces */
    PIECE_BYTES = 4096, /* that cost as much as a piece more */
    FAULTS_MAX = 256,   /* pieces of one sample that turn out unmapped */
};

struct pass {
    struct pst_python *python;
    bool first_round;
    uint32_t faults;
    enum pst_verdict verdict; /* what ends the sample early */
};

static bool in_batch(const struct pass *pass, const struct pst_thread *thread)
{
    return thread->state == PST_THREAD_PENDING ||
           (pass->first_round && !pass->python->alone && thread->state == PST_THREAD_SKIPPED);
}

static void end_thread(struct pst_thread *thread, enum pst_verdict verdict)
{
    thread->state = PST_THREAD_DONE;
    thread->verdict = verdict;
}

/* Adds threads from `first` on until the batch is full; answers the one after the last. */
static uint32_t fill(struct pass *pass, uint32_t first)
{
    struct pst_python *python = pass->python;
    struct pst_py_scratch *scratch = python->scratch;
    uint32_t i = first;

    pst_batch_reset(scratch, 2 * python->interp_count + 2,
                    python->interp_count * (PST_SPAN_INTERP + 8) + PST_SPAN_RUNTIME);
    for (; i < python->thread_count; i++) {
        struct pst_thread *thread = &python->threads[i];
        thread->piece_count = 0;
        if (!in_batch(pass, thread))
            continue;
        if (pst_thread_add_pieces(python, thread))
            continue;
        if (scratch->piece_count > 0)
            break;
        end_thread(thread, PST_V_BUDGET); /* does not fit an empty batch */
    }
    pst_batch_release(scratch);
    return i;
}

/* The lists' heads, GIL and generation, read after the stacks that they vouch for. */
static void fill_lists(struct pst_python *python)
{
    struct pst_py_scratch *scratch = python->scratch;

    python->runtime_copy = python->head_copy = python->current_copy = NULL;
    if (python->spans.runtime_len)
        python->runtime_copy =
            pst_batch_add(scratch, python->runtime.runtime + python->spans.runtime_start,
                          python->spans.runtime_len);
    if (python->runtime.interp_head)
        python->head_copy = pst_batch_add(scratch, python->runtime.interp_head, sizeof(uint64_t));
    if (python->runtime.interp_head && python->runtime.tstate_current)
        python->current_copy =
            pst_batch_add(scratch, python->runtime.tstate_current, sizeof(uint64_t));
    for (uint32_t i = 0; i < python->interp_count; i++) {
        struct pst_interp *interp = &python->interps[i];
        interp->copy = pst_batch_add(scratch, interp->address + python->spans.interp_start,
                                     python->spans.interp_len);
        interp->tlbc_copy =
            pst_interp_has_tlbc(&python->layout)
                ? pst_batch_add(scratch, interp->address + python->layout.interp.tlbc_generation,
                                sizeof(interp->tlbc_generation))
                : NULL;
    }
}

static void take_lists(struct pst_python *python)
{
    const struct pst_layout *l = &python->layout;
    uint32_t start = python->spans.runtime_start;

    python->runtime_holder = python->current_copy ? pst_word(python->current_copy, 0) : 0;
    if (python->head_copy && pst_word(python->head_copy, 0) != python->interp_head)
        python->list_valid = false;
    if (python->runtime_copy) {
        if (pst_word(python->runtime_copy, l->runtime.interpreters_head - start) !=
            python->interp_head)
            python->list_valid = false;
        if (l->runtime.gil_holder &&
            pst_half(python->runtime_copy, l->runtime.gil_locked - start) == 1)
            python->runtime_holder = pst_word(python->runtime_copy, l->runtime.gil_holder - start);
    }
    for (uint32_t i = 0; i < python->interp_count; i++)
        pst_interp_take(python, &python->interps[i]);
    if (!pst_threads_unchanged(python))
        python->list_valid = false;
}

/* Whether the copy still is the thread that the list knows. */
static bool take_identity(struct pst_python *python, struct pst_thread *thread)
{
    const struct pst_layout *l = &python->layout;
    const unsigned char *copy = thread->tstate_copy;

    if (pst_word(copy, l->tstate.interp) != thread->interp_address ||
        (l->tstate.id && pst_word(copy, l->tstate.id) != thread->id)) {
        python->list_valid = false;
        return false;
    }
    if (pst_word(copy, l->tstate.next) != thread->next)
        python->list_valid = false;
    if (pst_word(copy, l->tstate.thread_id) != thread->pthread) {
        python->list_valid = false;
        if (python->alone)
            return false;
    }
    if (l->tstate.native_thread_id)
        thread->tid = (pid_t)pst_word(copy, l->tstate.native_thread_id);
    if (l->tstate.attached)
        thread->attached = pst_half(copy, l->tstate.attached) == 1;
    return true;
}

static void walk_range(struct pass *pass, uint32_t first, uint32_t end)
{
    struct pst_python *python = pass->python;

    for (uint32_t i = first; i < end; i++) {
        struct pst_thread *thread = &python->threads[i];
        if (thread->piece_count == 0 || !in_batch(pass, thread))
            continue;
        if (!take_identity(python, thread)) {
            end_thread(thread, PST_V_GONE);
            continue;
        }
        if (thread->state == PST_THREAD_SKIPPED)
            continue;
        pst_walk_thread(python, thread);
    }
}

static uint64_t newest_generation(const struct pst_python *python)
{
    uint64_t newest = 0;

    for (uint32_t i = 0; i < python->interp_count; i++) {
        if (python->interps[i].generation > newest)
            newest = python->interps[i].generation;
    }
    return newest;
}

static void resolve_range(struct pst_python *python, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++) {
        if (python->threads[i].state == PST_THREAD_WALKED)
            pst_resolve_request(python, &python->threads[i]);
    }
    if (pst_codes_requested(python->codes) > 0)
        pst_codes_settle(python->codes, python->now_ns, newest_generation(python));
    pst_details_read(python, first, end);
    for (uint32_t i = first; i < end; i++) {
        if (python->threads[i].state == PST_THREAD_WALKED)
            pst_resolve_thread(python, &python->threads[i]);
    }
}

/* A piece was not mapped: its thread forgets it. Answers where to go on from. */
static uint32_t fault(struct pass *pass, uint32_t first, uint32_t end, size_t piece)
{
    struct pst_python *python = pass->python;

    if (++pass->faults > FAULTS_MAX)
        pass->verdict = PST_V_UNMAPPED;
    for (uint32_t i = first; i < end; i++) {
        struct pst_thread *thread = &python->threads[i];
        if (thread->piece_count == 0 || piece < thread->first_piece ||
            piece >= thread->first_piece + thread->piece_count)
            continue;
        if (!pst_thread_fault(thread, python->scratch->pieces[piece].address)) {
            end_thread(thread, PST_V_GONE);
            python->list_valid = false;
        }
        thread->piece_count = 0;
        walk_range(pass, first, i);
        resolve_range(python, first, i);
        return i;
    }
    python->list_valid = false; /* an interpreter went */
    walk_range(pass, first, end);
    resolve_range(python, first, end);
    return end;
}

/* Did this read take far longer than reads of this process do? Then the reader was taken off its
 * CPU between the copies, and a target that runs on meanwhile may show the same bytes in both by
 * chance: such a read vouches for nothing. Caches make a read half as long again, the kernel's tick
 * a few microseconds longer, a target that maps and unmaps without pause twice or three times as
 * long (the call waits for its memory map; such reads showed no impossible stack), losing the CPU a
 * hundred times as long. */
static bool took_too_long(struct pst_python *python, uint64_t duration_ns)
{
    const struct pst_py_scratch *scratch = python->scratch;
    uint64_t work = CALL_PIECES + scratch->piece_count + scratch->used / PIECE_BYTES;
    uint64_t usual_ns = python->usual_read_ns, per_piece_ns = duration_ns / work;

    if (!usual_ns) {
        python->usual_read_ns = per_piece_ns;
        return false;
    }
    /* A step up or down, however far off a read is: the usual is the median, which a few overlong
     * reads do not move, and a process whose reads really became longer is read again soon. */
    if (per_piece_ns != usual_ns)
        python->usual_read_ns +=
            per_piece_ns > usual_ns ? usual_ns / USUAL_STEP + 1 : -(usual_ns / USUAL_STEP);
    return duration_ns > OVERLONG_TIMES * usual_ns * work + OVERLONG_SLACK_NS;
}

static void retry_range(struct pass *pass, uint32_t first, uint32_t end)
{
    struct pst_python *python = pass->python;

    for (uint32_t i = first; i < end; i++) {
        struct pst_thread *thread = &python->threads[i];
        if (thread->piece_count == 0 || thread->state != PST_THREAD_PENDING)
            continue;
        if (++thread->overlong_retries > PST_OVERLONG_RETRIES)
            pst_thread_end(python, thread, PST_V_TORN);
        else
            python->stats.retries++;
    }
}

static void read_group(struct pass *pass, uint32_t *first)
{
    struct pst_python *python = pass->python;
    struct pst_py_scratch *scratch = python->scratch;
    uint32_t end = fill(pass, *first);
    size_t done = 0;

    fill_lists(python);
    uint64_t before_ns = pst_clock_monotonic_ns();
    int error = pst_memory_readv(python->memory, scratch->pieces, scratch->piece_count, &done);
    bool overlong = took_too_long(python, pst_clock_monotonic_ns() - before_ns);
    if (error == -EFAULT) {
        *first = fault(pass, *first, end, done);
        return;
    }
    if (error < 0) {
        pass->verdict = pst_read_verdict(error);
        return;
    }
    python->stats.overlong += overlong;
    if (overlong && !python->validation_off)
        retry_range(pass, *first, end);
    else
        walk_range(pass, *first, end);
    take_lists(python);
    resolve_range(python, *first, end);
    *first = end;
}

static bool any_pending(const struct pst_python *python)
{
    for (uint32_t i = 0; i < python->thread_count; i++) {
        if (python->threads[i].state == PST_THREAD_PENDING)
            return true;
    }
    return false;
}

static void begin(struct pst_python *python, bool (*want)(void *context, pid_t tid), void *context)
{
    python->now_ns = pst_clock_monotonic_ns();
    python->verified_now = 0;
    python->out_frame_count = 0;
    for (uint32_t i = 0; i < python->thread_count; i++) {
        struct pst_thread *thread = &python->threads[i];
        bool wanted = !thread->leftover && (!want || want(context, thread->tid));
        thread->state = wanted ? PST_THREAD_PENDING : PST_THREAD_SKIPPED;
        thread->verdict = PST_V_OK;
        thread->torn_retries = thread->struct_retries = thread->overlong_retries = 0;
        thread->moved_retries = 0;
        thread->kept_count = 0;
        thread->attached = thread->truncated = thread->trimmed = false;
        thread->frame_count = thread->first_frame = 0;
        if (wanted)
            pst_known_age(python, thread);
    }
}

static enum pst_verdict run(struct pst_python *python)
{
    struct pass pass = {.python = python, .first_round = true, .verdict = PST_V_OK};

    for (int round = 0; round < ROUNDS_MAX && pass.verdict == PST_V_OK; round++) {
        uint32_t first = 0;
        if (round > 0 && !any_pending(python))
            break;
        do {
            read_group(&pass, &first);
        } while (first < python->thread_count && pass.verdict == PST_V_OK);
        pass.first_round = false;
    }
    for (uint32_t i = 0; i < python->thread_count; i++) {
        if (python->threads[i].state == PST_THREAD_PENDING)
            end_thread(&python->threads[i], pass.verdict != PST_V_OK ? pass.verdict : PST_V_TORN);
    }
    /* Out of budget costs threads, not the process. */
    return pass.verdict == PST_V_BUDGET || pass.verdict == PST_V_UNMAPPED ? PST_V_OK : pass.verdict;
}

static bool holds_gil(const struct pst_python *python, const struct pst_thread *thread)
{
    if (python->runtime_holder == thread->address)
        return true;
    for (uint32_t i = 0; i < python->interp_count; i++) {
        if (python->interps[i].holder == thread->address)
            return true;
    }
    return false;
}

static void count(struct pst_python *python, const struct pst_thread *thread,
                  struct pst_py_sample *sample)
{
    if (thread->state == PST_THREAD_SKIPPED)
        return;
    python->stats.stacks++;
    python->stats.verdicts[thread->verdict]++;
    python->stats.trimmed += thread->trimmed;
    python->stats.truncated += thread->truncated;
    sample->retries +=
        (uint32_t)thread->torn_retries + thread->moved_retries + thread->overlong_retries;
    sample->trimmed += thread->trimmed;
}

static enum pst_verdict emit(struct pst_python *python, struct pst_py_sample *ret)
{
    size_t emitted = 0;

    if (python->thread_count > python->out_thread_cap) {
        struct pst_py_thread *threads =
            realloc(python->out_threads, python->thread_cap * sizeof(*threads));
        if (!threads)
            return PST_V_NO_MEMORY;
        python->out_threads = threads;
        python->out_thread_cap = python->thread_cap;
    }
    for (uint32_t i = 0; i < python->thread_count; i++) {
        const struct pst_thread *thread = &python->threads[i];
        if (thread->verdict == PST_V_GONE || thread->leftover)
            continue;
        if (python->alone && thread->state == PST_THREAD_SKIPPED)
            continue;
        count(python, thread, ret);
        python->out_threads[emitted++] = (struct pst_py_thread){
            .tstate = thread->address,
            .interpreter = thread->interp_id,
            .thread_id = thread->pthread,
            .tid = thread->tid,
            .verdict = thread->verdict,
            .has_gil = holds_gil(python, thread),
            .attached = thread->attached,
            .truncated = thread->truncated,
            .trimmed = thread->trimmed,
            .first_frame = thread->first_frame,
            .frame_count = thread->verdict == PST_V_OK ? thread->frame_count : 0,
        };
    }
    ret->threads = python->out_threads;
    ret->thread_count = emitted;
    ret->frames = python->out_frames;
    ret->frame_count = python->out_frame_count;
    return PST_V_OK;
}

static enum pst_verdict prepare(struct pst_python *python)
{
    if (!python->scratch) {
        python->scratch = pst_py_scratch_new();
        python->own_scratch = true;
        if (!python->scratch)
            return PST_V_NO_MEMORY;
    }
    /* Frame objects that were not met before are followed one by one: the deepest chain once. */
    bool objects = python->layout.frames_kind == PST_FRAMES_OBJECT;
    pst_memory_budget(python->memory, PST_MAX_TARGET_SAMPLE_BYTES,
                      PST_MAX_SAMPLE_READS + (objects ? PST_MAX_FRAMES_WALKED : 0));
    return PST_V_OK;
}

/* A list that turned out to have changed is read again at once: a thread that has just started
 * would otherwise pass for a native one in this sample. */
static enum pst_verdict read_all(struct pst_python *python, bool (*want)(void *context, pid_t tid),
                                 void *context)
{
    enum pst_verdict verdict = PST_V_OK;

    for (int attempt = 0; attempt < LIST_ATTEMPTS && verdict == PST_V_OK; attempt++) {
        if (!python->list_valid)
            verdict = pst_threads_refresh(python);
        else if (attempt > 0)
            break;
        if (verdict == PST_V_OK) {
            begin(python, want, context);
            verdict = run(python);
        }
    }
    return verdict;
}

static enum pst_verdict end_sample(struct pst_python *python, enum pst_verdict verdict,
                                   struct pst_py_sample *ret)
{
    if (verdict == PST_V_OK)
        pst_jit_look(python);
    if (verdict == PST_V_OK)
        verdict = emit(python, ret);
    if (verdict != PST_V_OK) {
        python->stats.verdicts[verdict]++;
        *ret = (struct pst_py_sample){0};
    }
    return verdict;
}

enum pst_verdict pst_python_sample(struct pst_python *python,
                                   bool (*want)(void *context, pid_t tid), void *context,
                                   struct pst_py_sample *ret)
{
    enum pst_verdict verdict = prepare(python);

    *ret = (struct pst_py_sample){0};
    if (verdict != PST_V_OK)
        return verdict;
    verdict = end_sample(python, read_all(python, want, context), ret);
    if (verdict == PST_V_OK && python->second)
        pst_second_add(python, want, context, ret);
    return verdict;
}

/* --- one thread alone --- */

static bool has_tid(void *context, pid_t tid)
{
    return tid == *(const pid_t *)context;
}

/* Whether the list has it, and none of its thread states turned out to be somebody else's. */
static bool all_there(const struct pst_python *python, pid_t tid)
{
    bool found = false;

    for (uint32_t i = 0; i < python->thread_count; i++) {
        const struct pst_thread *thread = &python->threads[i];
        if (thread->tid != tid)
            continue;
        if (thread->verdict == PST_V_GONE && thread->state == PST_THREAD_DONE)
            return false;
        found = true;
    }
    return found;
}

static enum pst_verdict read_alone(struct pst_python *python, pid_t tid)
{
    enum pst_verdict verdict = PST_V_OK;

    for (int attempt = 0; attempt < LIST_ATTEMPTS && verdict == PST_V_OK; attempt++) {
        if (attempt > 0 || python->thread_count == 0)
            verdict = pst_threads_refresh(python);
        if (verdict == PST_V_OK) {
            begin(python, has_tid, &tid);
            verdict = run(python);
        }
        if (verdict == PST_V_OK && (python->list_valid || all_there(python, tid)))
            break;
    }
    return verdict;
}

enum pst_verdict pst_python_sample_thread(struct pst_python *python, pid_t tid,
                                          struct pst_py_sample *ret)
{
    enum pst_verdict verdict = prepare(python);

    *ret = (struct pst_py_sample){0};
    if (verdict != PST_V_OK)
        return verdict;
    python->alone = true;
    verdict = end_sample(python, read_alone(python, tid), ret);
    python->alone = false;
    if (verdict == PST_V_OK && python->second)
        pst_second_add(python, has_tid, &tid, ret);
    return verdict;
}
