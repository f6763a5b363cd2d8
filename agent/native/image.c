/* Ways to an image's bytes, and what its section table may ask for. */
#include "image.h"

#include <elfutils/libdwelf.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "target/core.h"
#include "target/rootfs.h"

/* Where an ELF header says where the section table is. */
enum { E_SHOFF = 40, E_SHNUM = 60, E_SHSTRNDX = 62 };

static int open_file(const struct pst_native_image *image, pid_t pid, struct pst_memory *memory)
{
    struct pst_core *core = pst_memory_core(memory);
    struct stat st;

    if (core)
        return pst_core_open_file(core, image->file.inode);
    pst_autofd int found = pst_rootfs_find(pid, &image->file, &st);

    if (found < 0)
        found = pst_rootfs_find_mapped(pid, image->region[0].start, image->region[0].end,
                                       &image->file, &st);
    return found < 0 ? found : pst_rootfs_reopen(found);
}

static int copy_region(int fd, struct pst_memory *memory, uint64_t start, uint64_t end,
                       uint64_t offset)
{
    enum { STEP = 1 << 20 };
    pst_autofree unsigned char *bytes = malloc(STEP);

    if (!bytes)
        return -ENOMEM;
    for (uint64_t at = start; at < end; at += STEP) {
        size_t len = end - at < STEP ? (size_t)(end - at) : STEP;
        int status = pst_memory_read(memory, at, bytes, len);
        if (status < 0)
            return status;
        if (pwrite(fd, bytes, len, (off_t)(offset + (at - start))) != (ssize_t)len)
            return -EIO;
    }
    return 0;
}

/* What is mapped of it, each part at its offset in the file. The section table is not mapped: the
 * dynamic segment and the header of the unwind tables have to do. */
static int open_memory(const struct pst_native_image *image, struct pst_memory *memory)
{
    static const unsigned char nothing[8] = {0};
    pst_autofd int fd = memfd_create("image", MFD_CLOEXEC);
    uint64_t bytes = 0;
    int status = fd < 0 ? -errno : 0;

    pst_memory_budget(memory, PST_MAX_NATIVE_IMAGE_BYTES, PST_MAX_SAMPLE_READS);
    for (size_t i = 0; i < image->region_count && status == 0; i++) {
        if (!image->region[i].readable)
            continue;
        bytes += image->region[i].end - image->region[i].start;
        if (bytes > PST_MAX_NATIVE_IMAGE_BYTES ||
            image->region[i].offset > PST_MAX_NATIVE_IMAGE_BYTES)
            return -EFBIG;
        status = copy_region(fd, memory, image->region[i].start, image->region[i].end,
                             image->region[i].offset);
    }
    if (status == 0 &&
        (pwrite(fd, nothing, 8, E_SHOFF) != 8 || pwrite(fd, nothing, 2, E_SHNUM) != 2 ||
         pwrite(fd, nothing, 2, E_SHSTRNDX) != 2))
        status = -EIO;
    return status < 0 ? status : pst_steal_fd(&fd);
}

static bool starts(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* ".zdebug_" is the older way to compress: four letters and the size stand before the bytes. */
static uint64_t unpacked_bytes(Elf_Scn *section, bool older)
{
    GElf_Chdr compressed;
    uint64_t bytes;

    if (!older)
        return gelf_getchdr(section, &compressed) ? compressed.ch_size : 0;
    const Elf_Data *data = elf_rawdata(section, NULL);
    if (!data || !data->d_buf || data->d_size < 4 + sizeof(bytes))
        return 0;
    memcpy(&bytes, (const char *)data->d_buf + 4, sizeof(bytes));
    return be64toh(bytes);
}

/* Adds what libelf and libdw will hold of a section once asked, packed and unpacked. To tell the
 * latter they read it whole: not when it is too large as it is. False when past most. */
static bool add_bytes(Elf_Scn *section, const GElf_Shdr *header, bool older, uint64_t most,
                      uint64_t *sum)
{
    if (header->sh_type == SHT_NOBITS)
        return true;
    if (__builtin_add_overflow(*sum, header->sh_size, sum) || *sum > most)
        return false;
    if (!older && !(header->sh_flags & SHF_COMPRESSED))
        return true;
    return !__builtin_add_overflow(*sum, unpacked_bytes(section, older), sum) && *sum <= most;
}

static bool sections_bounded(Elf *elf, bool *ret_no_dwarf)
{
    uint64_t debug = 0, rest = 0;
    size_t names, count = 0;
    Elf_Scn *section = NULL;

    *ret_no_dwarf = false;
    if (elf_getshdrstrndx(elf, &names) < 0)
        names = 0;
    while ((section = elf_nextscn(elf, section))) {
        GElf_Shdr header;
        if (!gelf_getshdr(section, &header) || ++count > PST_MAX_NATIVE_SECTIONS)
            return false;
        const char *name = names ? elf_strptr(elf, names, header.sh_name) : NULL;
        bool older = name && starts(name, ".zdebug_");
        bool is_debug = older || (name && starts(name, ".debug_"));
        bool read = header.sh_type == SHT_SYMTAB || header.sh_type == SHT_DYNSYM ||
                    header.sh_type == SHT_STRTAB || (name && starts(name, ".eh_frame"));
        if (is_debug && !*ret_no_dwarf)
            *ret_no_dwarf = !add_bytes(section, &header, older, PST_MAX_NATIVE_DEBUG_BYTES, &debug);
        else if (!is_debug && read &&
                 !add_bytes(section, &header, false, PST_MAX_NATIVE_TABLE_BYTES, &rest))
            return false;
    }
    return true;
}

static bool of_this_machine(Elf *elf)
{
    GElf_Ehdr header;

    return elf && elf_kind(elf) == ELF_K_ELF && gelf_getehdr(elf, &header) &&
           header.e_ident[EI_CLASS] == ELFCLASS64 &&
#if defined(__aarch64__)
           header.e_machine == EM_AARCH64;
#else
           header.e_machine == EM_X86_64;
#endif
}

void pst_image_build_text(const void *bytes, size_t len, char *dst)
{
    const unsigned char *id = bytes;

    dst[0] = 0;
    for (size_t i = 0; i < len && 2 * i + 2 < PST_BUILD_ID_TEXT; i++)
        (void)snprintf(dst + 2 * i, 3, "%02x", id[i]);
}

/* A file that was found by its name alone may be of another build. */
static bool same_build(const struct pst_native_image *image, Elf *elf)
{
    const void *bytes;
    ssize_t len = dwelf_elf_gnu_build_id(elf, &bytes);
    char text[PST_BUILD_ID_TEXT] = "";

    if (len > 0)
        pst_image_build_text(bytes, (size_t)len, text);
    return strcmp(text, image->build_id) == 0;
}

bool pst_image_debug_fits(const struct pst_native_image *image, int fd)
{
    Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
    bool no_dwarf = true;
    bool bounded = of_this_machine(elf) && sections_bounded(elf, &no_dwarf) && !no_dwarf &&
                   same_build(image, elf);

    (void)elf_end(elf);
    return bounded;
}

bool pst_image_elf_fits(Elf *elf, bool *ret_no_dwarf)
{
    return of_this_machine(elf) && sections_bounded(elf, ret_no_dwarf);
}

Elf *pst_image_open(struct pst_native_image *image, pid_t pid, struct pst_memory *memory,
                    struct pst_elves *elves)
{
    if (image->tried)
        return image->elf;
    image->tried = true;
    int fd = image->has_file ? open_file(image, pid, memory) : -ENOENT;
    if (fd < 0)
        fd = open_memory(image, memory);
    image->opened = fd < 0 ? NULL : pst_elves_open(elves, fd);
    if (!image->opened)
        return NULL;
    image->fd = image->opened->fd;
    image->no_dwarf = image->opened->no_dwarf;
    if (image->opened->elf)
        image->elf = elf_begin(-1, ELF_C_READ, image->opened->elf);
    return image->elf;
}

void pst_image_done(struct pst_native_image *image, struct pst_elves *elves)
{
    if (!image->given)
        (void)elf_end(image->elf);
    if (image->opened)
        pst_elves_close(elves, image->opened);
    if (image->debug_opened)
        pst_elves_close(elves, image->debug_opened);
    free(image->path);
    *image = (struct pst_native_image){.fd = -1, .debug_fd = -1};
}
