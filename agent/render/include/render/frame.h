/* What a frame is called: `NAME (FILE:LINE)`, the same in every output. */
#ifndef PST_RENDER_FRAME_H
#define PST_RENDER_FRAME_H

#include "base/buf.h"
#include "profile/profile.h"

enum pst_frame_flags {
    PST_FRAME_FULL_FILES = 1u << 0, /* file names as the code object has them */
    PST_FRAME_NO_LINES = 1u << 1,   /* `NAME (FILE)` */
    PST_FRAME_FUNCTIONS = 1u << 2,  /* first line of the function instead of the current one */
};

/* The end of a path that people recognise: behind site-packages or the standard library's folder,
 * else the last folder and the file. A view into path. */
struct pst_str pst_frame_short_file(struct pst_str path);

/* Somebody who can look at the files themselves, asked for those outside of such folders; false
 * where the path alone has to do. */
struct pst_frame_files {
    bool (*find)(void *context, struct pst_str path, struct pst_str *ret);
    void *context;
};
/* files may be NULL. A view into path. */
struct pst_str pst_frame_file(const struct pst_frame_files *files, struct pst_str path);

/* Appends the label of a location. 0, -ENOMEM, -EFBIG. */
int pst_frame_label(const struct pst_profile *profile, uint32_t location, unsigned flags,
                    const struct pst_frame_files *files, struct pst_buf *out);
/* Appends a thread's root, `thread (TID): NAME`, as far as known (tid 0 and an empty name are not).
 */
int pst_frame_thread(int64_t tid, struct pst_str name, struct pst_buf *out);

#endif
