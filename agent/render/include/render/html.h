/* One self-contained page: numbers, flame graph, table of functions. No outside request. */
#ifndef PST_RENDER_HTML_H
#define PST_RENDER_HTML_H

#include "render/format.h"

/* 0, -ENOMEM, -EFBIG, -EINVAL when options->old has another mode. */
int pst_html_write(const struct pst_profile *profile, const struct pst_render_options *options,
                   struct pst_buf *out);

#endif
