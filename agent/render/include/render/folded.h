/* Folded stacks, one line each: `root;...;leaf N`, sorted, as flame graph tools read them. */
#ifndef PST_RENDER_FOLDED_H
#define PST_RENDER_FOLDED_H

#include "base/buf.h"
#include "render/tree.h"

/* N is the sample count, or microseconds when the tree weighs time. 0, -ENOMEM, -EFBIG. */
int pst_folded_write(const struct pst_tree *tree, struct pst_buf *out);

#endif
