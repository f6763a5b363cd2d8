/* Whether CPython's JIT compiles for this target. Compiled code stores the instruction that a frame
 * is at only where it may leave: lines of such a target are those last stored. No field that could
 * be found from outside says so, but a code object that was compiled holds executors, and a hot
 * one stands on a stack before long. */
#include "internal.h"

enum {
    CODES = 16,          /* looked at in one go, those nearest the leaf first */
    EXECUTORS_MAX = 256, /* CPython's own bound for one code object */
};

static const uint64_t look_ns = 2000000000;

struct head {
    int32_t size, capacity;
};

static bool has_executors(struct pst_python *python, uint64_t array)
{
    struct head head;

    return pst_memory_plausible(array) &&
           pst_memory_read(python->memory, array, &head, sizeof(head)) == 0 && head.size > 0 &&
           head.size <= head.capacity && head.capacity <= EXECUTORS_MAX;
}

/* The codes of this sample's frames, some of each thread. */
static size_t gather(const struct pst_python *python, uint64_t codes[CODES])
{
    size_t count = 0;

    for (uint32_t depth = 0; depth < CODES; depth++) {
        for (uint32_t i = 0; i < python->thread_count && count < CODES; i++) {
            const struct pst_thread *thread = &python->threads[i];
            if (thread->state != PST_THREAD_DONE || thread->verdict != PST_V_OK ||
                depth >= thread->raw_count)
                continue;
            const struct pst_raw_frame *frame = &python->scratch->raw[thread->first_raw + depth];
            if (frame->owner < python->layout.shim_owner && pst_memory_plausible(frame->code))
                codes[count++] = frame->code;
        }
    }
    return count;
}

void pst_jit_look(struct pst_python *python)
{
    struct pst_piece pieces[CODES];
    uint64_t codes[CODES], arrays[CODES] = {0};
    size_t done;

    if (python->jit || !python->layout.code.executors || python->now_ns < python->jit_due_ns)
        return;
    python->jit_due_ns = python->now_ns + look_ns;
    size_t count = gather(python, codes);
    for (size_t i = 0; i < count; i++)
        pieces[i] = (struct pst_piece){codes[i] + python->layout.code.executors, &arrays[i],
                                       sizeof(*arrays)};
    if (count > 0)
        (void)pst_memory_readv(python->memory, pieces, count, &done);
    for (size_t i = 0; i < count && !python->jit; i++)
        python->jit = has_executors(python, arrays[i]);
}

bool pst_python_jit(const struct pst_python *python)
{
    return python->jit || (python->second && pst_python_jit(python->second));
}

bool pst_python_may_jit(const struct pst_python *python)
{
    return python->layout.code.executors != 0;
}
