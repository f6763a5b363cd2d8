/* Where the copies of a batch hold a frame: in those of the data stack's chunks, or among the
 * frames outside of it that were read along. Reads nothing; what it does not find teaches the next
 * batch.
 */
#include <string.h>

#include "walk.h"

enum { CHUNK_HEADER = 24 };

struct pst_known *pst_place_known(struct pst_walk *walk, uint64_t address)
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
static bool in_chunk(struct pst_walk *walk, uint64_t address, const unsigned char *copy[3],
                     uint32_t *ret_bytes, enum pst_place *ret_place)
{
    struct pst_thread *thread = walk->thread;
    uint32_t frame_len = walk->python->spans.frame_len;

    for (uint32_t i = 0; i < thread->chunk_count; i++) {
        struct pst_chunk *chunk = &thread->chunks[i];
        uint64_t offset = address - chunk->address;
        if (address < chunk->address || offset >= chunk->size)
            continue;
        *ret_place = PST_PLACE_BEYOND;
        if (offset < CHUNK_HEADER || offset + frame_len > chunk->copied) {
            if (offset + frame_len > chunk->used && offset + frame_len <= chunk->size)
                chunk->used = (uint32_t)offset + frame_len;
            return true;
        }
        *ret_place = PST_PLACE_FOUND;
        *ret_bytes = chunk->copied - (uint32_t)offset;
        copy[0] = chunk->copy[0] + offset;
        copy[1] = chunk->copy[1] + offset;
        if (offset >= chunk->again_from)
            copy[2] = chunk->copy[2] + (offset - chunk->again_from);
        return true;
    }
    return false;
}

enum pst_reading pst_place_reading(const struct pst_walk *walk, uint32_t place)
{
    if (walk->python->layout.frames_kind != PST_FRAMES_OBJECT || place < PST_AGAIN_NEAR_LEAF / 2)
        return PST_READ_AGAIN;
    return place < PST_AGAIN_NEAR_LEAF ? PST_READ_BORDER : PST_READ_ONCE;
}

enum pst_place pst_place_find(struct pst_walk *walk, uint64_t address, struct pst_copies *ret)
{
    const unsigned char *copy[3] = {NULL};
    uint32_t bytes = 0;
    enum pst_place place;
    bool on_stack = in_chunk(walk, address, copy, &bytes, &place);

    if (!on_stack) {
        struct pst_known *known = pst_place_known(walk, address);
        if (!known)
            return PST_PLACE_UNKNOWN;
        known->age = 0;
        if (known->reading != PST_READ_LAST ||
            pst_word(known->copy[0], walk->python->layout.frame.previous) != 0)
            known->reading = pst_place_reading(walk, walk->count);
        memcpy(copy, known->copy, sizeof(copy));
        bytes = known->brief || known->copy[0] == known->copy[1] ? 0 : walk->python->frame_bytes;
        place = PST_PLACE_FOUND;
    }
    if (!copy[2])
        copy[2] = copy[1];
    *ret =
        (struct pst_copies){.walked = copy[walk->look->copy], .bytes = bytes, .on_stack = on_stack};
    ret->others[0] = copy[walk->look->others[0]];
    ret->others[1] = copy[walk->look->others[1]];
    return place;
}
