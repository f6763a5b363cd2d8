/* Functions by the time spent in them: the table of summary, page and HTML. */
#ifndef PST_RENDER_TOP_H
#define PST_RENDER_TOP_H

#include "profile/profile.h"

struct pst_top_row {
    struct pst_str name, file;    /* views into the profile; file is empty for bracketed frames */
    int64_t start_line, hot_line; /* hot_line: where most of the own (else total) time was */
    int64_t self_ns, total_ns;    /* a function counts once per stack, however often it recurs */
    int64_t self_samples, total_samples;
};

struct pst_top {
    struct pst_top_row *rows; /* own time first, then total, then name */
    size_t count;
    int64_t total_ns, total_samples;
};

/* 0 or -ENOMEM. The profile must outlive the table. */
int pst_top_new(const struct pst_profile *profile, struct pst_top **ret);
struct pst_top *pst_top_free(struct pst_top *top);

#endif
