/* Text of /proc/PID/maps, and the files mapped in it. The text is the target's: paths may hold
 * anything, ranges may lie. Nothing is concluded from the order of lines. */
#ifndef PST_TARGET_MAPS_H
#define PST_TARGET_MAPS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

struct pst_mapping {
    uint64_t start, end, offset, inode;
    uint32_t major, minor;
    bool readable, writable, executable;
    struct pst_str path; /* as printed: newline as \012, " (deleted)" cut off; empty: anonymous */
    bool deleted;
};

/* The next well-formed line; others are skipped. *rest is moved behind it. */
bool pst_maps_next(struct pst_str *rest, struct pst_mapping *ret);
/* Reads the text of a process, at most PST_MAX_MAPS_BYTES; a longer one is cut at a line's end.
 * -EPERM or -EACCES when refused, -ESRCH gone. A process without memory (zombie, kernel thread)
 * gives an empty text. */
int pst_maps_read(pid_t pid, struct pst_buf *out);

/* One mapped file. */
struct pst_image {
    uint64_t inode;
    uint32_t major, minor;
    uint64_t start; /* of its lowest mapping */
    uint64_t bytes; /* sum over its mappings */
    bool executable, writable, deleted;
    struct pst_str path; /* view of the maps text */
};

/* Collects the files that could be ELF images in use: at least min_bytes mapped, some of it
 * writable or executable. At most size of them, in the order of the text. Returns how many. */
size_t pst_maps_images(struct pst_str text, uint64_t min_bytes, struct pst_image *dst, size_t size);
/* The mapping that holds the address; false when none does. */
bool pst_maps_find(struct pst_str text, uint64_t address, struct pst_mapping *ret);
bool pst_mapping_of(const struct pst_mapping *mapping, const struct pst_image *image);

/* The path with \012 turned into a newline, NUL-terminated. -ENAMETOOLONG, or -EINVAL for a NUL
 * inside or an empty one. */
int pst_maps_path(struct pst_str path, char *dst, size_t size);

#endif
