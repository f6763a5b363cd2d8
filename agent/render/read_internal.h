/* The readers behind pst_read. */
#ifndef PST_RENDER_READ_INTERNAL_H
#define PST_RENDER_READ_INTERNAL_H

#include "render/read.h"

int pst_read_folded(struct pst_str file, const struct pst_read_options *options,
                    struct pst_profile *into);
int pst_read_speedscope(struct pst_str file, struct pst_profile *into);

/* A location from name, file and line as other formats have them. */
int pst_read_location(struct pst_profile *into, struct pst_str name, struct pst_str file,
                      int64_t line, uint32_t *ret);

#endif
