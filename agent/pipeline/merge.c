/* Series by label set and mode; the first body of a window is kept as it is, a second one makes
 * both be decoded and merged. */
#include "pipeline/merge.h"

#include <errno.h>
#include <stdlib.h>

#include "base/intern.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/map.h"
#include "base/metrics.h"
#include "profile/pprof.h"

enum {
    MAX_SERIES = PST_MAX_LABEL_SETS * PST_MODE_COUNT,
    MAX_KEY_BYTES = 64 << 20,
    FORGET_FLUSHES = 240, /* an hour of default windows without a profile */
};

struct series_key {
    uint32_t labels; /* id in the interner */
    uint32_t mode;
};

struct series {
    uint64_t used;        /* flush at which something was last added */
    int64_t last_time_ns; /* starts never move back within a series, whatever the clock does */
    /* What the open window has so far: one body, or a merged profile. */
    struct pst_profile_meta meta;
    int64_t samples, value_ns;
    void *body;
    size_t body_bytes;
    struct pst_profile *merged;
};

struct pst_merge {
    void (*item)(void *context, struct pst_item *item);
    void *context;
    struct pst_intern *label_sets; /* encoded labels */
    struct pst_map *series;        /* series_key -> struct series */
    uint64_t flushes, forgot;
};

struct pst_merge *pst_merge_new(void (*item)(void *context, struct pst_item *item), void *context)
{
    struct pst_merge *merge = calloc(1, sizeof(*merge));
    if (!merge)
        return NULL;
    merge->item = item;
    merge->context = context;
    merge->label_sets = pst_intern_new(PST_MAX_LABEL_SETS + 1, MAX_KEY_BYTES);
    merge->series = pst_map_new(sizeof(struct series_key), sizeof(struct series), MAX_SERIES + 3);
    if (!merge->label_sets || !merge->series)
        return pst_merge_free(merge);
    return merge;
}

static void series_reset(struct series *series)
{
    free(series->body);
    series->body = NULL;
    series->body_bytes = 0;
    series->merged = pst_profile_free(series->merged);
}

struct pst_merge *pst_merge_free(struct pst_merge *merge)
{
    if (!merge)
        return NULL;
    size_t cursor = 0;
    void *value;
    while (merge->series && pst_map_next(merge->series, &cursor, NULL, &value))
        series_reset(value);
    pst_map_free(merge->series);
    pst_intern_free(merge->label_sets);
    free(merge);
    return NULL;
}

size_t pst_merge_series(const struct pst_merge *merge)
{
    return pst_intern_count(merge->label_sets);
}

/* Moves a series over when it is still in use. */
static int move(struct pst_merge *merge, struct pst_intern *label_sets, struct pst_map *to,
                const struct series_key *key, const struct series *series)
{
    struct pst_str bytes = pst_intern_get(merge->label_sets, key->labels);
    struct series_key moved = {.mode = key->mode};
    void *value;
    bool open = series->body || series->merged;
    if (!open && merge->flushes - series->used >= FORGET_FLUSHES)
        return 0;
    int r = pst_intern_add(label_sets, bytes.ptr, bytes.len, &moved.labels);
    if (r == 0)
        r = pst_map_put(to, &moved, &value, NULL);
    if (r == 0)
        *(struct series *)value = *series;
    return r;
}

/* Pods come and go: label sets that nothing used for long make room for new ones. */
static void forget(struct pst_merge *merge)
{
    struct pst_intern *label_sets = pst_intern_new(PST_MAX_LABEL_SETS + 1, MAX_KEY_BYTES);
    struct pst_map *series =
        pst_map_new(sizeof(struct series_key), sizeof(struct series), MAX_SERIES + 3);
    int r = label_sets && series ? 0 : -ENOMEM;
    size_t cursor = 0;
    const void *key;
    void *value;
    while (r == 0 && pst_map_next(merge->series, &cursor, &key, &value))
        r = move(merge, label_sets, series, key, value);
    if (r == 0) {
        struct pst_intern *old_sets = merge->label_sets;
        struct pst_map *old_series = merge->series;
        merge->label_sets = label_sets;
        merge->series = series;
        label_sets = old_sets;
        series = old_series;
    }
    pst_intern_free(label_sets);
    pst_map_free(series);
}

static int overflow_id(struct pst_merge *merge, uint32_t *ret_id)
{
    struct pst_labels *labels = pst_labels_new();
    struct pst_buf key;
    pst_buf_init(&key, 256);
    int r =
        labels ? pst_labels_set(labels, PST_STR("service_name"), PST_STR("[overflow]")) : -ENOMEM;
    if (r == 0)
        r = pst_labels_encode(labels, &key);
    if (r == 0)
        r = pst_intern_add(merge->label_sets, key.data, key.len, ret_id);
    pst_buf_done(&key);
    pst_labels_free(labels);
    return r;
}

static int labels_id(struct pst_merge *merge, const struct pst_labels *labels, uint32_t *ret_id)
{
    struct pst_buf key;
    pst_buf_init(&key, (size_t)PST_MAX_LABELS * (PST_MAX_LABEL_VALUE_BYTES + 1024));
    int r = pst_labels_encode(labels, &key);
    if (r == 0 && pst_intern_find(merge->label_sets, key.data, key.len, ret_id) == -ENOENT) {
        if (pst_intern_count(merge->label_sets) >= PST_MAX_LABEL_SETS &&
            merge->forgot != merge->flushes) {
            merge->forgot = merge->flushes; /* once for each flush is enough */
            forget(merge);
        }
        /* The last place is kept for the overflow series itself. */
        if (pst_intern_count(merge->label_sets) < PST_MAX_LABEL_SETS)
            r = pst_intern_add(merge->label_sets, key.data, key.len, ret_id);
        else
            r = -ENOSPC;
    }
    pst_buf_done(&key);
    if (r != -ENOSPC)
        return r;
    pst_metric_add(PST_METRIC_OVERFLOW, "label_sets", NULL, 1);
    return overflow_id(merge, ret_id);
}

static int merge_body(struct series *series, const void *body, size_t body_bytes)
{
    struct pst_profile *decoded;
    int r = pst_pprof_decode(body, body_bytes, &decoded);
    if (r < 0)
        return r;
    if (!series->merged) {
        series->merged = decoded;
        return 0;
    }
    r = pst_profile_merge(series->merged, decoded, NULL, NULL);
    pst_profile_free(decoded);
    return r;
}

static int keep_body(struct series *series, const struct pst_profile_meta *meta, int64_t samples,
                     int64_t value_ns, const void *body, size_t body_bytes)
{
    series->body = malloc(body_bytes ? body_bytes : 1);
    if (!series->body)
        return -ENOMEM;
    memcpy(series->body, body, body_bytes);
    series->body_bytes = body_bytes;
    series->meta = *meta;
    series->samples = samples;
    series->value_ns = value_ns;
    return 0;
}

int pst_merge_add(struct pst_merge *merge, const struct pst_labels *labels,
                  const struct pst_profile_meta *meta, int64_t samples, int64_t value_ns,
                  const void *body, size_t body_bytes)
{
    struct series_key key = {.mode = (uint32_t)meta->mode};
    int r = labels_id(merge, labels, &key.labels);
    if (r < 0)
        return r;
    void *value;
    r = pst_map_put(merge->series, &key, &value, NULL);
    if (r < 0)
        return r;
    struct series *series = value;
    series->used = merge->flushes;
    if (!series->body && !series->merged)
        return keep_body(series, meta, samples, value_ns, body, body_bytes);
    if (series->body) {
        r = merge_body(series, series->body, series->body_bytes);
        free(series->body);
        series->body = NULL;
        if (r < 0)
            return r;
    }
    return merge_body(series, body, body_bytes);
}

/* A start that lies before the last one of its series is moved behind it: the wall clock was set
 * back, and backends refuse or misplace such profiles. */
static int keep_order(struct series *series)
{
    int64_t start =
        series->merged ? pst_profile_meta(series->merged).time_ns : series->meta.time_ns;
    if (start <= series->last_time_ns) {
        if (!series->merged) {
            int r = merge_body(series, series->body, series->body_bytes);
            if (r < 0)
                return r;
        }
        struct pst_profile_meta meta = pst_profile_meta(series->merged);
        meta.time_ns = series->last_time_ns + 1;
        pst_profile_set_meta(series->merged, &meta);
        start = meta.time_ns;
    }
    series->last_time_ns = start;
    return 0;
}

static int finish(struct pst_merge *merge, const struct pst_labels *labels, struct series *series)
{
    struct pst_item *item;
    int r = keep_order(series);
    if (r == 0 && series->merged)
        r = pst_item_new(labels, series->merged, &item);
    else if (r == 0)
        r = pst_item_from_body(labels, &series->meta, series->samples, series->value_ns,
                               series->body, series->body_bytes, &item);
    if (r < 0)
        return r;
    merge->item(merge->context, item);
    pst_item_unref(item);
    return 0;
}

void pst_merge_flush(struct pst_merge *merge)
{
    merge->flushes++;
    size_t cursor = 0;
    const void *key;
    void *value;
    while (pst_map_next(merge->series, &cursor, &key, &value)) {
        const struct series_key *id = key;
        struct series *series = value;
        if (!series->body && !series->merged)
            continue;
        struct pst_str bytes = pst_intern_get(merge->label_sets, id->labels);
        struct pst_labels *labels;
        int r = pst_labels_decode(bytes.ptr, bytes.len, &labels);
        if (r == 0) {
            r = finish(merge, labels, series);
            pst_labels_free(labels);
        }
        if (r < 0)
            pst_metric_add(PST_METRIC_DROPPED_SAMPLES, r == -ENOMEM ? "no_memory" : "invalid", NULL,
                           1);
        series_reset(series);
    }
    pst_metric_set(PST_METRIC_SERIES, NULL, NULL, (double)pst_merge_series(merge));
}
