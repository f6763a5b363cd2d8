/* Chrome's trace events from stacks on a time line: begin and end events nested per thread, as
 * chrome://tracing, Perfetto and speedscope read them. Frames that stay on a thread's stack from
 * one stack to the next are one slice. */
#ifndef PST_RENDER_CHROMETRACE_H
#define PST_RENDER_CHROMETRACE_H

#include "base/buf.h"
#include "profile/profile.h"

struct pst_chrometrace;

/* Writes into out, which must outlive it; frames are of the profile. Of the enum pst_frame_flags
 * those about lines count. NULL when out of memory. */
struct pst_chrometrace *pst_chrometrace_new(const struct pst_profile *profile, unsigned frame_flags,
                                            struct pst_buf *out);
struct pst_chrometrace *pst_chrometrace_free(struct pst_chrometrace *trace);
/* The thread showed this stack (leaf first) from start_ns on for duration_ns. Per thread, starts
 * must not fall; a gap between two stacks closes what was open. depth 0 closes it too. 0, -ENOMEM,
 * -EFBIG, -ENOSPC past PST_MAX_THREADS threads. */
int pst_chrometrace_add(struct pst_chrometrace *trace, int64_t pid, int64_t tid,
                        struct pst_str thread_name, int64_t start_ns, int64_t duration_ns,
                        const uint32_t *locations, size_t depth);
/* Closes all slices and the file. */
int pst_chrometrace_finish(struct pst_chrometrace *trace);

/* Each thread's stacks at their time where the samples say it, else one after the other. */
int pst_chrometrace_write(const struct pst_profile *profile, unsigned frame_flags,
                          struct pst_buf *out);

#endif
