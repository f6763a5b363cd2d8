/* Maps text to regions and images, images to modules of libdwfl, which opens them when it needs
 * them. */
#include "modules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"
#include "target/core.h"

static const uint64_t refresh_ns = 10 * PST_NS_PER_MS;

/* --- libdwfl asks --- */

static int find_elf(Dwfl_Module *module, void **userdata, const char *name, Dwarf_Addr base,
                    char **file_name, Elf **elf)
{
    struct pst_modules *modules;
    struct pst_native_image *image = *userdata;

    (void)module, (void)name, (void)base;
    if (!image)
        return -1;
    modules = (struct pst_modules *)(void *)image->owner;
    *elf = pst_image_open(image, modules->pid, modules->memory, modules->elves);
    image->given = *elf != NULL;
    if (*elf && image->path)
        *file_name = strdup(image->path);
    return -1;
}

/* Debug information is not libdwfl's, which would unpack it for each process: see
 * pst_modules_dwarf. */
static int find_debuginfo(Dwfl_Module *module, void **userdata, const char *name, Dwarf_Addr base,
                          const char *file_name, const char *link, GElf_Word crc, char **debug_name)
{
    (void)module, (void)userdata, (void)name, (void)base;
    (void)file_name, (void)link, (void)crc, (void)debug_name;
    return -1;
}

int pst_modules_debug(struct pst_modules *modules, struct pst_native_image *image,
                      Dwfl_Module *module)
{
    const unsigned char *id;
    GElf_Addr where;

    if (image->no_dwarf)
        return -1;
    int len = dwfl_module_build_id(module, &id, &where);
    pst_image_build_text(id, len > 0 ? (size_t)len : 0, image->build_id);
    return pst_image_debug(image, modules->pid, modules->elves);
}

Dwarf *pst_modules_dwarf(struct pst_modules *modules, struct pst_native_image *image,
                         Dwfl_Module *module)
{
    Dwarf *own = image->opened ? pst_elves_dwarf(modules->elves, image->opened) : NULL;

    if (own || pst_modules_debug(modules, image, module) < 0)
        return own;
    return pst_elves_dwarf(modules->elves, image->debug_opened);
}

static const Dwfl_Callbacks callbacks = {.find_elf = find_elf, .find_debuginfo = find_debuginfo};

/* --- what is mapped --- */

void pst_modules_init(struct pst_modules *modules, pid_t pid, struct pst_memory *memory,
                      const struct pst_runtime *runtime, struct pst_elves *elves)
{
    *modules = (struct pst_modules){.pid = pst_memory_core(memory) ? getpid() : pid,
                                    .memory = memory,
                                    .elves = elves,
                                    .python_start = runtime->image_start};
}

static void forget(struct pst_modules *modules)
{
    if (modules->dwfl)
        dwfl_end(modules->dwfl); /* ends every Elf that it was given */
    modules->dwfl = NULL;
    for (size_t i = 0; i < modules->image_count; i++)
        pst_image_done(&modules->images[i], modules->elves);
    modules->image_count = modules->region_count = 0;
}

void pst_modules_done(struct pst_modules *modules)
{
    forget(modules);
    free(modules->images);
    free(modules->regions);
}

/* The newest image, when the mapping goes on with it. */
static struct pst_native_image *continued(struct pst_modules *modules,
                                          const struct pst_mapping *mapping)
{
    struct pst_native_image *last =
        modules->image_count ? &modules->images[modules->image_count - 1] : NULL;

    if (!last || !last->has_file || !pst_mapping_of(mapping, &last->file) || mapping->offset == 0 ||
        last->region_count == PST_IMAGE_REGIONS)
        return NULL;
    return last;
}

static struct pst_native_image *grow_images(struct pst_modules *modules)
{
    if (modules->image_count == PST_MAX_NATIVE_IMAGES)
        return NULL;
    if (modules->image_count == modules->image_cap) {
        size_t cap = modules->image_cap ? modules->image_cap * 2 : 32;
        struct pst_native_image *images = realloc(modules->images, cap * sizeof(*images));
        if (!images)
            return NULL;
        modules->images = images;
        modules->image_cap = cap;
    }
    return &modules->images[modules->image_count];
}

static char *path_of(const struct pst_mapping *mapping)
{
    char *path = malloc(mapping->path.len + 1);

    if (path && pst_maps_path(mapping->path, path, mapping->path.len + 1) < 0)
        path[0] = 0;
    return path;
}

static struct pst_native_image *new_image(struct pst_modules *modules,
                                          const struct pst_mapping *mapping)
{
    struct pst_native_image *image = grow_images(modules);

    if (!image)
        return NULL;
    *image = (struct pst_native_image){
        .file = {.inode = mapping->inode,
                 .major = mapping->major,
                 .minor = mapping->minor,
                 .deleted = mapping->deleted},
        .path = path_of(mapping),
        .start = mapping->start - mapping->offset,
        .has_file = mapping->inode != 0,
        .fd = -1,
        .debug_fd = -1,
        .owner = modules,
    };
    if (!image->path)
        return NULL;
    image->file.path = pst_str(image->path);
    image->python = modules->python_start == image->start && image->start != 0;
    modules->image_count++;
    return image;
}

static struct pst_native_image *image_of(struct pst_modules *modules,
                                         const struct pst_mapping *mapping)
{
    bool vdso = pst_str_eq(mapping->path, PST_STR("[vdso]"));

    if (!vdso && (mapping->inode == 0 || mapping->path.len == 0 || mapping->path.ptr[0] != '/'))
        return NULL;
    struct pst_native_image *image = continued(modules, mapping);
    if (!image)
        image = new_image(modules, mapping);
    if (!image)
        return NULL;
    size_t at = image->region_count++;
    image->region[at].start = mapping->start;
    image->region[at].end = mapping->end;
    image->region[at].offset = mapping->offset;
    image->region[at].readable = mapping->readable;
    image->has_code |= mapping->executable;
    image->end = mapping->end;
    return image;
}

static int add_region(struct pst_modules *modules, const struct pst_mapping *mapping)
{
    if (modules->region_count == PST_MAX_NATIVE_REGIONS)
        return -ENOSPC;
    if (modules->region_count == modules->region_cap) {
        size_t cap = modules->region_cap ? modules->region_cap * 2 : 256;
        struct pst_region *regions = realloc(modules->regions, cap * sizeof(*regions));
        if (!regions)
            return -ENOMEM;
        modules->regions = regions;
        modules->region_cap = cap;
    }
    /* Nothing is concluded from the order of lines, but a search needs one. */
    if (modules->region_count > 0 &&
        mapping->start < modules->regions[modules->region_count - 1].end)
        return -EBADMSG;
    struct pst_native_image *image = image_of(modules, mapping);
    modules->regions[modules->region_count++] = (struct pst_region){
        .start = mapping->start,
        .end = mapping->end,
        .readable = mapping->readable,
        .executable = mapping->executable,
        .stack = pst_str_eq(mapping->path, PST_STR("[stack]")),
        .image = image ? (uint32_t)(image - modules->images) : PST_NO_IMAGE,
    };
    return 0;
}

/* --- libdwfl's modules --- */

/* Part of a file mapped a second time, as libffi does with the page of its trampolines: where the
 * file would begin lies under somebody else, whose code libdwfl would then take for this file's. */
static bool overlaid(const struct pst_modules *modules, const struct pst_native_image *image)
{
    uint64_t mapped = image->region[0].start;

    for (size_t i = 0; i < modules->region_count; i++) {
        const struct pst_region *region = &modules->regions[i];
        if (region->start >= mapped)
            return false;
        if (region->end > image->start && region->image != PST_NO_IMAGE)
            return true;
    }
    return false;
}

static int report(struct pst_modules *modules)
{
    modules->dwfl = dwfl_begin(&callbacks);
    if (!modules->dwfl)
        return -ENOMEM;
    dwfl_report_begin(modules->dwfl);
    for (size_t i = 0; i < modules->image_count; i++) {
        struct pst_native_image *image = &modules->images[i];
        void **userdata;
        if (!image->has_code || overlaid(modules, image))
            continue;
        Dwfl_Module *module =
            dwfl_report_module(modules->dwfl, image->path, image->start, image->end);
        if (module && dwfl_module_info(module, &userdata, NULL, NULL, NULL, NULL, NULL, NULL))
            *userdata = image;
    }
    return dwfl_report_end(modules->dwfl, NULL, NULL) == 0 ? 0 : -EINVAL;
}

static int load(struct pst_modules *modules, struct pst_str text)
{
    struct pst_mapping mapping;
    int status = 0;

    forget(modules);
    modules->epoch++;
    while (status == 0 && pst_maps_next(&text, &mapping))
        status = add_region(modules, &mapping);
    return status == -ENOMEM ? status : report(modules);
}

/* Whether every file with code is still where it was. */
static bool same_images(const struct pst_modules *modules, struct pst_str text)
{
    struct pst_mapping mapping;
    size_t code = 0, known = 0;

    for (size_t i = 0; i < modules->region_count; i++)
        known += modules->regions[i].executable && modules->regions[i].image != PST_NO_IMAGE;
    while (pst_maps_next(&text, &mapping)) {
        if (!mapping.executable || mapping.path.len == 0)
            continue;
        const struct pst_region *region = pst_modules_find(modules, mapping.start);
        bool file = mapping.path.ptr[0] == '/' || pst_str_eq(mapping.path, PST_STR("[vdso]"));
        if (!file)
            continue;
        code++;
        if (!region || region->start != mapping.start || region->end != mapping.end ||
            region->image == PST_NO_IMAGE ||
            !pst_mapping_of(&mapping, &modules->images[region->image].file))
            return false;
    }
    return code == known;
}

/* The same images at the same places: only the other mappings are taken anew. */
static int reload_regions(struct pst_modules *modules, struct pst_str text)
{
    struct pst_mapping mapping;
    size_t at = 0;
    struct pst_region *old = modules->regions;
    size_t old_count = modules->region_count;
    struct pst_modules kept = {.regions = old, .region_count = old_count};

    modules->regions = NULL;
    modules->region_count = modules->region_cap = 0;
    while (pst_maps_next(&text, &mapping) && at++ < PST_MAX_NATIVE_REGIONS) {
        const struct pst_region *before = pst_modules_find(&kept, mapping.start);
        struct pst_mapping plain = mapping;
        plain.inode = 0; /* no image is made of it */
        if (pst_str_eq(mapping.path, PST_STR("[vdso]")))
            plain.path = PST_STR("");
        if (add_region(modules, &plain) < 0)
            break;
        if (before && before->start == mapping.start)
            modules->regions[modules->region_count - 1].image = before->image;
    }
    free(old);
    return 0;
}

int pst_modules_refresh(struct pst_modules *modules)
{
    uint64_t now = pst_clock_monotonic_ns();
    struct pst_buf text;

    if (modules->dwfl && now - modules->loaded_ns < refresh_ns)
        return -EAGAIN;
    modules->loaded_ns = now;
    pst_buf_init(&text, PST_MAX_MAPS_BYTES);
    struct pst_core *core = pst_memory_core(modules->memory);
    int status = core ? pst_core_maps(core, &text) : pst_maps_read(modules->pid, &text);
    if (status == 0)
        status = modules->dwfl && same_images(modules, pst_buf_view(&text))
                     ? reload_regions(modules, pst_buf_view(&text))
                     : load(modules, pst_buf_view(&text));
    pst_buf_done(&text);
    return status;
}

const struct pst_region *pst_modules_find(const struct pst_modules *modules, uint64_t address)
{
    size_t low = 0, high = modules->region_count;

    while (low < high) { /* the first that ends behind it */
        size_t middle = low + (high - low) / 2;
        if (modules->regions[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == modules->region_count)
        return NULL;
    const struct pst_region *region = &modules->regions[low];
    return address >= region->start || region->stack ? region : NULL;
}

struct pst_native_image *pst_modules_image(const struct pst_modules *modules,
                                           const struct pst_region *region)
{
    return region && region->image != PST_NO_IMAGE ? &modules->images[region->image] : NULL;
}
