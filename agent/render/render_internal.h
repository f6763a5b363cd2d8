/* Shared by the formats that draw: the tree and the words of a profile under the same options. */
#ifndef PST_RENDER_INTERNAL_H
#define PST_RENDER_INTERNAL_H

#include "render/format.h"

/* A finished tree of the profile (side 1) against options->old (side 0), or of it alone (side 0).
 * -EINVAL when the modes differ. */
int pst_render_tree(const struct pst_profile *profile, const struct pst_render_options *options,
                    unsigned frame_flags, enum pst_weight weight, struct pst_tree **ret);
/* Title and subtitle as given or made from the profile. */
int pst_render_title(const struct pst_profile *profile, const struct pst_render_options *options,
                     struct pst_buf *out);
int pst_render_subtitle(const struct pst_profile *profile, const struct pst_render_options *options,
                        struct pst_buf *out);

#endif
