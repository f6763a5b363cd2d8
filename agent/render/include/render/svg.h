/* The flame graph: one self-contained SVG of our own, with zoom, search, both orientations, light
 * and dark by the reader's preference; readable without its script too. */
#ifndef PST_RENDER_SVG_H
#define PST_RENDER_SVG_H

#include "base/buf.h"
#include "render/tree.h"

struct pst_svg_options {
    const char *title;    /* NULL: none; any text, it is escaped */
    const char *subtitle; /* NULL: none */
    bool flame;           /* root at the bottom; else icicle, root at the top */
    bool difference;      /* widths of side 1, coloured by its growth (red) or shrinkage (blue) */
    bool fragment;        /* no XML prolog: for embedding in HTML */
};

/* Appends it. 0, -ENOMEM, -EFBIG. An empty tree gives a valid picture that says so. */
int pst_svg_write(const struct pst_tree *tree, const struct pst_svg_options *options,
                  struct pst_buf *out);

#endif
