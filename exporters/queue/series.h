/* Which series are with a consumer: a handful of numbers, so a plain list. Its owner locks. */
#ifndef PST_QUEUE_SERIES_H
#define PST_QUEUE_SERIES_H

#include "base/limits.h"
#include "profile/item.h"

/* A number for labels and mode. */
uint64_t pst_series_of(const struct pst_labels *labels, enum pst_mode mode);

struct pst_series_set {
    uint64_t series[PST_MAX_EXPORT_LANES];
    size_t count;
};
bool pst_series_has(const struct pst_series_set *set, uint64_t series);
/* False when the set is full. */
bool pst_series_add(struct pst_series_set *set, uint64_t series);
void pst_series_remove(struct pst_series_set *set, uint64_t series);

#endif
