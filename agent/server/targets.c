/* The snapshot of targets: one allocation owner, counted references, freed by whoever is last. */
#include "server/targets.h"

#include <stdlib.h>

struct pst_target_snapshot *pst_target_snapshot_new(size_t count)
{
    struct pst_target_snapshot *snapshot = calloc(1, sizeof(*snapshot));
    if (!snapshot)
        return NULL;
    atomic_init(&snapshot->references, 1);
    if (count > 0) {
        snapshot->rows = calloc(count, sizeof(*snapshot->rows));
        if (!snapshot->rows) {
            free(snapshot);
            return NULL;
        }
    }
    snapshot->count = count;
    return snapshot;
}

struct pst_target_snapshot *pst_target_snapshot_ref(struct pst_target_snapshot *snapshot)
{
    atomic_fetch_add_explicit(&snapshot->references, 1, memory_order_relaxed);
    return snapshot;
}

static void free_row(struct pst_target_row *row)
{
    free(row->service);
    free(row->version);
    free(row->second_version);
    free(row->build);
    free(row->exe);
    free(row->command);
    free(row->container);
    free(row->state);
    free(row->reason);
    pst_meta_unref(row->before);
    free(row->why);
    pst_labels_free(row->after);
}

struct pst_target_snapshot *pst_target_snapshot_unref(struct pst_target_snapshot *snapshot)
{
    if (!snapshot || atomic_fetch_sub_explicit(&snapshot->references, 1, memory_order_acq_rel) != 1)
        return NULL;
    for (size_t i = 0; i < snapshot->count; i++)
        free_row(&snapshot->rows[i]);
    free(snapshot->rows);
    free(snapshot);
    return NULL;
}
