/* What changed between two profiles: functions by the change of their share of own time, both
 * scaled to equal totals. */
#ifndef PST_RENDER_CHANGES_H
#define PST_RENDER_CHANGES_H

#include "base/buf.h"
#include "profile/profile.h"

struct pst_change {
    struct pst_str name, file; /* views into the profiles */
    int64_t line;              /* first line of the function, else where its time was */
    double before, after;      /* shares of all own time, 0..1 */
};

struct pst_changes {
    struct pst_change *items; /* largest change first */
    size_t count;
};

/* 0 or -ENOMEM. Both profiles must outlive the table. */
int pst_changes_new(const struct pst_profile *old, const struct pst_profile *new_profile,
                    struct pst_changes **ret);
struct pst_changes *pst_changes_free(struct pst_changes *changes);

/* Appends one line each for the largest changes, at most limit. 0, -ENOMEM, -EFBIG. */
int pst_changes_write(const struct pst_profile *old, const struct pst_profile *new_profile,
                      size_t limit, struct pst_buf *out);

#endif
