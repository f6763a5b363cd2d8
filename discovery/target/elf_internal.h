/* Shared by the files of the ELF reader only. */
#ifndef PST_TARGET_ELF_INTERNAL_H
#define PST_TARGET_ELF_INTERNAL_H

#include "target/elf.h"

/* Bounded read: inside the source, inside the budget. -EBADMSG, -EDQUOT, -errno. */
int pst_elf_read(struct pst_elf_source *source, uint64_t offset, void *dst, size_t len);

/* Offsets into the source. */
struct pst_elf_table {
    uint64_t symbols, symbol_bytes;
    uint64_t strings, string_bytes;
};
/* Fills elf->symbol from one table for ids that are still 0. -EDQUOT when the budget ended it. */
int pst_elf_symbols(struct pst_elf_source *source, const struct pst_elf_table *table,
                    struct pst_elf *elf);

/* Dynamic section at file offset (or, loaded, at image offset): symbols and soname. `start` is 0
 * for a file, else the address of the image, by which loaders may have moved the pointers. Without
 * want_symbols only the soname is read. */
int pst_elf_dynamic(struct pst_elf_source *source, uint64_t offset, uint64_t bytes, uint64_t start,
                    bool want_symbols, struct pst_elf *elf);

/* Looks through the initialized data for a runtime that names itself (3.13 and later) and notes it
 * as elf->section. 0 found or not; -errno as pst_elf_read. */
int pst_elf_cookie(struct pst_elf_source *source, struct pst_elf *elf);
/* Whether the texts of a program are those of a CPython: sets elf->hinted. Its own budget. */
int pst_elf_hint(struct pst_elf_source *source, struct pst_elf *elf);

#endif
