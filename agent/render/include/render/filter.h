/* Which samples of a profile are wanted: by the name of their thread, by the frames of their stack.
 * Patterns are PCRE2 and are looked for in `NAME (FILE)`, FILE as the code object has it. */
#ifndef PST_RENDER_FILTER_H
#define PST_RENDER_FILTER_H

#include "base/error.h"
#include "profile/profile.h"

struct pst_filter;

struct pst_filter_options {
    const char *const *threads; /* shell patterns: a sample of any of these threads is kept */
    const char *const *include; /* a stack is kept when a frame matches any of these */
    const char *const *exclude; /* a stack is dropped when a frame matches any of these */
    size_t thread_count, include_count, exclude_count; /* 0: no such condition */
};

/* Texts must outlive it. 0; -EINVAL for a pattern that cannot be compiled, with the error filled;
 * -ENOMEM. *ret is NULL when no condition is given. */
int pst_filter_new(const struct pst_filter_options *options, struct pst_filter **ret,
                   struct pst_error *error);
struct pst_filter *pst_filter_free(struct pst_filter *filter);

/* A profile of the samples that are wanted, with the meta and the comments of the whole. A pattern
 * that runs into the limits of PCRE2 on some frame does not match it. 0, -ENOMEM. */
int pst_filter_apply(const struct pst_filter *filter, const struct pst_profile *profile,
                     struct pst_profile **ret);

#endif
