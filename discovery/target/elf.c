/* ELF images: header, segments, sections. Byte order and machine are our own, or it is no image
 * for us. */
#include "target/elf.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "elf_internal.h"

#if defined(__x86_64__)
#define OWN_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OWN_MACHINE EM_AARCH64
#else
#error "not a machine that is supported"
#endif

enum {
    PROGRAM_HEADERS_MAX = 64,
    SECTIONS_MAX = 1024, /* python binaries have 30 to 50; split debug sections some hundreds */
    SECTION_BATCH = 64,
};

static int read_file(void *context, uint64_t offset, void *dst, size_t len)
{
    int fd = *(int *)context;
    size_t used = 0;

    while (used < len) {
        ssize_t got = pread(fd, (char *)dst + used, len - used, (off_t)(offset + used));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : -EBADMSG;
        used += (size_t)got;
    }
    return 0;
}

struct pst_elf_source pst_elf_file(int *fd, uint64_t size, size_t budget)
{
    return (struct pst_elf_source){read_file, fd, size, budget};
}

static int read_bytes(void *context, uint64_t offset, void *dst, size_t len)
{
    const struct pst_elf_bytes *bytes = context;

    memcpy(dst, bytes->data + offset, len);
    return 0;
}

struct pst_elf_source pst_elf_bytes(struct pst_elf_bytes *bytes, size_t budget)
{
    return (struct pst_elf_source){read_bytes, bytes, bytes->len, budget};
}

int pst_elf_read(struct pst_elf_source *source, uint64_t offset, void *dst, size_t len)
{
    if (offset > source->size || len > source->size - offset)
        return -EBADMSG;
    if (len > source->budget)
        return -EDQUOT;
    source->budget -= len;
    return source->read(source->context, offset, dst, len);
}

static int read_header(struct pst_elf_source *source, Elf64_Ehdr *ret)
{
    int status = pst_elf_read(source, 0, ret, sizeof(*ret));

    if (status < 0)
        return status == -EBADMSG ? -ENOEXEC : status;
    if (memcmp(ret->e_ident, ELFMAG, SELFMAG) != 0 || ret->e_ident[EI_CLASS] != ELFCLASS64 ||
        ret->e_ident[EI_DATA] != ELFDATA2LSB || ret->e_machine != OWN_MACHINE ||
        (ret->e_type != ET_EXEC && ret->e_type != ET_DYN))
        return -ENOEXEC;
    if (ret->e_phentsize != sizeof(Elf64_Phdr) || ret->e_phnum == 0 ||
        ret->e_phnum > PROGRAM_HEADERS_MAX)
        return -EBADMSG;
    return 0;
}

static void add_segment(struct pst_elf *elf, const Elf64_Phdr *phdr)
{
    uint64_t end;

    if (elf->segment_count == PST_ELF_SEGMENTS ||
        __builtin_add_overflow(phdr->p_vaddr, phdr->p_memsz, &end) ||
        phdr->p_filesz > phdr->p_memsz)
        return;
    elf->segment[elf->segment_count++] = (struct pst_elf_segment){phdr->p_offset,
                                                                  phdr->p_vaddr,
                                                                  phdr->p_filesz,
                                                                  phdr->p_memsz,
                                                                  (phdr->p_flags & PF_W) != 0,
                                                                  (phdr->p_flags & PF_X) != 0};
}

/* *ret_dynamic is the PT_DYNAMIC header, zeroed when there is none. */
static int read_segments(struct pst_elf_source *source, const Elf64_Ehdr *header,
                         struct pst_elf *elf, Elf64_Phdr *ret_dynamic)
{
    Elf64_Phdr phdr[PROGRAM_HEADERS_MAX];

    int status = pst_elf_read(source, header->e_phoff, phdr, header->e_phnum * sizeof(Elf64_Phdr));
    if (status < 0)
        return status;
    *ret_dynamic = (Elf64_Phdr){0};
    elf->relocatable = header->e_type == ET_DYN;
    elf->program = header->e_entry != 0; /* libraries mostly have none */
    for (size_t i = 0; i < header->e_phnum; i++) {
        if (phdr[i].p_type == PT_LOAD)
            add_segment(elf, &phdr[i]);
        else if (phdr[i].p_type == PT_DYNAMIC)
            *ret_dynamic = phdr[i];
    }
    return elf->segment_count > 0 ? 0 : -EBADMSG;
}

static bool named_runtime(struct pst_elf_source *source, const Elf64_Shdr *names, uint32_t name)
{
    static const char wanted[] = ".PyRuntime";
    char text[sizeof(wanted)];

    if (names->sh_size < sizeof(wanted) || name > names->sh_size - sizeof(wanted))
        return false;
    return pst_elf_read(source, names->sh_offset + name, text, sizeof(text)) == 0 &&
           memcmp(text, wanted, sizeof(wanted)) == 0;
}

struct sections {
    Elf64_Shdr dynsym, symtab, names;
    uint64_t offset;
    size_t count;
};

static int read_section(struct pst_elf_source *source, const struct sections *sections,
                        size_t index, Elf64_Shdr *ret)
{
    if (index >= sections->count)
        return -EBADMSG;
    return pst_elf_read(source, sections->offset + index * sizeof(*ret), ret, sizeof(*ret));
}

static void take_section(struct pst_elf_source *source, struct sections *sections,
                         const Elf64_Shdr *section, struct pst_elf *elf)
{
    if (section->sh_type == SHT_DYNSYM)
        sections->dynsym = *section;
    else if (section->sh_type == SHT_SYMTAB)
        sections->symtab = *section;
    else if ((section->sh_type == SHT_PROGBITS || section->sh_type == SHT_NOBITS) &&
             (section->sh_flags & SHF_WRITE) && elf->section == 0 && section->sh_addr != 0 &&
             named_runtime(source, &sections->names, section->sh_name)) {
        elf->section = section->sh_addr;
        elf->section_bytes = section->sh_size;
    }
}

static int read_sections(struct pst_elf_source *source, const Elf64_Ehdr *header,
                         struct sections *sections, struct pst_elf *elf)
{
    Elf64_Shdr batch[SECTION_BATCH];

    sections->offset = header->e_shoff;
    sections->count = header->e_shnum;
    if (header->e_shentsize != sizeof(Elf64_Shdr) || header->e_shnum > SECTIONS_MAX)
        return -EBADMSG;
    int status = read_section(source, sections, header->e_shstrndx, &sections->names);
    for (size_t at = 0; status == 0 && at < sections->count;) {
        size_t count = sections->count - at;
        if (count > SECTION_BATCH)
            count = SECTION_BATCH;
        status = pst_elf_read(source, sections->offset + at * sizeof(Elf64_Shdr), batch,
                              count * sizeof(Elf64_Shdr));
        for (size_t i = 0; status == 0 && i < count; i++)
            take_section(source, sections, &batch[i], elf);
        at += count;
    }
    return status;
}

static int section_symbols(struct pst_elf_source *source, const struct sections *sections,
                           const Elf64_Shdr *symbols, struct pst_elf *elf)
{
    Elf64_Shdr strings;

    if (symbols->sh_type == SHT_NULL || symbols->sh_entsize != sizeof(Elf64_Sym))
        return 0;
    int status = read_section(source, sections, symbols->sh_link, &strings);
    if (status < 0)
        return status;
    struct pst_elf_table table = {symbols->sh_offset, symbols->sh_size, strings.sh_offset,
                                  strings.sh_size};
    return pst_elf_symbols(source, &table, elf);
}

bool pst_elf_has_python(const struct pst_elf *elf)
{
    return elf->symbol[PST_ELF_RUNTIME] || elf->section || elf->symbol[PST_ELF_TSTATE_CURRENT] ||
           elf->hinted;
}

/* What the budget or a broken table cost is not fatal while something was found or the rest may
 * still say something. */
static int soften(struct pst_elf *elf, int status)
{
    if (status == -EDQUOT)
        elf->cut = true;
    return status == -EDQUOT || status == -EBADMSG ? 0 : status;
}

int pst_elf_parse(struct pst_elf_source *source, struct pst_elf *ret)
{
    struct pst_elf elf = {0};
    struct sections sections = {0};
    Elf64_Ehdr header;
    Elf64_Phdr dynamic;

    int status = read_header(source, &header);
    if (status == 0)
        status = read_segments(source, &header, &elf, &dynamic);
    if (status < 0)
        return status;
    if (header.e_shoff != 0 && header.e_shnum != 0)
        status = soften(&elf, read_sections(source, &header, &sections, &elf));
    if (status == 0)
        status = soften(&elf, section_symbols(source, &sections, &sections.dynsym, &elf));
    if (status == 0 && dynamic.p_type == PT_DYNAMIC)
        status = soften(&elf, pst_elf_dynamic(source, dynamic.p_offset, dynamic.p_filesz, 0,
                                              sections.dynsym.sh_type == SHT_NULL, &elf));
    /* Before 3.7 the head of the interpreter list is a local symbol. */
    bool all_known = elf.symbol[PST_ELF_RUNTIME] && elf.symbol[PST_ELF_CODE_TYPE];
    if (status == 0 && !all_known)
        status = soften(&elf, section_symbols(source, &sections, &sections.symtab, &elf));
    if (status == 0 && !pst_elf_has_python(&elf))
        status = soften(&elf, pst_elf_cookie(source, &elf));
    if (status == 0 && elf.program && !pst_elf_has_python(&elf))
        status = soften(&elf, pst_elf_hint(source, &elf));
    if (status == 0)
        *ret = elf;
    return status;
}

int pst_elf_parse_loaded(struct pst_elf_source *source, uint64_t start, struct pst_elf *ret)
{
    struct pst_elf elf = {0};
    Elf64_Ehdr header;
    Elf64_Phdr dynamic = {0};

    int status = read_header(source, &header);
    if (status == 0)
        status = read_segments(source, &header, &elf, &dynamic);
    if (status < 0)
        return status;
    uint64_t first = elf.segment[0].vaddr & ~UINT64_C(4095);
    if (dynamic.p_type == PT_DYNAMIC && dynamic.p_vaddr >= first)
        status = soften(&elf, pst_elf_dynamic(source, dynamic.p_vaddr - first, dynamic.p_memsz,
                                              start, true, &elf));
    if (status == 0)
        *ret = elf;
    return status;
}

bool pst_elf_in_data(const struct pst_elf *elf, uint64_t address, uint64_t bytes)
{
    for (size_t i = 0; i < elf->segment_count; i++) {
        const struct pst_elf_segment *segment = &elf->segment[i];
        if (!segment->writable || address < segment->vaddr)
            continue;
        uint64_t offset = address - segment->vaddr;
        if (offset <= segment->memory_bytes && bytes <= segment->memory_bytes - offset)
            return true;
    }
    return false;
}
