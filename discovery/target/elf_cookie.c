/* A runtime without any name: from 3.13 on _PyRuntime begins with a cookie and its version, as
 * initialized data, so that it can be found in the image's own bytes. */
#include <errno.h>
#include <string.h>

#include "elf_internal.h"

enum {
    BLOCK = 32768,
    WORD = 8,
};

static const char cookie[WORD] = {'x', 'd', 'e', 'b', 'u', 'g', 'p', 'y'};

/* The cookie, then PY_VERSION_HEX in a 64-bit word, then 0 or 1 for free threading. */
static bool is_runtime(struct pst_elf_source *source, uint64_t offset)
{
    uint64_t words[3];

    if (pst_elf_read(source, offset, words, sizeof(words)) < 0)
        return false;
    return memcmp(&words[0], cookie, WORD) == 0 && words[1] >> 24 == 3 &&
           (words[1] >> 16 & 0xff) >= 13 && words[2] <= 1;
}

static int search_segment(struct pst_elf_source *source, const struct pst_elf_segment *segment,
                          struct pst_elf *elf)
{
    uint64_t block[BLOCK / WORD];
    uint64_t skip = -segment->vaddr & (WORD - 1), wanted;

    memcpy(&wanted, cookie, sizeof(wanted));
    for (uint64_t at = skip; at < segment->file_bytes; at += BLOCK) {
        uint64_t left = segment->file_bytes - at;
        size_t len = left < BLOCK ? (size_t)left & ~(size_t)(WORD - 1) : BLOCK;
        int status = pst_elf_read(source, segment->offset + at, block, len);
        if (status < 0)
            return status;
        for (size_t i = 0; i < len / WORD; i++) {
            if (block[i] != wanted || !is_runtime(source, segment->offset + at + i * WORD))
                continue;
            elf->section = segment->vaddr + at + i * WORD;
            elf->section_bytes = segment->vaddr + segment->memory_bytes - elf->section;
            return 0;
        }
    }
    return 0;
}

int pst_elf_cookie(struct pst_elf_source *source, struct pst_elf *elf)
{
    int status = 0;

    for (size_t i = 0; i < elf->segment_count && status == 0 && elf->section == 0; i++) {
        if (elf->segment[i].writable)
            status = search_segment(source, &elf->segment[i], elf);
    }
    return status;
}
