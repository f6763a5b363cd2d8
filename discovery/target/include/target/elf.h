/* What an ELF image says about CPython. The bytes are hostile: every offset, count and size is
 * checked against the image and against a budget of bytes before it is used. */
#ifndef PST_TARGET_ELF_H
#define PST_TARGET_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pst_elf_symbol {
#define PST_ELF_SYMBOL(id, name, least) PST_ELF_##id,
#include "target/elf_symbols.def"
#undef PST_ELF_SYMBOL
    PST_ELF_SYMBOL_COUNT
};

enum { PST_ELF_SEGMENTS = 16 };

struct pst_elf_segment {
    uint64_t offset, vaddr, file_bytes, memory_bytes;
    bool writable, executable;
};

/* All addresses are as linked: add the bias of the mapping. 0 means absent. */
struct pst_elf {
    bool relocatable; /* ET_DYN; else the bias is 0 */
    size_t segment_count;
    struct pst_elf_segment segment[PST_ELF_SEGMENTS];
    uint64_t symbol[PST_ELF_SYMBOL_COUNT];
    uint64_t section, section_bytes; /* .PyRuntime */
    char soname[64];                 /* DT_SONAME when it fits */
    bool program;                    /* something that is started, not loaded */
    bool hinted; /* its texts are those of a CPython, though nothing says where that is */
    bool cut;    /* the budget ended the search before its end */
};

/* Where the bytes come from. */
struct pst_elf_source {
    /* All of len bytes at offset, or -errno. */
    int (*read)(void *context, uint64_t offset, void *dst, size_t len);
    void *context;
    uint64_t size; /* no offset beyond it is read */
    size_t budget; /* bytes that may still be read */
};

/* A file. */
struct pst_elf_source pst_elf_file(int *fd, uint64_t size, size_t budget);
/* Bytes at hand. */
struct pst_elf_bytes {
    const unsigned char *data;
    size_t len;
};
struct pst_elf_source pst_elf_bytes(struct pst_elf_bytes *bytes, size_t budget);

/* Parses a file image: segments, symbols of .dynsym and .symtab (or of the dynamic segment when the
 * section headers are gone), .PyRuntime, soname. 0; -ENOEXEC when it is no ELF of this machine;
 * -EBADMSG when it contradicts itself; -errno of the source. */
int pst_elf_parse(struct pst_elf_source *source, struct pst_elf *ret);
/* The same from an image loaded in memory, the source's offset 0 being its ELF header, mapped at
 * `start`: only what the loader needs is there, so no sections and no .symtab. */
int pst_elf_parse_loaded(struct pst_elf_source *source, uint64_t start, struct pst_elf *ret);

/* True when the image carries a runtime of CPython, by symbol or section, or seems to by its texts.
 */
bool pst_elf_has_python(const struct pst_elf *elf);
/* Whether the address, as linked, lies in a writable segment with that many bytes after it. */
bool pst_elf_in_data(const struct pst_elf *elf, uint64_t address, uint64_t bytes);

#endif
