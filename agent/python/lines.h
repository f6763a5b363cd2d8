/* Line tables: four formats decoded once into sorted runs, answered by search. */
#ifndef PST_PYTHON_LINES_H
#define PST_PYTHON_LINES_H

#include <stddef.h>
#include <stdint.h>

#include "layout.h"

/* From this byte offset on (up to the next run) an instruction belongs to the line; 0: none. */
struct pst_line_run {
    uint32_t start;
    int32_t line;
};

struct pst_lines {
    struct pst_line_run *runs;
    uint32_t count;
    int32_t first_line;
};

/* Decodes a table. On failure (-ENOMEM, -EINVAL for a table that goes out of its bounds) the runs
 * decoded so far stay usable. Release with pst_lines_done. */
int pst_lines_decode(enum pst_lines_kind kind, int32_t first_line, const unsigned char *table,
                     size_t len, struct pst_lines *ret);
void pst_lines_done(struct pst_lines *lines);

/* What CPython answers for the instruction at this byte offset; offsets before the first
 * instruction answer first_line. */
int32_t pst_lines_find(const struct pst_lines *lines, int64_t offset);

#endif
