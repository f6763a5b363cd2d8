/* The package that a file belongs to, for colours. */
#ifndef PST_RENDER_FRAME_PACKAGE_H
#define PST_RENDER_FRAME_PACKAGE_H

#include "base/str.h"

/* First part of the short file name: a view into path, empty for an empty path. */
struct pst_str pst_frame_package(struct pst_str path);

#endif
