/* A short list: as many files as the targets at hand have mapped and met on their stacks. */
#include "elves.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "image.h"

struct key {
    uint64_t device, inode, bytes, changed_ns, written_ns;
};

struct opened {
    struct pst_elf_file file; /* first: what callers hold */
    struct key key;
    size_t users;
    Dwarf *dwarf;
    bool dwarf_tried;
    struct opened *next;
};

struct pst_elves {
    struct opened *first;
};

struct pst_elves *pst_elves_new(void)
{
    return calloc(1, sizeof(struct pst_elves));
}

static void end(struct opened *opened)
{
    (void)dwarf_end(opened->dwarf);
    (void)elf_end(opened->file.elf);
    (void)close(opened->file.fd);
    free(opened);
}

struct pst_elves *pst_elves_free(struct pst_elves *elves)
{
    while (elves && elves->first) {
        struct opened *opened = elves->first;
        elves->first = opened->next;
        end(opened);
    }
    free(elves);
    return NULL;
}

static uint64_t nanoseconds(struct timespec time)
{
    return (uint64_t)time.tv_sec * PST_NS_PER_S + (uint64_t)time.tv_nsec;
}

static struct opened *find(struct pst_elves *elves, const struct key *key)
{
    struct opened *opened = elves->first;

    while (opened && memcmp(&opened->key, key, sizeof(*key)) != 0)
        opened = opened->next;
    return opened;
}

static struct opened *open_new(struct pst_elves *elves, int fd, const struct key *key)
{
    struct opened *opened = calloc(1, sizeof(*opened));

    if (!opened)
        return NULL;
    opened->key = *key;
    opened->file.fd = fd;
    opened->file.elf = elf_begin(fd, ELF_C_READ, NULL);
    if (!pst_image_elf_fits(opened->file.elf, &opened->file.no_dwarf)) {
        (void)elf_end(opened->file.elf);
        opened->file.elf = NULL;
    }
    opened->next = elves->first;
    elves->first = opened;
    return opened;
}

const struct pst_elf_file *pst_elves_open(struct pst_elves *elves, int fd)
{
    struct opened *opened = NULL;
    struct stat st;

    if (fstat(fd, &st) == 0) {
        struct key key = {st.st_dev, st.st_ino, (uint64_t)st.st_size, nanoseconds(st.st_ctim),
                          nanoseconds(st.st_mtim)};
        opened = find(elves, &key);
        if (!opened)
            opened = open_new(elves, fd, &key);
    }
    if (!opened || opened->file.fd != fd)
        (void)close(fd);
    if (!opened)
        return NULL;
    opened->users++;
    return &opened->file;
}

void pst_elves_close(struct pst_elves *elves, const struct pst_elf_file *file)
{
    struct opened **link = &elves->first;

    while (*link && &(*link)->file != file)
        link = &(*link)->next;
    struct opened *opened = *link;
    if (!opened || --opened->users > 0)
        return;
    *link = opened->next;
    end(opened);
}

Dwarf *pst_elves_dwarf(struct pst_elves *elves, const struct pst_elf_file *file)
{
    struct opened *opened = elves->first;

    while (opened && &opened->file != file)
        opened = opened->next;
    if (!opened)
        return NULL;
    if (!opened->dwarf_tried && file->elf && !file->no_dwarf)
        opened->dwarf = dwarf_begin_elf(file->elf, DWARF_C_READ, NULL);
    opened->dwarf_tried = true;
    return opened->dwarf;
}
