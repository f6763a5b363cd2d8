/* Search of a symbol table for the few names of elf_symbols.def. The strings are looked through
 * first, block by block: when none of the names is there, as in nearly every image, the symbols
 * themselves are never read. Linkers share tails of strings, so a name counts wherever it ends. */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "elf_internal.h"

enum {
    BLOCK = 32768,
    KEEP = 64,    /* bytes of the block before: longer than any name here */
    OFFSETS = 64, /* places in the string table where one of the names begins */
};

struct name {
    const char *text;
    size_t bytes; /* with the NUL */
    uint64_t least;
};

static const struct name names[PST_ELF_SYMBOL_COUNT] = {
#define PST_ELF_SYMBOL(id, name, least) {name, sizeof(name), least},
#include "target/elf_symbols.def"
#undef PST_ELF_SYMBOL
};

struct found {
    size_t count;
    struct {
        uint32_t offset;
        uint32_t id;
    } at[OFFSETS];
};

static void note_name(struct found *found, uint64_t offset, uint32_t id)
{
    if (found->count < OFFSETS && offset <= UINT32_MAX) {
        found->at[found->count].offset = (uint32_t)offset;
        found->at[found->count++].id = id;
    }
}

/* `end` points behind a NUL at table offset `offset`; `available` bytes before it can be read. */
static void match_names(struct found *found, const char *end, size_t available, uint64_t offset)
{
    for (uint32_t id = 0; id < PST_ELF_SYMBOL_COUNT; id++) {
        if (names[id].bytes <= available &&
            memcmp(end - names[id].bytes, names[id].text, names[id].bytes) == 0)
            note_name(found, offset - names[id].bytes, id);
    }
}

static int find_strings(struct pst_elf_source *source, const struct pst_elf_table *table,
                        struct found *found)
{
    char buffer[KEEP + BLOCK];
    size_t kept = 0;

    for (uint64_t at = 0; at < table->string_bytes;) {
        uint64_t left = table->string_bytes - at;
        size_t len = left < BLOCK ? (size_t)left : BLOCK;
        int status = pst_elf_read(source, table->strings + at, buffer + kept, len);
        if (status < 0)
            return status;
        const char *end = buffer + kept + len, *p = buffer + kept;
        while (p < end && (p = memchr(p, '\0', (size_t)(end - p)))) {
            p++;
            match_names(found, p, (size_t)(p - buffer), at + (uint64_t)(p - (buffer + kept)));
        }
        size_t total = kept + len;
        kept = total < KEEP ? total : KEEP;
        memmove(buffer, buffer + total - kept, kept);
        at += len;
    }
    return 0;
}

static void take_symbol(const struct found *found, const Elf64_Sym *symbol, struct pst_elf *elf)
{
    unsigned type = ELF64_ST_TYPE(symbol->st_info);

    if (symbol->st_shndx == SHN_UNDEF || symbol->st_value == 0 || type == STT_TLS ||
        type == STT_FILE || type == STT_SECTION)
        return;
    for (size_t i = 0; i < found->count; i++) {
        uint32_t id = found->at[i].id;
        if (found->at[i].offset == symbol->st_name && symbol->st_size >= names[id].least &&
            elf->symbol[id] == 0)
            elf->symbol[id] = symbol->st_value;
    }
}

int pst_elf_symbols(struct pst_elf_source *source, const struct pst_elf_table *table,
                    struct pst_elf *elf)
{
    enum { BATCH = 512 };
    struct found found = {0};
    Elf64_Sym symbols[BATCH];

    int status = find_strings(source, table, &found);
    if (status < 0 || found.count == 0)
        return status;
    uint64_t count = table->symbol_bytes / sizeof(Elf64_Sym);
    for (uint64_t at = 0; at < count;) {
        uint64_t left = count - at;
        size_t batch = left < BATCH ? (size_t)left : BATCH;
        status = pst_elf_read(source, table->symbols + at * sizeof(Elf64_Sym), symbols,
                              batch * sizeof(Elf64_Sym));
        if (status < 0)
            return status;
        for (size_t i = 0; i < batch; i++)
            take_symbol(&found, &symbols[i], elf);
        at += batch;
    }
    return 0;
}
