/* Whether a chain of frames reaches the thread's own beginning. Suspended generators and, up to
 * 3.10, frames that were left have no caller any more: a chain through one of them ends early and
 * looks whole. Each version gives something else away; nothing is learnt or guessed. Reads nothing.
 */
#include "internal.h"

enum {
    CHUNK_HEADER = 24,
    FIRST_WORD = 8, /* of the oldest chunk is left out, so that the chunk is never given back */
};

/* 3.11: whatever a thread called first lies at the start of its oldest chunk; so does the first
 * frame of a greenlet, which has chunks of its own. Only a generator that C code resumed lies
 * elsewhere, and then either calls into that place or leaves the data stack empty. */
static bool begins_the_data_stack(const struct pst_thread *thread, const struct pst_raw_frame *raw,
                                  uint32_t count, uint64_t top)
{
    if (thread->chunk_count == 0)
        return raw[count - 1].owner == PST_OWNER_GENERATOR;
    uint64_t start = thread->chunks[thread->chunk_count - 1].address + CHUNK_HEADER + FIRST_WORD;
    if (raw[count - 1].address == start)
        return true;
    if (raw[count - 1].owner != PST_OWNER_GENERATOR || raw[count - 1].link_changed)
        return false;
    for (uint32_t i = 0; i + 1 < count; i++) {
        if (raw[i].address == start)
            return true;
    }
    return top == start;
}

bool pst_root_reached(const struct pst_layout *layout, const struct pst_thread *thread,
                      const struct pst_raw_frame *raw, uint32_t count, uint64_t top)
{
    const struct pst_raw_frame *last = &raw[count - 1];

    switch (layout->root_kind) {
    case PST_ROOT_SHIM:
        return last->owner >= layout->shim_owner;
    case PST_ROOT_RUNNING:
        return last->runs && !last->link_changed;
    case PST_ROOT_STACK_START:
        return begins_the_data_stack(thread, raw, count, top);
    default: /* the walk has met the base frame */
        return true;
    }
}
