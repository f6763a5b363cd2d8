/* Labels in an array: some dozens, walked in order. */
#include "set.h"

#include <errno.h>
#include <stdlib.h>

#include "base/limits.h"

bool pst_rule_is_label(struct pst_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool digit = c >= '0' && c <= '9';
        if (!(c == '_' || (digit && i > 0) || ((c | 32) >= 'a' && (c | 32) <= 'z')))
            return false;
    }
    return name.len > 0;
}

enum { MAX_LABELS = 2 * PST_MAX_META_LABELS };

static void label_done(struct pst_rule_label *label)
{
    free(label->name);
    free(label->value);
}

void pst_rule_set_done(struct pst_rule_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        label_done(&set->items[i]);
    free(set->items);
    *set = (struct pst_rule_set){NULL, 0, 0};
}

static int append(struct pst_rule_set *set, struct pst_str name, struct pst_str value, bool written)
{
    if (set->count == MAX_LABELS)
        return -ENOSPC;
    if (set->count == set->cap) {
        size_t cap = set->cap ? set->cap * 2 : 64;
        struct pst_rule_label *items = reallocarray(set->items, cap, sizeof(*items));
        if (!items)
            return -ENOMEM;
        set->items = items;
        set->cap = cap;
    }
    struct pst_rule_label label = {pst_str_dup(name), pst_str_dup(value), name.len, value.len,
                                   written};
    if (!label.name || !label.value) {
        label_done(&label);
        return -ENOMEM;
    }
    set->items[set->count++] = label;
    return 0;
}

int pst_rule_set_begin(struct pst_rule_set *set, struct pst_str name, struct pst_str value)
{
    return value.len > 0 ? append(set, name, value, false) : 0;
}

static int by_name(const void *a, const void *b)
{
    const struct pst_rule_label *x = a, *y = b;
    size_t len = x->name_len < y->name_len ? x->name_len : y->name_len;
    int order = memcmp(x->name, y->name, len);

    return order ? order : (x->name_len > y->name_len) - (x->name_len < y->name_len);
}

void pst_rule_set_sort(struct pst_rule_set *set)
{
    if (set->count > 0)
        qsort(set->items, set->count, sizeof(*set->items), by_name);
}

static size_t find(const struct pst_rule_set *set, struct pst_str name)
{
    size_t i = 0;

    while (i < set->count && !pst_str_eq(pst_rule_label_name(&set->items[i]), name))
        i++;
    return i;
}

struct pst_str pst_rule_set_get(const struct pst_rule_set *set, struct pst_str name)
{
    size_t i = find(set, name);

    return i < set->count ? pst_rule_label_value(&set->items[i]) : (struct pst_str){"", 0};
}

static void remove_at(struct pst_rule_set *set, size_t i)
{
    label_done(&set->items[i]);
    set->count--;
    memmove(&set->items[i], &set->items[i + 1], (set->count - i) * sizeof(*set->items));
}

void pst_rule_set_remove(struct pst_rule_set *set, struct pst_str name)
{
    size_t i = find(set, name);

    if (i < set->count)
        remove_at(set, i);
}

int pst_rule_set_put(struct pst_rule_set *set, struct pst_str name, struct pst_str value)
{
    size_t i = find(set, name);

    if (value.len == 0) {
        if (i < set->count)
            remove_at(set, i);
        return 0;
    }
    if (i < set->count && set->items[i].written) {
        char *copy = pst_str_dup(value);
        if (!copy)
            return -ENOMEM;
        free(set->items[i].value);
        set->items[i].value = copy;
        set->items[i].value_len = value.len;
        return 0;
    }
    int status = append(set, name, value, true);
    if (status == 0 && i < set->count - 1)
        remove_at(set, i);
    return status;
}
