/* What was read of a thread, as a stack of the open window. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "look.h"

enum { ROOT_FRAMES = 64 /* kept nearest the root when a stack is shortened */ };

uint32_t pst_sampled_slot(struct pst_sampled *target, struct pst_os_thread *thread)
{
    if (thread->slot == PST_NO_STACK &&
        pst_window_thread(target->window, thread->tid, &thread->slot) < 0)
        thread->slot = PST_NO_STACK;
    return thread->slot;
}

void pst_sampled_add(struct pst_sampled *target, struct pst_os_thread *thread, enum pst_mode mode,
                     uint32_t stack, uint64_t ns, uint32_t count)
{
    if (!(target->plan.modes & (1U << mode)))
        return;
    uint32_t slot = pst_sampled_slot(target, thread);
    if (slot == PST_NO_STACK)
        return;
    pst_window_add(target->window, slot, stack, mode, ns, count);
    atomic_fetch_add_explicit(&target->shared->samples[mode], count, memory_order_relaxed);
}

int pst_sampled_bracket(struct pst_sampled *target, uint32_t function, uint32_t *ret_stack)
{
    struct pst_wframe frame = {function, 0};
    return pst_window_stack(target->window, &frame, 1, ret_stack);
}

uint32_t pst_sampled_function(struct pst_sampled *target, uint32_t code)
{
    if (code >= target->function_cap) {
        uint32_t cap = target->function_cap ? target->function_cap * 2 : 256;
        while (cap <= code)
            cap *= 2;
        uint32_t *functions = realloc(target->functions, cap * sizeof(*functions));
        if (!functions)
            return target->shared->overflow;
        memset(functions + target->function_cap, 0,
               (cap - target->function_cap) * sizeof(*functions));
        target->functions = functions;
        target->function_cap = cap;
    }
    if (target->functions[code] == 0) {
        const struct pst_py_code *known = pst_python_code(target->python, code);
        struct pst_name name = {.name = known->qualname,
                                .system_name = known->name,
                                .filename = known->filename,
                                .first_line = known->first_line};
        uint32_t id;
        if (pst_names_function(target->names, &name, &id) < 0)
            return target->shared->overflow;
        target->functions[code] = id + 1;
    }
    return target->functions[code] - 1;
}

static bool reserve_scratch(struct pst_sampled *target, size_t frames)
{
    if (frames <= target->scratch_cap)
        return true;
    struct pst_wframe *scratch = realloc(target->scratch, frames * sizeof(*scratch));
    if (!scratch)
        return false;
    target->scratch = scratch;
    target->scratch_cap = frames;
    return true;
}

static void put_frames(struct pst_sampled *target, size_t at, const struct pst_py_frame *frames,
                       size_t count)
{
    for (size_t i = 0; i < count; i++)
        target->scratch[at + i] =
            (struct pst_wframe){pst_sampled_function(target, frames[i].code), frames[i].line};
}

static struct pst_wframe left_out(struct pst_sampled *target, size_t count)
{
    struct pst_buf text;
    uint32_t marker = target->shared->overflow;
    pst_buf_init(&text, 64);
    if (pst_buf_printf(&text, "[… %zu frames]", count) == 0)
        (void)pst_names_synthetic(target->names, pst_buf_view(&text), &marker);
    pst_buf_done(&text);
    return (struct pst_wframe){marker, 0};
}

size_t pst_sampled_cut(struct pst_sampled *target, struct pst_wframe *frames, size_t count)
{
    size_t keep = target->plan.full_frames ? SIZE_MAX : target->plan.max_frames;
    if (count <= keep)
        return count;
    size_t root = keep > 2 * ROOT_FRAMES ? ROOT_FRAMES : keep / 2;
    size_t leaf = keep - root;
    frames[leaf] = left_out(target, count - keep);
    memmove(frames + leaf + 1, frames + count - root, root * sizeof(*frames));
    return keep + 1;
}

/* Stack id of a sampled thread: frames leaf first; too deep ones keep both ends. Of a truncated
 * one nothing is known but that there is more. */
static int stack_of(struct pst_sampled *target, const struct pst_py_frame *frames, size_t count,
                    bool truncated, uint32_t *ret_stack)
{
    size_t keep = target->plan.full_frames ? SIZE_MAX : target->plan.max_frames;
    size_t used = count <= keep ? count : keep + 1;
    if (!reserve_scratch(target, used + 1))
        return -ENOMEM;
    if (count <= keep) {
        put_frames(target, 0, frames, count);
    } else {
        size_t root = keep > 2 * ROOT_FRAMES ? ROOT_FRAMES : keep / 2;
        size_t leaf = keep - root;
        put_frames(target, 0, frames, leaf);
        target->scratch[leaf] = left_out(target, count - keep);
        put_frames(target, leaf + 1, frames + count - root, root);
    }
    if (truncated)
        target->scratch[used++] = (struct pst_wframe){target->shared->deeper, 0};
    return pst_window_stack(target->window, target->scratch, used, ret_stack);
}

uint32_t pst_sampled_native_name(struct pst_sampled *target, const struct pst_os_thread *thread)
{
    struct pst_buf text;
    uint32_t function = target->shared->overflow;
    pst_buf_init(&text, 256);
    (void)pst_buf_puts(&text, "[native thread] ");
    (void)pst_buf_utf8(&text, pst_str(thread->comm));
    (void)pst_names_synthetic(target->names, pst_buf_view(&text), &function);
    pst_buf_done(&text);
    return function;
}

static int native_stack(struct pst_look *look, const struct pst_os_thread *thread,
                        uint32_t *ret_stack)
{
    struct pst_sampled *target = look->target;
    if (target->native && look->sampled && pst_native_look_has(target->native, thread))
        return pst_native_look_stack(target->native, thread, ret_stack);
    return pst_sampled_bracket(target, pst_sampled_native_name(target, thread), ret_stack);
}

void pst_look_count_failure(struct pst_sampled *target, enum pst_verdict verdict)
{
    target->stats.verdicts[verdict]++;
    bool torn = verdict == PST_V_TORN || verdict == PST_V_TRUNCATED;
    torn ? target->stats.torn++ : target->stats.failed++;
    atomic_fetch_add_explicit(torn ? &target->shared->torn_count : &target->shared->failed_count, 1,
                              memory_order_relaxed);
}

int pst_look_stack(struct pst_look *look, struct pst_os_thread *thread, uint32_t *ret_stack,
                   bool *ret_reuse)
{
    struct pst_sampled *target = look->target;
    *ret_reuse = false;
    if (thread->py < 0)
        return native_stack(look, thread, ret_stack);
    const struct pst_py_thread *py = &look->sample.threads[thread->py];
    if (py->verdict != PST_V_OK) {
        pst_look_count_failure(target, py->verdict);
        bool torn = py->verdict == PST_V_TORN || py->verdict == PST_V_TRUNCATED;
        return pst_sampled_bracket(target, torn ? target->shared->torn : target->shared->unreadable,
                                   ret_stack);
    }
    *ret_reuse = true;
    if (target->native && pst_native_look_has(target->native, thread))
        return pst_native_look_stack(target->native, thread, ret_stack);
    if (py->frame_count == 0)
        return pst_sampled_bracket(target, target->shared->no_python_frame, ret_stack);
    return stack_of(target, look->sample.frames + py->first_frame, py->frame_count, py->truncated,
                    ret_stack);
}
