/* What is mapped where in one target, and libdwfl's view of it. Read from maps text, again when an
 * address turns up that was not there. */
#ifndef PST_NATIVE_MODULES_H
#define PST_NATIVE_MODULES_H

#include <elfutils/libdwfl.h>

#include "image.h"
#include "target/runtime.h"

struct pst_region {
    uint64_t start, end;
    bool readable, executable, stack;
    uint32_t image; /* PST_NO_IMAGE: no file */
};

enum { PST_NO_IMAGE = UINT32_MAX };

struct pst_modules {
    pid_t pid; /* whose file system holds the files; of a core file's, ours */
    struct pst_memory *memory;
    struct pst_elves *elves;    /* borrowed */
    uint64_t python_start;      /* of the image that holds the interpreter */
    struct pst_region *regions; /* by address */
    size_t region_count, region_cap;
    struct pst_native_image *images;
    size_t image_count, image_cap;
    Dwfl *dwfl; /* NULL until the first load */
    uint64_t loaded_ns;
    uint64_t epoch; /* grows when images changed: what was cached of them is void */
};

void pst_modules_init(struct pst_modules *modules, pid_t pid, struct pst_memory *memory,
                      const struct pst_runtime *runtime, struct pst_elves *elves);
void pst_modules_done(struct pst_modules *modules);

/* Reads the maps again, at most once in a while. 0 or -errno. */
int pst_modules_refresh(struct pst_modules *modules);
/* The region that holds the address, or the stack that is about to grow down to it; NULL. */
const struct pst_region *pst_modules_find(const struct pst_modules *modules, uint64_t address);
/* Separate debug information of an image that libdwfl has opened: a descriptor of the image's; -1.
 */
int pst_modules_debug(struct pst_modules *modules, struct pst_native_image *image,
                      Dwfl_Module *module);
/* Debug information of such an image, its own or separate; addresses as linked. NULL without. */
Dwarf *pst_modules_dwarf(struct pst_modules *modules, struct pst_native_image *image,
                         Dwfl_Module *module);
struct pst_native_image *pst_modules_image(const struct pst_modules *modules,
                                           const struct pst_region *region);

#endif
