/* Windows of single targets become one item per label set and mode: workers of one service share
 * a profile. A window that is alone in its series passes through as it came. One thread. */
#ifndef PST_PIPELINE_MERGE_H
#define PST_PIPELINE_MERGE_H

#include "profile/item.h"

struct pst_merge;

/* Called for each finished item; the reference is the callee's to keep (ref) or leave. */
struct pst_merge *pst_merge_new(void (*item)(void *context, struct pst_item *item), void *context);
struct pst_merge *pst_merge_free(struct pst_merge *merge);

/* One mode of one target's window: gzip pprof, copied. labels are the target's series labels. 0,
 * -ENOMEM, -EBADMSG when the body is no profile of that mode. */
int pst_merge_add(struct pst_merge *merge, const struct pst_labels *labels,
                  const struct pst_profile_meta *meta, int64_t samples, int64_t value_ns,
                  const void *body, size_t body_bytes);
/* Emits what was added since the last call. */
void pst_merge_flush(struct pst_merge *merge);
/* Label sets seen so far; past PST_MAX_LABEL_SETS new ones share {service_name="[overflow]"}. */
size_t pst_merge_series(const struct pst_merge *merge);

#endif
