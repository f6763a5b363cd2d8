/* ELF files opened once for all processes that map them: what libelf and libdw read of one (unwind
 * tables and debug information of megabytes) is held once. One thread. */
#ifndef PST_NATIVE_ELVES_H
#define PST_NATIVE_ELVES_H

#include <elfutils/libdw.h>
#include <libelf.h>
#include <stdbool.h>

struct pst_elves;
struct pst_elves *pst_elves_new(void);
/* After all files have been closed. */
struct pst_elves *pst_elves_free(struct pst_elves *elves);

/* One file as it was when it was opened first. */
struct pst_elf_file {
    int fd;
    Elf *elf;      /* NULL: not one of this machine, or one that asks for too much */
    bool no_dwarf; /* its debug information is to be left unread */
};

/* Takes the descriptor, in any case. NULL when out of memory or when it is no file. Each open needs
 * its close; an Elf that outlives that has to be taken by elf_begin(-1, ELF_C_READ, file->elf). */
const struct pst_elf_file *pst_elves_open(struct pst_elves *elves, int fd);
void pst_elves_close(struct pst_elves *elves, const struct pst_elf_file *file);
/* Its debug information, unpacked once for all; NULL without. The file's. */
Dwarf *pst_elves_dwarf(struct pst_elves *elves, const struct pst_elf_file *file);

#endif
