/* A profile as a file of some format: names, endings, and the one call that writes any of them.
 * otlp is named here and written by whoever links the exporter. */
#ifndef PST_RENDER_FORMAT_H
#define PST_RENDER_FORMAT_H

#include "base/buf.h"
#include "render/tree.h"

enum pst_format {
    PST_FORMAT_FLAMEGRAPH,
    PST_FORMAT_HTML,
    PST_FORMAT_SPEEDSCOPE,
    PST_FORMAT_CHROMETRACE,
    PST_FORMAT_RAW,
    PST_FORMAT_PPROF,
    PST_FORMAT_OTLP,
    PST_FORMAT_COUNT
};

/* "flamegraph", "html", ... in any case; -EINVAL. */
int pst_format_parse(struct pst_str name, enum pst_format *ret);
const char *pst_format_name(enum pst_format format);
const char *pst_format_ending(enum pst_format format); /* ".svg" */
/* By the ending of a file name; an unknown one is a flamegraph. */
enum pst_format pst_format_of_file(struct pst_str path);

struct pst_render_options {
    const char *title;    /* NULL: "pystrobe" and the mode */
    const char *subtitle; /* NULL: made from totals and duration */
    unsigned frame_flags; /* PST_FRAME_FULL_FILES is implied where the format carries files */
    struct pst_frame_files files;
    enum pst_weight weight;
    bool processes, threads;
    bool apart; /* speedscope: threads of one process, without the sum of all before them */
    /* Command line of a process, for its root frame; false: unknown. May be NULL. */
    bool (*command)(const void *context, int64_t pid, struct pst_str *ret);
    int64_t (*parent)(const void *context, int64_t pid); /* as struct pst_tree_options has it */
    const void *command_context;
    bool flame;
    const struct pst_profile *old; /* a difference: flamegraph and html only. NULL: none */
};

/* Appends the file. 0, -ENOMEM, -EFBIG, -ENOTSUP for otlp and for chrometrace, which needs a time
 * line (render/chrometrace.h); -EINVAL when old has another mode. */
int pst_render(const struct pst_profile *profile, enum pst_format format,
               const struct pst_render_options *options, struct pst_buf *out);

#endif
