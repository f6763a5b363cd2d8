/* What to read of a thread before knowing where its stack is: the last sample says. The data stack
 * and the frames outside of it are copied once before the thread state and twice after it: what
 * stood still in all of them was the stack when the thread state was read. Two copies are not
 * enough for a tight loop, which comes back to the same place between them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

enum {
    CHUNK_HEADER = 24, /* previous, size, top */
    CHUNK_USUAL = 16384,
    SLACK = 512, /* a few frames more than last time */
    ROUND = 256,
    TOP_AGAIN = 2048,
    FOLLOWED_BYTES = PST_MAX_SAMPLE_BYTES / 2, /* deeper than that lies a runaway recursion */
    PAGE = 4096,
    LEADERS_TRIED = 8,
    STALE_MAX = 8, /* pieces for frames that the last sample did not meet */
    JOINED_BYTES = PST_MAX_SAMPLE_BYTES / 2,
};

static uint32_t wanted_bytes(const struct pst_chunk *chunk, bool newest)
{
    uint32_t wanted = chunk->used;

    if (newest)
        wanted = (wanted + SLACK + ROUND - 1) & ~(uint32_t)(ROUND - 1);
    return wanted < chunk->size ? wanted : chunk->size;
}

static uint32_t known_bytes(const struct pst_python *python, const struct pst_known *known)
{
    bool whole = known->reading <= PST_READ_BORDER && !known->brief;

    return whole ? python->frame_bytes : python->spans.frame_len;
}

/* A piece costs as much as a page: frames of one page that are read equally often are one piece. */
static bool joined(struct pst_python *python, struct pst_known *leader, struct pst_known *known)
{
    uint64_t end = known->address + known_bytes(python, known);
    uint64_t span_end = leader->span + leader->span_bytes;
    uint64_t first = known->address < leader->span ? known->address : leader->span;
    uint64_t last = end > span_end ? end : span_end;

    if (leader->reading != known->reading || first / PAGE != (last - 1) / PAGE)
        return false;
    leader->span = first;
    leader->span_bytes = (uint32_t)(last - first);
    return true;
}

static int32_t leader_for(struct pst_python *python, struct pst_thread *thread,
                          struct pst_known *known, const uint32_t *leaders, uint32_t count)
{
    for (uint32_t back = 0; back < count && back < LEADERS_TRIED; back++) {
        uint32_t leader = leaders[(count - 1 - back) % LEADERS_TRIED];
        if (joined(python, &thread->known[leader], known))
            return (int32_t)leader;
    }
    return PST_KNOWN_ALONE;
}

/* Frame objects that were not met for long are read only along with others: that costs next to
 * nothing, and one that is met again unread may be over before it is. */
static void lead_known(struct pst_python *python, struct pst_thread *thread, bool join)
{
    bool objects = python->layout.frames_kind == PST_FRAMES_OBJECT;
    uint32_t leaders[LEADERS_TRIED] = {0}, count = 0, stale = 0;

    for (int rare = 0; rare < 2; rare++) {
        for (uint32_t i = 0; i < thread->known_count; i++) {
            struct pst_known *known = &thread->known[i];
            if ((known->age > PST_OBJECT_AGE) != rare)
                continue;
            if (rare)
                known->reading = PST_READ_AGAIN;
            known->copy[0] = NULL;
            known->span = known->address;
            known->span_bytes = known_bytes(python, known);
            known->leader =
                join ? leader_for(python, thread, known, leaders, count) : PST_KNOWN_ALONE;
            if (known->leader == PST_KNOWN_ALONE && !rare &&
                (!objects || known->age <= 1 || stale++ < STALE_MAX)) {
                known->leader = (int32_t)i;
                leaders[count++ % LEADERS_TRIED] = i;
            }
        }
    }
}

/* Bytes that the pieces of the frames outside the data stack take in all their copies. */
static uint64_t grouped_bytes(const struct pst_thread *thread)
{
    static const uint32_t copies[] = {
        [PST_READ_AGAIN] = 3, [PST_READ_BORDER] = 3, [PST_READ_ONCE] = 1, [PST_READ_LAST] = 1};
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < thread->known_count; i++) {
        const struct pst_known *known = &thread->known[i];
        if (known->leader == (int32_t)i)
            bytes += (uint64_t)copies[known->reading] * known->span_bytes;
    }
    return bytes;
}

/* In a deep recursion what lies between the frames would take the room of the others. */
static void group_known(struct pst_python *python, struct pst_thread *thread)
{
    lead_known(python, thread, true);
    if (grouped_bytes(thread) > JOINED_BYTES)
        lead_known(python, thread, false);
}

/* Before the thread state callers are copied before their callees, after it behind them, so that a
 * caller's copies enclose those of what it called. */
static bool add_known(struct pst_python *python, struct pst_thread *thread, enum pst_reading from,
                      enum pst_reading to, unsigned copy)
{
    uint32_t count = thread->known_count;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t place = copy == 0 ? count - 1 - i : i;
        struct pst_known *known = &thread->known[place];
        if (known->reading < from || known->reading > to || known->leader != (int32_t)place)
            continue;
        const unsigned char *dst = pst_batch_add(python->scratch, known->span, known->span_bytes);
        if (!dst)
            return false;
        known->copy[copy] = dst + (known->address - known->span);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct pst_known *known = &thread->known[i];
        if (known->reading < from || known->reading > to || known->leader == PST_KNOWN_ALONE)
            continue;
        const struct pst_known *leader = &thread->known[known->leader];
        known->copy[copy] = leader->copy[copy] + (int64_t)(known->address - leader->address);
        if (known->reading > PST_READ_BORDER)
            known->copy[1] = known->copy[2] = known->copy[0];
    }
    return true;
}

static bool add_chunks(struct pst_python *python, struct pst_thread *thread, unsigned copy)
{
    for (uint32_t i = 0; i < thread->chunk_count && i < PST_CHUNKS_AGAIN; i++) {
        struct pst_chunk *chunk = &thread->chunks[i];
        chunk->copied = wanted_bytes(chunk, i == 0);
        chunk->copy[copy] = pst_batch_add(python->scratch, chunk->address, chunk->copied);
        if (!chunk->copy[copy])
            return false;
    }
    return true;
}

static bool add_chunk_from(struct pst_python *python, struct pst_chunk *chunk, uint32_t from)
{
    chunk->again_from = from;
    chunk->copy[2] = pst_batch_add(python->scratch, chunk->address + from, chunk->copied - from);
    return chunk->copy[2] != NULL;
}

/* The third copy of the newest chunk holds only the frames nearest the leaf: those that move. */
static bool add_top_again(struct pst_python *python, struct pst_thread *thread)
{
    for (uint32_t i = 0; i < thread->chunk_count; i++)
        thread->chunks[i].again_from = UINT32_MAX;
    if (thread->chunk_count == 0)
        return true;
    struct pst_chunk *newest = &thread->chunks[0];
    uint32_t from = newest->used > TOP_AGAIN ? (newest->used - TOP_AGAIN) & ~(uint32_t)7 : 0;
    return add_chunk_from(python, newest, from < newest->copied ? from : 0);
}

/* Frames far from the leaf stand still while those between them and the leaf do: the border is
 * copied once more after them. */
static bool add_once(struct pst_python *python, struct pst_thread *thread)
{
    for (uint32_t i = PST_CHUNKS_AGAIN; i < thread->chunk_count; i++) {
        struct pst_chunk *chunk = &thread->chunks[i];
        chunk->copied = wanted_bytes(chunk, false);
        chunk->copy[0] = pst_batch_add(python->scratch, chunk->address, chunk->copied);
        chunk->copy[1] = chunk->copy[0];
        if (!chunk->copy[0])
            return false;
    }
    if (thread->chunk_count > PST_CHUNKS_AGAIN &&
        !add_chunk_from(python, &thread->chunks[PST_CHUNKS_AGAIN - 1], 0))
        return false;
    return add_known(python, thread, PST_READ_ONCE, PST_READ_ONCE, 0) &&
           add_known(python, thread, PST_READ_BORDER, PST_READ_BORDER, 2) &&
           add_known(python, thread, PST_READ_LAST, PST_READ_LAST, 0);
}

/* Records of nested calls lie near each other on the C stack: those of one page are one piece. */
static bool add_cframes(struct pst_python *python, struct pst_thread *thread,
                        unsigned char **copies)
{
    memset(copies, 0, PST_CFRAMES * sizeof(*copies));
    for (uint32_t i = 0; i < thread->cframe_count; i++) {
        uint64_t first = thread->cframes[i], last = first;
        if (copies[i])
            continue;
        for (uint32_t j = i + 1; j < thread->cframe_count; j++) {
            if (thread->cframes[j] / PAGE != first / PAGE)
                continue;
            first = thread->cframes[j] < first ? thread->cframes[j] : first;
            last = thread->cframes[j] > last ? thread->cframes[j] : last;
        }
        unsigned char *copy = pst_batch_add(python->scratch, first + python->layout.cframe_current,
                                            last - first + sizeof(uint64_t));
        if (!copy)
            return false;
        for (uint32_t j = i; j < thread->cframe_count; j++) {
            if (thread->cframes[j] / PAGE == first / PAGE)
                copies[j] = copy + (thread->cframes[j] - first);
        }
    }
    return true;
}

static bool add_head(struct pst_python *python, struct pst_thread *thread)
{
    thread->tstate_copy = pst_batch_add(python->scratch, thread->address, python->spans.tstate_len);
    if (!thread->tstate_copy)
        return false;
    return add_cframes(python, thread, thread->cframe_copies);
}

/* Where the thread is between the second copy and the third: a second chance for stacks that cannot
 * be told from the first, as when a generator has come and gone. The top of the data stack then
 * tells whether the leaf of the second copy still is one. */
static bool add_again(struct pst_python *python, struct pst_thread *thread)
{
    const struct pst_layout *l = &python->layout;
    uint32_t start = l->tstate.frame, end = start + (uint32_t)sizeof(uint64_t);

    thread->top_again = NULL;
    if (l->frame.stacktop)
        end = l->tstate.chunk + 2 * (uint32_t)sizeof(uint64_t);
    thread->frame_again[0] = pst_batch_add(python->scratch, thread->address + start, end - start);
    if (!thread->frame_again[0])
        return false;
    if (l->frame.stacktop)
        thread->top_again = thread->frame_again[0] + (end - start) - sizeof(uint64_t);
    return add_cframes(python, thread, thread->cframe_again);
}

/* Frame objects take longest to copy: where the thread is after the third copy is one chance more.
 */
static bool add_last(struct pst_python *python, struct pst_thread *thread)
{
    thread->frame_again[1] = NULL;
    if (python->layout.frames_kind != PST_FRAMES_OBJECT)
        return true;
    thread->frame_again[1] = pst_batch_add(
        python->scratch, thread->address + python->layout.tstate.frame, sizeof(uint64_t));
    return thread->frame_again[1] != NULL;
}

static bool add_all(struct pst_python *python, struct pst_thread *thread)
{
    group_known(python, thread);
    return add_chunks(python, thread, 0) &&
           add_known(python, thread, PST_READ_AGAIN, PST_READ_BORDER, 0) &&
           add_head(python, thread) &&
           add_known(python, thread, PST_READ_AGAIN, PST_READ_BORDER, 1) &&
           add_chunks(python, thread, 1) && add_again(python, thread) &&
           add_known(python, thread, PST_READ_AGAIN, PST_READ_AGAIN, 2) &&
           add_last(python, thread) && add_top_again(python, thread) && add_once(python, thread);
}

bool pst_thread_add_pieces(struct pst_python *python, struct pst_thread *thread)
{
    struct pst_py_scratch *scratch = python->scratch;
    size_t pieces = scratch->piece_count, used = scratch->used;

    thread->first_piece = (uint32_t)pieces;
    bool added = thread->state == PST_THREAD_SKIPPED
                     ? (thread->tstate_copy = pst_batch_add(scratch, thread->address,
                                                            python->spans.tstate_len)) != NULL
                     : add_all(python, thread);
    if (!added) {
        scratch->piece_count = pieces;
        scratch->used = used;
        return false;
    }
    thread->piece_count = (uint32_t)(scratch->piece_count - pieces);
    return true;
}

bool pst_thread_fault(struct pst_thread *thread, uint64_t address)
{
    for (uint32_t i = 0; i < thread->known_count; i++) {
        if (thread->known[i].leader == (int32_t)i && thread->known[i].span == address) {
            /* It may lie at the very end of what is mapped: its fields alone are tried next. */
            if (thread->known[i].brief)
                pst_known_drop(thread, i);
            else
                thread->known[i].brief = true;
            return true;
        }
    }
    for (uint32_t i = 0; i < thread->chunk_count; i++) {
        if (thread->chunks[i].address == address) {
            thread->chunk_count = (uint16_t)i;
            thread->beyond_address = 0;
            return true;
        }
    }
    if (address == thread->address || thread->cframe_count == 0)
        return false;
    thread->cframe_count = 0;
    return true;
}

static struct pst_chunk *append_chunk(struct pst_thread *thread)
{
    if (thread->chunk_count == thread->chunk_cap) {
        uint16_t cap = thread->chunk_cap ? (uint16_t)(thread->chunk_cap * 2) : 2;
        struct pst_chunk *chunks = realloc(thread->chunks, cap * sizeof(*chunks));
        if (!chunks)
            return NULL;
        thread->chunks = chunks;
        thread->chunk_cap = cap;
    }
    return &thread->chunks[thread->chunk_count++];
}

static int read_chunk(struct pst_python *python, uint64_t address, struct pst_chunk *ret,
                      uint64_t *ret_previous)
{
    uint64_t header[3];
    int error;

    if (!pst_memory_plausible(address))
        return -EINVAL;
    error = pst_memory_read(python->memory, address, header, sizeof(header));
    if (error < 0)
        return error;
    if (header[1] < CHUNK_HEADER || header[1] > PST_MAX_CHUNK_BYTES || (header[1] & 7) != 0)
        return -EINVAL;
    *ret = (struct pst_chunk){.address = address, .size = (uint32_t)header[1]};
    ret->used = header[2] <= (header[1] - CHUNK_HEADER) / 8 ? CHUNK_HEADER + (uint32_t)header[2] * 8
                                                            : ret->size;
    *ret_previous = header[0];
    return 0;
}

static int chunk_place(const struct pst_chunk *chunks, uint32_t count, uint64_t address)
{
    for (uint32_t i = 0; i < count; i++) {
        if (chunks[i].address == address)
            return (int)i;
    }
    return -1;
}

/* Appends the chunks from address on; those that were known keep their sizes and their followers,
 * whose links the next copies will show. */
static int append_chunks(struct pst_python *python, struct pst_thread *thread,
                         const struct pst_chunk *old, uint32_t old_count, uint64_t address)
{
    uint64_t beyond = thread->beyond_address;
    uint32_t bytes = 0;

    thread->beyond_address = 0;
    while (address != 0) {
        struct pst_chunk chunk;
        uint64_t here = address;
        int place = chunk_place(old, old_count, address);
        if (thread->chunk_count == PST_CHUNKS_MAX)
            return -E2BIG;
        if (chunk_place(thread->chunks, thread->chunk_count, address) >= 0)
            return -ELOOP;
        if (place >= 0) {
            chunk = old[place];
            address = (uint32_t)place + 1 < old_count ? old[place + 1].address : beyond;
        } else {
            int error = read_chunk(python, address, &chunk, &address);
            if (error < 0)
                return error;
        }
        if (bytes > FOLLOWED_BYTES) {
            thread->beyond_address = here;
            thread->beyond_size = chunk.size;
            return 0;
        }
        bytes += chunk.used;
        struct pst_chunk *slot = append_chunk(thread);
        if (!slot)
            return -ENOMEM;
        *slot = chunk;
    }
    return 0;
}

int pst_chunks_follow(struct pst_python *python, struct pst_thread *thread, uint64_t newest,
                      uint64_t top, bool from_memory)
{
    struct pst_chunk old[PST_CHUNKS_MAX];
    uint32_t old_count = from_memory ? 0 : thread->chunk_count;

    if (old_count > 0)
        memcpy(old, thread->chunks, old_count * sizeof(*old));
    thread->chunk_count = 0;
    int error = append_chunks(python, thread, old, old_count, newest);
    if (error < 0)
        return error;
    if (thread->chunk_count > 0) {
        struct pst_chunk *first = &thread->chunks[0];
        if (top >= first->address + CHUNK_HEADER && top <= first->address + first->size)
            first->used = (uint32_t)(top - first->address);
        else
            first->used = first->size < CHUNK_USUAL ? first->size : CHUNK_USUAL;
    }
    return 0;
}

/* Keeps the order: walks meet frames in the order of the last walk. */
void pst_known_drop(struct pst_thread *thread, uint32_t place)
{
    thread->known_count--;
    memmove(thread->known + place, thread->known + place + 1,
            (thread->known_count - place) * sizeof(*thread->known));
}

int pst_known_find(const struct pst_thread *thread, uint64_t address)
{
    for (uint32_t i = 0; i < thread->known_count; i++) {
        if (thread->known[i].address == address)
            return (int)i;
    }
    return -ENOENT;
}

int pst_known_add(struct pst_python *python, struct pst_thread *thread, uint64_t address,
                  uint32_t place)
{
    bool objects = python->layout.frames_kind == PST_FRAMES_OBJECT;
    uint32_t max = objects ? PST_MAX_FRAMES_WALKED : PST_KNOWN_MAX;
    uint32_t usual = objects ? PST_MAX_FRAMES_WALKED : PST_KNOWN_USUAL, oldest = 0;

    for (uint32_t i = 0; i < thread->known_count; i++) {
        if (thread->known[i].address == address) {
            thread->known[i].age = 0;
            return -EEXIST;
        }
        if (thread->known[i].age > thread->known[oldest].age)
            oldest = i;
    }
    /* What the last walk met, this one may be about to meet: it goes only for want of all room. */
    if (thread->known_count >= usual &&
        thread->known[oldest].age > (thread->known_count < max ? 1 : 0))
        pst_known_drop(thread, oldest);
    if (thread->known_count >= max)
        return -ENOSPC;
    if (thread->known_count == thread->known_cap) {
        uint32_t cap = thread->known_cap ? thread->known_cap * 2 : 2;
        struct pst_known *known = realloc(thread->known, cap * sizeof(*known));
        if (!known)
            return -ENOMEM;
        thread->known = known;
        thread->known_cap = cap;
    }
    if (place > thread->known_count)
        place = thread->known_count;
    memmove(thread->known + place + 1, thread->known + place,
            (thread->known_count - place) * sizeof(*thread->known));
    thread->known[place] = (struct pst_known){.address = address, .leader = PST_KNOWN_ALONE};
    thread->known_count++;
    return (int)place;
}

static uint32_t longest_age(const struct pst_python *python, const struct pst_thread *thread,
                            uint32_t i)
{
    int32_t leader = thread->known[i].leader;

    if (python->layout.frames_kind != PST_FRAMES_OBJECT)
        return PST_KNOWN_AGE;
    return leader == PST_KNOWN_ALONE || leader == (int32_t)i ? PST_OBJECT_AGE : PST_OBJECT_RIDES;
}

void pst_known_age(const struct pst_python *python, struct pst_thread *thread)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < thread->known_count; i++) {
        if (++thread->known[i].age <= longest_age(python, thread, i))
            thread->known[kept++] = thread->known[i];
    }
    thread->known_count = kept;
}

void pst_cframe_add(struct pst_thread *thread, uint64_t address)
{
    if (thread->cframe_count < PST_CFRAMES)
        thread->cframe_count++;
    memmove(thread->cframes + 1, thread->cframes,
            (thread->cframe_count - 1u) * sizeof(*thread->cframes));
    thread->cframes[0] = address;
}
