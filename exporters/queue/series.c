/* Series as numbers. Two that share one by chance wait for each other, which is no harm. */
#include "series.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t pst_series_of(const struct pst_labels *labels, enum pst_mode mode)
{
    XXH64_hash_t hash = (uint64_t)mode + 1;
    for (size_t i = 0; i < pst_labels_count(labels); i++) {
        struct pst_str name, value;
        pst_labels_at(labels, i, &name, &value);
        hash = XXH3_64bits_withSeed(name.ptr, name.len, hash);
        hash = XXH3_64bits_withSeed(value.ptr, value.len, hash);
    }
    return hash;
}

bool pst_series_has(const struct pst_series_set *set, uint64_t series)
{
    for (size_t i = 0; i < set->count; i++) {
        if (set->series[i] == series)
            return true;
    }
    return false;
}

bool pst_series_add(struct pst_series_set *set, uint64_t series)
{
    if (set->count == PST_MAX_EXPORT_LANES)
        return false;
    set->series[set->count++] = series;
    return true;
}

void pst_series_remove(struct pst_series_set *set, uint64_t series)
{
    for (size_t i = 0; i < set->count; i++) {
        if (set->series[i] == series) {
            set->series[i] = set->series[--set->count];
            return;
        }
    }
}
