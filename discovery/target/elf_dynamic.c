/* The dynamic segment: what the loader needs is always there, in the file and in memory, also when
 * the section headers are stripped or the file is gone. */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "elf_internal.h"

enum {
    ENTRIES_MAX = 256,
    BUCKETS_MAX = 65536,
    CHAIN_MAX = 65536,
};

struct dynamic {
    uint64_t symtab, strtab, string_bytes, hash, gnu_hash, soname;
};

static void take_entry(struct dynamic *dynamic, const Elf64_Dyn *entry)
{
    switch (entry->d_tag) {
    case DT_SYMTAB:
        dynamic->symtab = entry->d_un.d_ptr;
        break;
    case DT_STRTAB:
        dynamic->strtab = entry->d_un.d_ptr;
        break;
    case DT_STRSZ:
        dynamic->string_bytes = entry->d_un.d_val;
        break;
    case DT_HASH:
        dynamic->hash = entry->d_un.d_ptr;
        break;
    case DT_GNU_HASH:
        dynamic->gnu_hash = entry->d_un.d_ptr;
        break;
    case DT_SONAME:
        dynamic->soname = entry->d_un.d_val;
        break;
    default:
        break;
    }
}

static int read_entries(struct pst_elf_source *source, uint64_t offset, uint64_t bytes,
                        struct dynamic *dynamic)
{
    Elf64_Dyn entry;

    for (uint64_t i = 0; i < ENTRIES_MAX && i < bytes / sizeof(entry); i++) {
        int status = pst_elf_read(source, offset + i * sizeof(entry), &entry, sizeof(entry));
        if (status < 0)
            return status;
        if (entry.d_tag == DT_NULL)
            break;
        take_entry(dynamic, &entry);
    }
    return 0;
}

/* Address as linked, or as a loader moved it, to an offset into the source. 0 when nowhere. */
static uint64_t place(const struct pst_elf *elf, uint64_t start, uint64_t address)
{
    uint64_t first = elf->segment[0].vaddr & ~UINT64_C(4095);

    if (start != 0 && address >= start)
        return address - start;
    if (start != 0)
        return address >= first ? address - first : 0;
    for (size_t i = 0; i < elf->segment_count; i++) {
        const struct pst_elf_segment *segment = &elf->segment[i];
        if (address >= segment->vaddr && address - segment->vaddr < segment->file_bytes)
            return segment->offset + (address - segment->vaddr);
    }
    return 0;
}

/* Highest index in the chains of a GNU hash table, plus one. */
static int count_gnu(struct pst_elf_source *source, uint64_t at, uint64_t *ret_count)
{
    struct {
        uint32_t buckets, first, bloom_words, shift;
    } header;
    uint32_t last = 0, block[256], link = 0;

    int status = pst_elf_read(source, at, &header, sizeof(header));
    if (status < 0)
        return status;
    if (header.buckets > BUCKETS_MAX || header.bloom_words > BUCKETS_MAX)
        return -EBADMSG;
    uint64_t buckets = at + sizeof(header) + UINT64_C(8) * header.bloom_words;
    for (uint32_t i = 0; i < header.buckets;) {
        uint32_t count = header.buckets - i < 256 ? header.buckets - i : 256;
        status = pst_elf_read(source, buckets + UINT64_C(4) * i, block, 4 * count);
        if (status < 0)
            return status;
        for (uint32_t j = 0; j < count; j++)
            last = block[j] > last ? block[j] : last;
        i += count;
    }
    if (last < header.first)
        return -EBADMSG;
    uint64_t chain = buckets + UINT64_C(4) * header.buckets;
    for (uint32_t steps = 0; steps < CHAIN_MAX && !(link & 1); steps++, last++) {
        status = pst_elf_read(source, chain + UINT64_C(4) * (last - header.first), &link, 4);
        if (status < 0)
            return status;
    }
    *ret_count = last;
    return 0;
}

static int count_symbols(struct pst_elf_source *source, const struct pst_elf *elf, uint64_t start,
                         const struct dynamic *dynamic, uint64_t *ret_count)
{
    uint32_t sysv[2];

    if (dynamic->gnu_hash &&
        count_gnu(source, place(elf, start, dynamic->gnu_hash), ret_count) == 0)
        return 0;
    if (!dynamic->hash)
        return -EBADMSG;
    int status = pst_elf_read(source, place(elf, start, dynamic->hash), sysv, sizeof(sysv));
    if (status == 0)
        *ret_count = sysv[1];
    return status;
}

static void read_soname(struct pst_elf_source *source, uint64_t strings,
                        const struct dynamic *dynamic, struct pst_elf *elf)
{
    char text[sizeof(elf->soname)];

    if (dynamic->soname == 0 || dynamic->soname >= dynamic->string_bytes)
        return;
    uint64_t left = dynamic->string_bytes - dynamic->soname;
    size_t len = left < sizeof(text) ? (size_t)left : sizeof(text);
    if (pst_elf_read(source, strings + dynamic->soname, text, len) == 0 && memchr(text, 0, len))
        memcpy(elf->soname, text, len);
}

int pst_elf_dynamic(struct pst_elf_source *source, uint64_t offset, uint64_t bytes, uint64_t start,
                    bool want_symbols, struct pst_elf *elf)
{
    struct dynamic dynamic = {0};
    uint64_t count;

    int status = read_entries(source, offset, bytes, &dynamic);
    if (status < 0)
        return status;
    if (!dynamic.symtab || !dynamic.strtab || !dynamic.string_bytes)
        return -EBADMSG;
    uint64_t strings = place(elf, start, dynamic.strtab);
    uint64_t symbols = place(elf, start, dynamic.symtab);
    if (!strings || !symbols)
        return -EBADMSG;
    read_soname(source, strings, &dynamic, elf);
    if (!want_symbols)
        return 0;
    status = count_symbols(source, elf, start, &dynamic, &count);
    if (status < 0)
        return status;
    struct pst_elf_table table = {symbols, count * sizeof(Elf64_Sym), strings,
                                  dynamic.string_bytes};
    return pst_elf_symbols(source, &table, elf);
}
