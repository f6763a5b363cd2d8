/* Strings and bytes of the target as UTF-8 and bytes of ours. */
#ifndef PST_PYTHON_TEXT_H
#define PST_PYTHON_TEXT_H

#include "base/buf.h"
#include "layout.h"

/* Decodes the str at address into buf (which is reset first), cut at PST_MAX_STRING_BYTES on a
 * character's border; surrogates become U+FFFD. -EFAULT unreadable, -EINVAL not a str. */
int pst_text_read(struct pst_memory *memory, const struct pst_layout *layout, uint64_t address,
                  struct pst_buf *buf);

/* The same before 3.3, as pst_text_read does it: bytes that are no UTF-8 become U+FFFD. */
int pst_text_read_old(struct pst_memory *memory, const struct pst_layout *layout, uint64_t address,
                      struct pst_buf *buf);

/* UTF-8 out of code units of 1 (latin-1), 2 or 4 bytes. Never more than PST_MAX_STRING_BYTES. */
int pst_text_encode(const unsigned char *units, size_t count, unsigned width, struct pst_buf *buf);

/* Where the code units of a str lie and how wide they are, out of its first text_ascii bytes.
 * -EINVAL when it cannot be one. */
struct pst_text_shape {
    uint32_t data; /* offset of the units in the object, 0: behind a pointer */
    unsigned width;
};
int pst_text_shape(const struct pst_layout *layout, const unsigned char *head,
                   struct pst_text_shape *ret);

/* Reads a bytes object of at most max_bytes into buf (reset first). */
int pst_bytes_read(struct pst_memory *memory, const struct pst_layout *layout, uint64_t address,
                   size_t max_bytes, struct pst_buf *buf);

#endif
