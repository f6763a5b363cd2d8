/* Search for the head of the interpreter list. The data is read block by block; every word that
 * could be a pointer into writable memory is followed there and back, many at a time. What passes
 * is rare (other circular lists look alike) and is looked at closely. */
#include "target/head_search.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/limits.h"

enum {
    BLOCK = 65536,
    PROBES = 512, /* followed in one read */
    RANGES_MAX = 65536,
    TYPE_AT = 8,
    TYPE_NAME_AT = 24,
    SEARCH_READS = 16384,
};

struct range {
    uint64_t start, end;
};

struct search {
    struct pst_memory *memory;
    const struct pst_head_links *links;
    struct range *ranges; /* writable memory of the process */
    size_t range_count, last_range;
    uint64_t near;

    uint64_t at[PROBES], pointer[PROBES], value[PROBES];
    struct pst_piece pieces[PROBES];
    size_t count;

    uint64_t best;
    size_t best_length;
};

static const struct pst_head_links rows[] = {
#define PST_HEAD_LINKS(first, last, head, threads_head, modules, interp)                           \
    {first, last, head, threads_head, modules, interp},
#include "target/head_links.def"
#undef PST_HEAD_LINKS
};

const struct pst_head_links *pst_head_links(uint32_t hexversion)
{
    uint32_t version = hexversion >> 16;

    for (size_t i = 0; i < PST_ARRAY_SIZE(rows); i++) {
        if (version >= rows[i].first && version <= rows[i].last)
            return &rows[i];
    }
    return NULL;
}

static int by_start(const void *a, const void *b)
{
    const struct range *left = a, *right = b;

    return left->start < right->start ? -1 : left->start > right->start;
}

static int collect_ranges(struct search *search, struct pst_str maps)
{
    struct pst_mapping mapping;
    size_t capacity = 0;

    while (search->range_count < RANGES_MAX && pst_maps_next(&maps, &mapping)) {
        if (!mapping.writable || !mapping.readable)
            continue;
        if (search->range_count == capacity) {
            capacity = capacity ? 2 * capacity : 64;
            struct range *grown = realloc(search->ranges, capacity * sizeof(*grown));
            if (!grown)
                return -ENOMEM;
            search->ranges = grown;
        }
        search->ranges[search->range_count++] = (struct range){mapping.start, mapping.end};
    }
    if (search->range_count == 0)
        return -ENOENT;
    qsort(search->ranges, search->range_count, sizeof(*search->ranges), by_start);
    return 0;
}

/* Every word of the data comes by here, and a process may have many ranges. */
static bool writable(struct search *search, uint64_t pointer)
{
    const struct range *last = &search->ranges[search->last_range];
    size_t low = 0, high = search->range_count;

    if (!pst_memory_plausible(pointer))
        return false;
    if (pointer >= last->start && pointer < last->end)
        return true;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (pointer < search->ranges[middle].start) {
            high = middle;
        } else if (pointer >= search->ranges[middle].end) {
            low = middle + 1;
        } else {
            search->last_range = middle;
            return true;
        }
    }
    return false;
}

static bool is_dict(struct pst_memory *memory, uint64_t object)
{
    static const char dict[] = "dict";
    char text[sizeof(dict)];
    uint64_t type, name;

    return pst_memory_plausible(object) && pst_memory_u64(memory, object + TYPE_AT, &type) == 0 &&
           pst_memory_plausible(type) && pst_memory_u64(memory, type + TYPE_NAME_AT, &name) == 0 &&
           pst_memory_read(memory, name, text, sizeof(text)) == 0 &&
           memcmp(text, dict, sizeof(dict)) == 0;
}

/* Interpreters from this one on; 0 when it is none. */
static size_t list_length(struct search *search, uint64_t interp)
{
    uint64_t modules;
    size_t length = 0;

    while (interp != 0 && length <= PST_MAX_INTERPRETERS) {
        if (!pst_memory_plausible(interp) ||
            pst_memory_u64(search->memory, interp + search->links->modules, &modules) < 0 ||
            !is_dict(search->memory, modules) ||
            pst_memory_u64(search->memory, interp, &interp) < 0)
            return 0;
        length++;
    }
    return length <= PST_MAX_INTERPRETERS ? length : 0;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

/* The variable of the main interpreter leads to fewer, or to as many and then lies farther off. */
static void judge(struct search *search, uint64_t at, uint64_t pointer)
{
    size_t length = list_length(search, pointer);

    if (length == 0 || length < search->best_length)
        return;
    if (length == search->best_length &&
        (search->near == 0 || distance(at, search->near) >= distance(search->best, search->near)))
        return;
    search->best = at;
    search->best_length = length;
}

/* Reads the word behind each pointer of the batch; those that cannot be read leave it. */
static void follow(struct search *search, const uint64_t *addresses, uint64_t offset)
{
    size_t kept = 0, first = 0;

    for (size_t i = 0; i < search->count; i++)
        search->pieces[i] = (struct pst_piece){addresses[i] + offset, &search->value[i], 8};
    while (first < search->count) {
        size_t done = 0;
        int error =
            pst_memory_readv(search->memory, search->pieces + first, search->count - first, &done);
        for (size_t i = first; i < first + done; i++, kept++) {
            search->at[kept] = search->at[i];
            search->pointer[kept] = search->pointer[i];
            search->value[kept] = search->value[i];
        }
        if (error < 0 && error != -EFAULT)
            break;
        first += done + (error < 0);
    }
    search->count = kept;
}

static void settle(struct search *search)
{
    size_t kept = 0;

    follow(search, search->pointer, search->links->threads_head);
    for (size_t i = 0; i < search->count; i++) {
        if (!writable(search, search->value[i]))
            continue;
        search->at[kept] = search->at[i];
        search->pointer[kept] = search->pointer[i];
        search->value[kept++] = search->value[i];
    }
    search->count = kept;
    uint64_t threads[PROBES];
    memcpy(threads, search->value, kept * sizeof(*threads));
    follow(search, threads, search->links->tstate_interp);
    for (size_t i = 0; i < search->count; i++) {
        if (search->value[i] == search->pointer[i])
            judge(search, search->at[i], search->pointer[i]);
    }
    search->count = 0;
}

static int search_segment(struct search *search, uint64_t start, uint64_t bytes)
{
    static _Thread_local uint64_t block[BLOCK / 8];
    uint64_t end = (start + bytes) & ~UINT64_C(7);

    for (uint64_t at = (start + 7) & ~UINT64_C(7); at < end; at += BLOCK) {
        size_t len = end - at < BLOCK ? (size_t)(end - at) : BLOCK;
        int error = pst_memory_read(search->memory, at, block, len);
        if (error == -EFAULT)
            return 0;
        if (error < 0)
            return error;
        for (size_t i = 0; i < len / 8; i++) {
            if (!writable(search, block[i]))
                continue;
            search->at[search->count] = at + 8 * i;
            search->pointer[search->count] = block[i];
            if (++search->count == PROBES)
                settle(search);
        }
    }
    settle(search);
    return 0;
}

static void search_free(struct search **search)
{
    if (*search)
        free((*search)->ranges);
    free(*search);
}

int pst_head_search(struct pst_memory *memory, const struct pst_elf *elf, uint64_t bias,
                    struct pst_str maps, const struct pst_head_links *links, uint64_t near,
                    uint64_t *ret_address)
{
    struct search *search __attribute__((cleanup(search_free))) = calloc(1, sizeof(*search));

    if (!search)
        return -ENOMEM;
    search->memory = memory;
    search->links = links;
    search->near = near;
    pst_memory_budget(memory, PST_MAX_TARGET_SAMPLE_BYTES, SEARCH_READS);
    int status = collect_ranges(search, maps);
    for (size_t i = 0; i < elf->segment_count && status == 0; i++) {
        const struct pst_elf_segment *segment = &elf->segment[i];
        uint64_t bytes =
            segment->memory_bytes < PST_MAX_ELF_BYTES ? segment->memory_bytes : PST_MAX_ELF_BYTES;
        if (segment->writable)
            status = search_segment(search, segment->vaddr + bias, bytes);
    }
    if (status < 0)
        return status;
    *ret_address = search->best;
    return search->best_length > 0 ? 0 : -ENOENT;
}
