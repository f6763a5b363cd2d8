/* Windows of targets whose labels are not all there yet: kept, bounded, until they are. One thread.
 */
#ifndef PST_PIPELINE_HOLD_H
#define PST_PIPELINE_HOLD_H

#include "pipeline/merge.h"

struct pst_hold;

struct pst_hold *pst_hold_new(void);
struct pst_hold *pst_hold_free(struct pst_hold *hold);

/* Copies the body. 0, -ENOMEM, -ENOSPC past PST_MAX_HELD_BYTES: then it goes without waiting. */
int pst_hold_add(struct pst_hold *hold, uint64_t target, const struct pst_profile_meta *meta,
                 int64_t samples, int64_t value_ns, const void *body, size_t body_bytes);
size_t pst_hold_count(const struct pst_hold *hold);
/* Gives what is ready to merge, window by window, each flushed on its own, in the order of arrival.
 * decide answers for a target: 1 go with *ret_labels, 0 keep, -1 drop. */
void pst_hold_release(struct pst_hold *hold, struct pst_merge *merge,
                      int (*decide)(void *context, uint64_t target,
                                    const struct pst_labels **ret_labels),
                      void *context);

#endif
