/* Each call of the evaluation loop runs the Python frames from its innermost up to the one that it
 * was entered with. So both stacks are cut into the same pieces, counted from the end at which both
 * are whole. */
#include "merge.h"

struct merge {
    const struct pst_merge_input *input;
    struct pst_native_frame *dst;
    size_t size, count;
    size_t python; /* the next Python frame */
    bool full;
};

static void put(struct merge *merge, enum pst_native_kind kind, uint32_t id, int32_t line)
{
    if (merge->count == merge->size) {
        merge->full = true;
        return;
    }
    merge->dst[merge->count++] = (struct pst_native_frame){(uint8_t)kind, id, line};
}

static void put_python(struct merge *merge)
{
    const struct pst_py_frame *frame = &merge->input->python[merge->python++];

    put(merge, PST_NATIVE_PYTHON, frame->code, frame->line);
}

/* The Python frames of one call of the loop. */
static void put_call(struct merge *merge)
{
    bool entry = false;

    while (!entry && merge->python < merge->input->python_count) {
        entry = merge->input->python[merge->python].entry;
        put_python(merge);
    }
}

static void put_rest(struct merge *merge)
{
    while (merge->python < merge->input->python_count)
        put_python(merge);
}

static void put_symbols(struct merge *merge, const struct pst_place *place)
{
    for (uint32_t i = 0; i < place->count; i++) {
        uint32_t id = place->first + i;
        const struct pst_native_frame *inner = merge->count ? &merge->dst[merge->count - 1] : NULL;
        if (merge->input->symbols && inner && inner->kind == PST_NATIVE_C &&
            pst_symbols_repeats(merge->input->symbols, id, inner->id))
            continue;
        put(merge, PST_NATIVE_C, id, 0);
    }
}

/* A handler that the loop called is a part of it. */
static bool is_call(const struct pst_merge_input *input, size_t i)
{
    if (input->places[i].kind == PST_PLACE_LOOP)
        return true;
    return input->places[i].kind == PST_PLACE_HANDLER &&
           (i + 1 == input->place_count || input->places[i + 1].kind != PST_PLACE_LOOP);
}

static size_t calls_of_loop(const struct pst_merge_input *input)
{
    size_t count = 0;

    for (size_t i = 0; i < input->place_count; i++)
        count += is_call(input, i);
    return count;
}

static size_t calls_of_python(const struct pst_merge_input *input)
{
    size_t count = 0;

    for (size_t i = 0; i < input->python_count; i++)
        count += input->python[i].entry || i + 1 == input->python_count;
    return count;
}

/* How many calls of the loop, from the leaf, have no Python frame yet; false when the two stacks do
 * not fit. */
static bool fit(const struct pst_merge_input *input, size_t *ret_without)
{
    size_t loop = calls_of_loop(input), python = calls_of_python(input);

    *ret_without = 0;
    if (input->end != PST_END_WHOLE)
        return loop <= python;
    *ret_without = loop > python ? loop - python : 0;
    return loop == python || loop == python + 1;
}

static void put_mark(struct merge *merge, enum pst_unwind_end end)
{
    if (end == PST_END_TRUNCATED)
        put(merge, PST_NATIVE_MARK, PST_MARK_TRUNCATED, 0);
    else if (end == PST_END_JIT)
        put(merge, PST_NATIVE_MARK, PST_MARK_JIT, 0);
    else if (end == PST_END_LOST)
        put(merge, PST_NATIVE_MARK, PST_MARK_LOST, 0);
    else if (end == PST_END_SWITCHED)
        put(merge, PST_NATIVE_MARK, PST_MARK_SWITCHED, 0);
}

/* Below the last Python frame only what started the thread is left: without a name it says nothing.
 */
static void drop_nameless_root(struct merge *merge)
{
    while (merge->input->symbols && merge->input->python_count > 0 && merge->count > 0 &&
           merge->dst[merge->count - 1].kind == PST_NATIVE_C &&
           pst_symbols_nameless(merge->input->symbols, merge->dst[merge->count - 1].id))
        merge->count--;
}

static void put_fitting(struct merge *merge, size_t without)
{
    const struct pst_merge_input *input = merge->input;

    for (size_t i = 0; i < input->place_count; i++) {
        if (input->places[i].kind == PST_PLACE_GAP)
            put(merge, PST_NATIVE_MARK, PST_MARK_LOST, 0);
        else if (!is_call(input, i))
            put_symbols(merge, &input->places[i]);
        else if (without > 0)
            without--;
        else
            put_call(merge);
    }
    bool all = merge->python == input->python_count && input->python_count > 0;
    if (all)
        drop_nameless_root(merge);
    if (!all || input->end != PST_END_LOST)
        put_mark(merge, input->end);
    put_rest(merge);
}

/* What was called from Python's code last is certain even then. */
static void put_mismatching(struct merge *merge)
{
    const struct pst_merge_input *input = merge->input;

    for (size_t i = 0; i < input->place_count && !input->places[i].python; i++)
        put_symbols(merge, &input->places[i]);
    put(merge, PST_NATIVE_MARK, PST_MARK_MISMATCH, 0);
    put_rest(merge);
}

/* greenlet gives each of its coroutines a chain of Python frames that ends at its base; on the
 * stack below stands whoever switched to it. */
static struct pst_merge_input above_base(const struct pst_merge_input *input)
{
    struct pst_merge_input above = *input;

    for (size_t i = 0; i < input->place_count; i++) {
        if (input->places[i].kind != PST_PLACE_BASE)
            continue;
        above.place_count = i;
        above.end = PST_END_WHOLE;
        break;
    }
    return above;
}

/* Where a coroutine's stack begins, calls of Python may be left that its creator's stack holds. The
 * function that it began with returns to no call, so that what tables say there may lead past it.
 */
static struct pst_merge_input on_its_stack(const struct pst_merge_input *input)
{
    struct pst_merge_input own = *input;
    size_t without;

    if (own.foreign &&
        (own.end == PST_END_TRUNCATED || (own.end == PST_END_WHOLE && !fit(&own, &without))))
        own.end = PST_END_SWITCHED;
    return own;
}

size_t pst_native_merge(const struct pst_merge_input *whole, struct pst_native_frame *dst,
                        size_t size, bool *ret_mismatch)
{
    const struct pst_merge_input above = above_base(whole), own = on_its_stack(&above);
    const struct pst_merge_input *input = &own;
    struct merge merge = {.input = input, .dst = dst, .size = size};
    size_t without;

    *ret_mismatch = !fit(input, &without);
    if (*ret_mismatch)
        put_mismatching(&merge);
    else
        put_fitting(&merge, without);
    if (merge.full) { /* too many for a stack: the Python frames are what it is about */
        merge = (struct merge){.input = input, .dst = dst, .size = size};
        put(&merge, PST_NATIVE_MARK, PST_MARK_TRUNCATED, 0);
        put_rest(&merge);
    }
    return merge.count;
}
