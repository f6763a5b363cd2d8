/* What is left of a stack whose leaf's side was in no copy whole, as when coroutines of less than a
 * microsecond come and go: the last frame of the data stack that was in use at the first look at
 * the thread, and its callers. Frames of the data stack lie one behind the other, each as long as
 * its code says: those that stood still from the chunk's start on, and end at or below the top that
 * the thread state named in between, were in use there, whatever ran above them. */
#include "walk.h"

enum {
    CHUNK_HEADER = 24,
    FIRST_WORD = 8, /* of the oldest chunk is left out */
    TRIED = 4,      /* of those frames, the last first: generators may stand between them, too */
};

static uint64_t first_frame(const struct pst_walk *walk)
{
    const struct pst_thread *thread = walk->thread;
    const struct pst_chunk *newest = &thread->chunks[0];

    return newest->address + CHUNK_HEADER + (pst_word(newest->copy[0], 0) == 0 ? FIRST_WORD : 0);
}

/* The frame at an address, if it stood still and ends below the top: its bytes; else 0. */
static uint32_t in_use(struct pst_walk *walk, uint64_t address)
{
    struct pst_raw_frame frame;
    struct pst_copies copies;

    if (pst_place_find(walk, address, &copies) != PST_PLACE_FOUND || !copies.on_stack)
        return 0;
    pst_frame_load(&walk->python->layout, address, &copies, &frame);
    uint32_t bytes = frame.link_changed ? 0 : pst_walk_data_bytes(walk, frame.code);
    return bytes <= walk->top - address ? bytes : 0;
}

/* The last so many frames in use, by their number from the chunk's start. */
static uint32_t last_in_use(struct pst_walk *walk, uint64_t last[TRIED])
{
    uint32_t count = 0;
    uint64_t address = first_frame(walk);

    while (address < walk->top) {
        uint32_t bytes = in_use(walk, address);
        if (bytes == 0)
            break;
        last[count++ % TRIED] = address;
        address += bytes;
    }
    return count;
}

static bool looks_whole(struct pst_walk *walk)
{
    static const struct pst_look looks[] = {{0, 1, {0, 2}}, {0, 0, {1, 2}}, {0, 2, {0, 1}}};

    for (size_t i = 0; i < sizeof(looks) / sizeof(*looks); i++) {
        if (pst_walk_look(walk, &looks[i]))
            return true;
    }
    return false;
}

void pst_walk_below(struct pst_walk *walk)
{
    static const struct pst_look look = {0, 1, {0, 2}};
    struct pst_thread *thread = walk->thread;
    uint64_t last[TRIED];

    if (walk->python->validation_off || thread->chunk_count == 0 || !thread->chunks[0].copy[0] ||
        thread->chunks[0].copied < CHUNK_HEADER)
        return;
    walk->look = &look;
    walk->below = true;
    uint32_t count = last_in_use(walk, last);
    for (uint32_t i = 0; i < TRIED && i < count && thread->state == PST_THREAD_DONE; i++) {
        walk->current = last[(count - 1 - i) % TRIED];
        if (looks_whole(walk))
            pst_walk_settle(walk);
    }
}
