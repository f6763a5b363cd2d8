/* Meta labels in an array: there are some dozens, set once and read by rules. */
#include "labels/meta.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/limits.h"

struct entry {
    char *name, *value;
    size_t name_len, value_len;
};

struct pst_meta {
    atomic_uint references;
    struct entry *entries;
    size_t count;
};

struct pst_meta *pst_meta_new(void)
{
    struct pst_meta *meta = calloc(1, sizeof(*meta));

    if (meta)
        atomic_init(&meta->references, 1);
    return meta;
}

struct pst_meta *pst_meta_ref(struct pst_meta *meta)
{
    atomic_fetch_add_explicit(&meta->references, 1, memory_order_relaxed);
    return meta;
}

struct pst_meta *pst_meta_unref(struct pst_meta *meta)
{
    if (!meta || atomic_fetch_sub_explicit(&meta->references, 1, memory_order_acq_rel) != 1)
        return NULL;
    for (size_t i = 0; i < meta->count; i++) {
        free(meta->entries[i].name);
        free(meta->entries[i].value);
    }
    free(meta->entries);
    free(meta);
    return NULL;
}

static struct entry *find(const struct pst_meta *meta, struct pst_str name)
{
    for (size_t i = 0; i < meta->count; i++) {
        struct entry *entry = &meta->entries[i];
        if (pst_str_eq((struct pst_str){entry->name, entry->name_len}, name))
            return entry;
    }
    return NULL;
}

static struct entry *add(struct pst_meta *meta, struct pst_str name)
{
    struct entry *grown = reallocarray(meta->entries, meta->count + 1, sizeof(*grown));

    if (!grown)
        return NULL;
    meta->entries = grown;
    char *copy = pst_str_dup(name);
    if (!copy)
        return NULL;
    grown[meta->count] = (struct entry){copy, NULL, name.len, 0};
    return &grown[meta->count++];
}

int pst_meta_set(struct pst_meta *meta, struct pst_str name, struct pst_str value)
{
    struct pst_buf text __attribute__((cleanup(pst_buf_done)));
    struct entry *entry = find(meta, name);

    pst_buf_init(&text, 4 * PST_MAX_LABEL_VALUE_BYTES);
    if (value.len > PST_MAX_LABEL_VALUE_BYTES)
        value.len = PST_MAX_LABEL_VALUE_BYTES;
    int status = pst_buf_utf8(&text, value);
    if (status < 0)
        return status;
    if (!entry && meta->count >= PST_MAX_META_LABELS)
        return -ENOSPC;
    if (!entry && !(entry = add(meta, name)))
        return -ENOMEM;
    size_t len;
    char *copy = pst_buf_steal(&text, &len);
    if (!copy)
        return -ENOMEM;
    free(entry->value);
    entry->value = copy;
    entry->value_len = len;
    return 0;
}

struct pst_str pst_meta_get(const struct pst_meta *meta, const char *name)
{
    const struct entry *entry = find(meta, pst_str(name));

    return entry && entry->value ? (struct pst_str){entry->value, entry->value_len}
                                 : (struct pst_str){"", 0};
}

bool pst_meta_equal(const struct pst_meta *a, const struct pst_meta *b)
{
    for (size_t i = 0; i < a->count && a->count == b->count; i++) {
        struct pst_str name, value;
        pst_meta_at(a, i, &name, &value);
        const struct entry *same = &b->entries[i]; /* most often in the same order */
        if (!pst_str_eq((struct pst_str){same->name, same->name_len}, name))
            same = find(b, name);
        if (!same || !pst_str_eq((struct pst_str){same->value, same->value_len}, value))
            return false;
    }
    return a->count == b->count;
}

size_t pst_meta_count(const struct pst_meta *meta)
{
    return meta->count;
}

void pst_meta_at(const struct pst_meta *meta, size_t index, struct pst_str *ret_name,
                 struct pst_str *ret_value)
{
    const struct entry *entry = &meta->entries[index];

    *ret_name = (struct pst_str){entry->name, entry->name_len};
    *ret_value = (struct pst_str){entry->value ? entry->value : "", entry->value_len};
}
