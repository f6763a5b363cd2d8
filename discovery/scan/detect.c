/* Detection: of the images that a process maps, the one that carries CPython's runtime, by symbol
 * or section; its address; its version; whether an interpreter is up. Where two images qualify
 * (an executable that exports a copy, and the library), the one that is up wins; where both are up,
 * the process has two. */
#include "detect.h"

#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "target/head_search.h"

enum {
    LEAST_IMAGE_BYTES = 524288, /* the smallest libpython has 2 MB; most libraries less than this */
    IMAGES_MAX = 512,
    LOADED_MAX = 16, /* runtimes looked at in one process */
    PAGE = 4096,
    BLOCK = 65536,
    OVERLAP = 64, /* longest version text that matters */
    COOKIE_BYTES = 8,
};

/* The first members of _Py_DebugOffsets (3.13+); only these have one place in all versions. */
struct offsets_head {
    char cookie[COOKIE_BYTES];
    uint64_t version, free_threaded;
    uint64_t runtime_size, finalizing, interpreters_head;
};

static const char cookie[COOKIE_BYTES] = {'x', 'd', 'e', 'b', 'u', 'g', 'p', 'y'};

static uint64_t page_floor(uint64_t address)
{
    return address & ~(uint64_t)(PAGE - 1);
}

static uint64_t state_address(const struct pst_elf *elf)
{
    if (elf->symbol[PST_ELF_RUNTIME])
        return elf->symbol[PST_ELF_RUNTIME];
    if (elf->section || elf->symbol[PST_ELF_TSTATE_CURRENT])
        return elf->section ? elf->section : elf->symbol[PST_ELF_TSTATE_CURRENT];
    for (size_t i = 0; i < elf->segment_count; i++) {
        const struct pst_elf_segment *segment = &elf->segment[i];
        if (segment->writable &&
            segment->file_bytes > 0) /* its start may be sealed by the loader */
            return segment->vaddr + segment->file_bytes - 1;
    }
    return 0;
}

/* A mapping of the file that begins where a segment begins tells the bias. The file may be mapped
 * in other ways too: the bias counts only when the state then lies in writable memory. */
static bool bias_fits(const struct pst_elf *elf, struct pst_str maps, uint64_t bias)
{
    struct pst_mapping mapping;
    uint64_t address;

    if (!elf->relocatable && bias != 0)
        return false;
    if (__builtin_add_overflow(state_address(elf), bias, &address))
        return false;
    return pst_maps_find(maps, address, &mapping) && mapping.writable;
}

static bool find_bias(const struct pst_elf *elf, const struct pst_image *image, struct pst_str maps,
                      uint64_t from, uint64_t *ret_bias)
{
    struct pst_mapping mapping;
    struct pst_str rest = maps;

    while (pst_maps_next(&rest, &mapping)) {
        if (!pst_mapping_of(&mapping, image))
            continue;
        for (size_t i = 0; i < elf->segment_count; i++) {
            uint64_t bias = mapping.start - page_floor(elf->segment[i].vaddr);
            if (page_floor(elf->segment[i].offset) == mapping.offset && bias >= from &&
                bias_fits(elf, maps, bias)) {
                *ret_bias = bias;
                return true;
            }
        }
    }
    return false;
}

static uint64_t moved(const struct pst_elf *elf, enum pst_elf_symbol symbol, uint64_t bias)
{
    return elf->symbol[symbol] ? elf->symbol[symbol] + bias : 0;
}

static bool plausible_version(uint64_t hexversion)
{
    uint64_t major = hexversion >> 24, minor = hexversion >> 16 & 0xff;

    return (major == 3 && minor < 64) || (major == 2 && minor == 7);
}

/* The text lies in .data or .bss and is there from Py_Initialize on. */
static uint32_t search_version(const struct pst_elf *elf, struct pst_memory *memory, uint64_t bias)
{
    static _Thread_local char block[BLOCK];
    uint32_t hexversion;
    uint64_t budget = PST_MAX_ELF_BYTES;

    pst_memory_budget(memory, PST_MAX_ELF_BYTES, PST_MAX_ELF_BYTES / 1024);
    for (size_t i = 0; i < elf->segment_count; i++) {
        const struct pst_elf_segment *segment = &elf->segment[i];
        if (!segment->writable)
            continue;
        for (uint64_t at = 0; at < segment->memory_bytes && at < budget; at += BLOCK - OVERLAP) {
            uint64_t left = segment->memory_bytes - at;
            size_t len = left < BLOCK ? (size_t)left : BLOCK;
            if (pst_memory_read(memory, segment->vaddr + bias + at, block, len) < 0)
                break;
            if (pst_version_search((struct pst_str){block, len}, &hexversion))
                return hexversion;
        }
    }
    return 0;
}

static uint32_t name_version(const struct pst_elf *elf, const struct pst_image *image)
{
    uint32_t hexversion;

    if (pst_version_from_name(pst_str(elf->soname), &hexversion) ||
        pst_version_from_name(pst_str_basename(image->path), &hexversion))
        return hexversion;
    return 0;
}

/* Version and free threading from the runtime itself (3.13+); false before. */
static bool read_offsets(struct pst_memory *memory, struct pst_runtime *runtime)
{
    struct offsets_head head;

    if (runtime->runtime == 0 ||
        pst_memory_read(memory, runtime->runtime, &head, sizeof(head)) < 0 ||
        memcmp(head.cookie, cookie, sizeof(cookie)) != 0 || !plausible_version(head.version))
        return false;
    runtime->hexversion = (uint32_t)head.version;
    runtime->free_threaded = head.free_threaded == 1;
    return true;
}

static void find_version(struct pst_elf_python *python, struct pst_memory *memory,
                         const struct pst_image *image, uint64_t bias, struct pst_runtime *runtime)
{
    const struct pst_elf *elf = &python->elf;
    uint32_t word = 0;

    if (read_offsets(memory, runtime))
        return;
    if (python->hexversion == 0 && elf->symbol[PST_ELF_VERSION] &&
        pst_memory_read(memory, elf->symbol[PST_ELF_VERSION] + bias, &word, sizeof(word)) == 0 &&
        plausible_version(word))
        python->hexversion = word;
    if (python->hexversion == 0)
        python->hexversion = search_version(elf, memory, bias);
    runtime->hexversion = python->hexversion ? python->hexversion : name_version(elf, image);
}

static int word_set(struct pst_memory *memory, uint64_t address)
{
    uint64_t word;

    int status = pst_memory_u64(memory, address, &word);
    return status < 0 ? status : pst_memory_plausible(word);
}

int pst_detect_up(struct pst_memory *memory, const struct pst_runtime *runtime)
{
    struct offsets_head head;
    const struct pst_head_links *links = pst_head_links(runtime->hexversion);
    uint64_t offset = links ? links->runtime_head : 0;

    pst_memory_budget(memory, PST_MAX_SAMPLE_BYTES, PST_MAX_SAMPLE_READS);
    if (runtime->runtime == 0)
        return runtime->interp_head ? word_set(memory, runtime->interp_head) : 0;
    if (offset == 0) {
        int status = pst_memory_read(memory, runtime->runtime, &head, sizeof(head));
        if (status < 0)
            return status;
        if (memcmp(head.cookie, cookie, sizeof(cookie)) != 0 ||
            head.runtime_size > PST_MAX_IMAGE_BYTES || head.interpreters_head >= head.runtime_size)
            return 0;
        offset = head.interpreters_head;
    }
    return word_set(memory, runtime->runtime + offset);
}

bool pst_detect_located(const struct pst_runtime *runtime)
{
    return runtime->runtime != 0 || runtime->interp_head != 0;
}

/* Where the symbol was stripped. What one process showed holds for all that map the file. */
static void find_head(struct pst_elf_python *python, struct pst_memory *memory, struct pst_str maps,
                      uint64_t bias, struct pst_runtime *runtime)
{
    const struct pst_head_links *links = pst_head_links(runtime->hexversion);
    uint64_t head;

    if (pst_detect_located(runtime) || !links ||
        pst_head_search(memory, &python->elf, bias, maps, links, runtime->tstate_current, &head) <
            0)
        return;
    if (links->runtime_head) {
        runtime->runtime = head - links->runtime_head;
        return;
    }
    runtime->interp_head = head;
    python->elf.symbol[PST_ELF_INTERP_HEAD] = head - bias;
}

static void resolve(struct pst_elf_python *python, struct pst_memory *memory,
                    const struct pst_image *image, struct pst_str maps, uint64_t bias,
                    struct pst_detected *ret)
{
    const struct pst_elf *elf = &python->elf;
    struct pst_detected found = {.image = *image};
    struct pst_runtime *runtime = &found.runtime;

    bool modern = elf->symbol[PST_ELF_RUNTIME] || elf->section;
    if (modern)
        runtime->runtime = state_address(elf) + bias;
    runtime->interp_head = modern ? 0 : moved(elf, PST_ELF_INTERP_HEAD, bias);
    runtime->tstate_current = modern ? 0 : moved(elf, PST_ELF_TSTATE_CURRENT, bias);
    runtime->code_type = moved(elf, PST_ELF_CODE_TYPE, bias);
    runtime->unicode_type = moved(elf, PST_ELF_UNICODE_TYPE, bias);
    if (elf->symbol[PST_ELF_UCS2] || elf->symbol[PST_ELF_UCS4])
        runtime->unicode_width = elf->symbol[PST_ELF_UCS2] ? 2 : 4;
    runtime->image_start = page_floor(elf->segment[0].vaddr) + bias;
    found.debug_build = elf->symbol[PST_ELF_REF_DEBUG] != 0;
    find_version(python, memory, image, bias, runtime);
    find_head(python, memory, maps, bias, runtime);
    int up = pst_detect_up(memory, runtime);
    found.up = up > 0;
    found.refused = up == -EPERM || up == -EACCES ? up : 0;
    *ret = found;
}

static void wait_for(const struct pst_runtime *runtime, struct pst_detected *ret)
{
    if (!pst_detect_located(runtime))
        ret->unsettled = true;
    else if (ret->waiting.hexversion == 0)
        ret->waiting = *runtime;
}

/* A runtime is the process's own, or, when that one is up, its second. */
static void take(const struct pst_detected *found, bool any, struct pst_detected *ret)
{
    struct pst_detected before = *ret;

    if (!any || (found->up && !ret->up)) {
        *ret = *found;
        ret->waiting = before.waiting;
        ret->unsettled = before.unsettled;
        if (any)
            wait_for(&before.runtime, ret);
    } else if (!found->up) {
        wait_for(&found->runtime, ret);
    } else if (ret->second.hexversion == 0 && found->runtime.runtime != ret->runtime.runtime) {
        ret->second = found->runtime;
    }
}

int pst_detect(struct pst_elf_cache *cache, pid_t pid, struct pst_memory *memory,
               struct pst_str maps, struct pst_detected *ret)
{
    static _Thread_local struct pst_image images[IMAGES_MAX];
    struct pst_elf_python *python;
    struct pst_detected found;
    unsigned loaded = 0;
    bool any = false;
    uint64_t bias;

    *ret = (struct pst_detected){0};
    size_t count = pst_maps_images(maps, LEAST_IMAGE_BYTES, images, IMAGES_MAX);
    for (size_t i = 0; i < count; i++) {
        if (pst_elf_cache_get(cache, pid, memory, &images[i], &python) < 0)
            continue;
        /* A library may be loaded more than once (dlmopen): each time at its own bias. */
        for (uint64_t from = 0;
             find_bias(&python->elf, &images[i], maps, from, &bias) && loaded < LOADED_MAX;
             from = bias + 1, loaded++) {
            resolve(python, memory, &images[i], maps, bias, &found);
            /* Texts alone may be a program that only speaks of Python. */
            if (python->elf.hinted && !found.up) {
                ret->unsettled = true;
                continue;
            }
            take(&found, any, ret);
            any = true;
        }
    }
    return any ? 0 : -ENOENT;
}
