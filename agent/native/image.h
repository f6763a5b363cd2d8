/* One ELF image that a target has mapped, opened for libelf. Bytes come by pread from the very file
 * that is mapped, or, where no way leads to it, from the target's memory; nothing is mapped into
 * this process, so that a file which shrinks cannot kill it. Refuses images whose sections are
 * larger than their bound. */
#ifndef PST_NATIVE_IMAGE_H
#define PST_NATIVE_IMAGE_H

#include <libelf.h>

#include "elves.h"
#include "target/maps.h"
#include "target/memory.h"

enum { PST_IMAGE_REGIONS = 16, PST_BUILD_ID_TEXT = 2 * 64 + 1 };

struct pst_native_image {
    /* From the maps. */
    struct pst_image file;
    char *path; /* as printed, unescaped; "[vdso]" */
    uint64_t start, end;
    struct {
        uint64_t start, end, offset;
        bool readable;
    } region[PST_IMAGE_REGIONS];
    size_t region_count;
    bool has_code, python, has_file; /* python: it holds the interpreter */

    /* Once opened. */
    bool tried, no_dwarf, given; /* given: to libdwfl */
    const struct pst_elf_file *opened;
    int fd;       /* that file's */
    int debug_fd; /* separate debug information, once looked for; -1 */
    const struct pst_elf_file *debug_opened;
    bool debug_tried;
    Elf *elf; /* libdwfl owns it once it has been given */
    char build_id[PST_BUILD_ID_TEXT];
    void *owner;         /* struct pst_modules */
    uint32_t binary;     /* text id, set by symbols.c */
    uint32_t build;      /* the same of build_id */
    uint64_t text_round; /* of symbols.c, that these ids belong to */
    bool named;
};

/* Opens it once; NULL when it cannot be used. */
Elf *pst_image_open(struct pst_native_image *image, pid_t pid, struct pst_memory *memory,
                    struct pst_elves *elves);
void pst_image_done(struct pst_native_image *image, struct pst_elves *elves);
/* Whether such a file may be used, and then whether without its debug information. */
bool pst_image_elf_fits(Elf *elf, bool *ret_no_dwarf);

/* A build id as text of PST_BUILD_ID_TEXT bytes at most. */
void pst_image_build_text(const void *bytes, size_t len, char *dst);

/* A descriptor of separate debug information for the image, found by build id in the target's file
 * system and in ours, or by debuglink beside the image; the image's, looked for once; -1 without.
 * After pst_image_open and with build_id set. */
int pst_image_debug(struct pst_native_image *image, pid_t pid, struct pst_elves *elves);

/* Whether a file of debug information belongs to the image and keeps to the same bounds,
 * decompressed. */
bool pst_image_debug_fits(const struct pst_native_image *image, int fd);

#endif
