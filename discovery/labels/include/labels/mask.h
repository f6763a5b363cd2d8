/* Hides secrets in other people's text before it is shown, logged or labelled: user info of URLs,
 * and values of flags and variables whose name holds password, token, secret, key or dsn. */
#ifndef PST_LABELS_MASK_H
#define PST_LABELS_MASK_H

#include "base/buf.h"

/* True when a value of this name is a secret. */
bool pst_mask_is_secret(struct pst_str name);
/* Appends the text with secrets replaced by "***". 0, -ENOMEM, -EFBIG. */
int pst_mask_text(struct pst_str text, struct pst_buf *out);
/* Appends arguments (each followed by NUL), masked and joined by blanks. The value of a secret flag
 * may be an argument of its own. */
int pst_mask_arguments(struct pst_str argv, struct pst_buf *out);

#endif
