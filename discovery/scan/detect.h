/* Is there a CPython runtime in this process, where, which, and is it up? */
#ifndef PST_SCAN_DETECT_H
#define PST_SCAN_DETECT_H

#include "elf_cache.h"
#include "scan/facts.h"

struct pst_detected {
    struct pst_runtime runtime;
    struct pst_runtime second; /* another one that is up in the same process; hexversion 0: none */
    struct pst_runtime
        waiting;            /* one that is mapped and not up beside another; hexversion 0: none */
    bool unsettled;         /* an image may carry one, which no address tells of before it is up */
    struct pst_image image; /* its path is a view of the maps text */
    bool debug_build;
    bool up;     /* an interpreter is in the runtime's list */
    int refused; /* 0, or the -errno with which memory was refused */
};

/* 0, or -ENOENT when no mapped image carries a runtime. */
int pst_detect(struct pst_elf_cache *cache, pid_t pid, struct pst_memory *memory,
               struct pst_str maps, struct pst_detected *ret);
/* Whether it is known where the interpreter list begins. Where no symbol tells (stripped images
 * before 3.7) that is found only once an interpreter is up. */
bool pst_detect_located(const struct pst_runtime *runtime);
/* Looks again whether an interpreter is up. 1 up, 0 not yet or not located, -errno. */
int pst_detect_up(struct pst_memory *memory, const struct pst_runtime *runtime);

/* Version out of "3.8.18 (default, ...": the text that Py_GetVersion leaves in memory. False when
 * the bytes are not that. */
bool pst_version_parse(struct pst_str text, uint32_t *ret_hexversion);
/* Version out of a file name such as libpython3.8.so.1.0 or python3.8: x.y, with micro 0. */
bool pst_version_from_name(struct pst_str name, uint32_t *ret_hexversion);
/* First such text in bytes that follows a NUL or stands first. */
bool pst_version_search(struct pst_str bytes, uint32_t *ret_hexversion);

#endif
