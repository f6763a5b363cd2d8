/* One value on its way from the target's memory to text: the reads behind it, the text so far, and
 * the kinds of object, a file each. */
#ifndef PST_PYTHON_SHOW_H
#define PST_PYTHON_SHOW_H

#include "base/buf.h"
#include "internal.h"
#include "python/values.h"
#include "trail.h"

enum { PST_TYPE_NAME_BYTES = 64 };

struct pst_show {
    const struct pst_layout *layout;
    struct pst_trail *trail;
    const struct pst_py_value_options *options;
    struct pst_buf text; /* UTF-8 */
    size_t chars;
    unsigned depth;
    bool full;   /* longer than asked for, or a bound was reached: it ends here */
    bool failed; /* something could not be read, or cannot be what it says */
};

/* show_write.c: the text. Past options->chars nothing is added. */
void pst_show_begin(struct pst_show *value);
void pst_show_ascii(struct pst_show *value, const char *text);
/* A character as Python writes it in a str literal between these quotes (0: no literal). */
void pst_show_char(struct pst_show *value, uint32_t c, char quote);
/* Text that the target chose, control characters escaped. */
void pst_show_name(struct pst_show *value, const char *text);
/* Cuts what is too long: the last characters become "...". */
void pst_show_end(struct pst_show *value);

/* show.c */
/* Reads through the trail; NULL marks the value failed or full. */
const unsigned char *pst_show_read(struct pst_show *value, uint64_t address, size_t len);
/* An 8-byte word; 0 also when it cannot be read. */
uint64_t pst_show_word(struct pst_show *value, uint64_t address);
struct pst_show_type {
    uint64_t flags;
    bool builtin;
    char name[PST_TYPE_NAME_BYTES]; /* tp_name, cut */
};
/* Of an object; or out of the type object itself. */
bool pst_show_type(struct pst_show *value, uint64_t object, struct pst_show_type *ret);
bool pst_show_type_at(struct pst_show *value, uint64_t type, struct pst_show_type *ret);
/* Writes the object at this address. */
void pst_show_object(struct pst_show *value, uint64_t address);
/* The object in a frame's slot or another reference, which may carry tags. */
void pst_show_reference(struct pst_show *value, uint64_t reference);
uint64_t pst_show_untagged(const struct pst_show *value, uint64_t reference);

/* show_number.c, show_text.c, show_items.c, show_dict.c, show_numpy.c */
void pst_show_int(struct pst_show *value, uint64_t address);
void pst_show_machine_int(struct pst_show *value, uint64_t address); /* 2.x */
void pst_show_long(struct pst_show *value, uint64_t address);        /* 2.x */
void pst_show_bool(struct pst_show *value, uint64_t address);
void pst_show_float(struct pst_show *value, uint64_t address);
void pst_show_double(struct pst_show *value, double number);
void pst_show_str(struct pst_show *value, uint64_t address);
void pst_show_unicode(struct pst_show *value, uint64_t address); /* 2.x */
/* The code units of a str. False marks the value. */
struct pst_show_units {
    uint64_t data, length;
    unsigned width;
};
bool pst_show_units(struct pst_show *value, uint64_t address, struct pst_show_units *ret);
void pst_show_bytes(struct pst_show *value, uint64_t address);
void pst_show_list(struct pst_show *value, uint64_t address);
void pst_show_tuple(struct pst_show *value, uint64_t address);
void pst_show_set(struct pst_show *value, uint64_t address, bool frozen);
void pst_show_dict(struct pst_show *value, uint64_t address);
/* False when the type is none of numpy's that are known. */
bool pst_show_numpy(struct pst_show *value, uint64_t address, const struct pst_show_type *type);

#endif
