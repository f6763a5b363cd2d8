/* Bounded gunzip of bytes from outside. */
#ifndef PST_PROFILE_INFLATE_H
#define PST_PROFILE_INFLATE_H

#include "base/buf.h"

bool pst_gzip_sniff(struct pst_str data);
/* Appends the content of one or more gzip members. 0, -ENOMEM, -EBADMSG, or -EFBIG past out->max.
 */
int pst_gunzip(struct pst_str data, struct pst_buf *out);

#endif
