/* The largest changes as text. Functions are matched by name and file: line numbers move. */
#include "render/changes.h"

#include <errno.h>
#include <stdlib.h>

#include "base/intern.h"
#include "base/limits.h"
#include "render/frame.h"
#include "render/text.h"
#include "render/top.h"

struct matching {
    struct pst_intern *keys; /* name NUL file -> index */
    struct pst_change *items;
};

static int add_side(struct matching *matching, const struct pst_top *top, bool after)
{
    struct pst_buf key;
    int rc = 0;

    pst_buf_init(&key, 4UL * PST_MAX_STRING_BYTES);
    for (size_t i = 0; i < top->count && rc == 0; i++) {
        const struct pst_top_row *row = &top->rows[i];
        struct pst_change *item;
        uint32_t id;

        pst_buf_reset(&key);
        rc = pst_buf_str(&key, row->name);
        if (rc == 0)
            rc = pst_buf_append(&key, "", 1);
        if (rc == 0)
            rc = pst_buf_str(&key, row->file);
        if (rc == 0)
            rc = pst_intern_add(matching->keys, key.data, key.len, &id);
        if (rc < 0)
            break;
        item = &matching->items[id];
        item->name = row->name;
        item->file = row->file;
        item->line = row->start_line > 0 ? row->start_line : row->hot_line;
        if (top->total_ns > 0)
            *(after ? &item->after : &item->before) += (double)row->self_ns / (double)top->total_ns;
    }
    pst_buf_done(&key);
    return rc;
}

static double size_of(const struct pst_change *change)
{
    double delta = change->after - change->before;

    return delta < 0 ? -delta : delta;
}

static int by_size(const void *left, const void *right)
{
    const struct pst_change *x = left, *y = right;
    double a = size_of(x), b = size_of(y);
    int order;

    if (a < b || a > b)
        return a < b ? 1 : -1;
    order = memcmp(x->name.ptr, y->name.ptr, x->name.len < y->name.len ? x->name.len : y->name.len);
    return order ? order : (x->name.len > y->name.len) - (x->name.len < y->name.len);
}

static int fill(struct pst_changes *changes, const struct pst_top *before,
                const struct pst_top *after)
{
    struct matching matching = {0};
    int rc = -ENOMEM;

    matching.keys = pst_intern_new(2U * PST_MAX_PPROF_STRINGS, 2UL * PST_MAX_PPROF_BYTES);
    matching.items = calloc(before->count + after->count + 1, sizeof(*matching.items));
    changes->items = matching.items;
    if (matching.keys && matching.items)
        rc = add_side(&matching, before, false);
    if (rc == 0)
        rc = add_side(&matching, after, true);
    if (rc == 0) {
        changes->count = pst_intern_count(matching.keys);
        qsort(changes->items, changes->count, sizeof(*changes->items), by_size);
    }
    pst_intern_free(matching.keys);
    return rc;
}

int pst_changes_new(const struct pst_profile *old, const struct pst_profile *new_profile,
                    struct pst_changes **ret)
{
    struct pst_changes *changes = calloc(1, sizeof(*changes));
    struct pst_top *before = NULL, *after = NULL;
    int rc = changes ? pst_top_new(old, &before) : -ENOMEM;

    if (rc == 0)
        rc = pst_top_new(new_profile, &after);
    if (rc == 0)
        rc = fill(changes, before, after);
    pst_top_free(before);
    pst_top_free(after);
    if (rc < 0)
        pst_changes_free(changes);
    else
        *ret = changes;
    return rc;
}

struct pst_changes *pst_changes_free(struct pst_changes *changes)
{
    if (changes)
        free(changes->items);
    free(changes);
    return NULL;
}

static int put_change(const struct pst_change *change, struct pst_buf *out)
{
    int rc = pst_buf_printf(out, "%+7.2f points  %6.2f%% -> %6.2f%%  ",
                            100 * (change->after - change->before), 100 * change->before,
                            100 * change->after);

    if (rc == 0)
        rc = pst_text_plain(out, change->name);
    if (rc == 0 && change->file.len) {
        rc = pst_buf_puts(out, " (");
        if (rc == 0)
            rc = pst_text_plain(out, pst_frame_short_file(change->file));
        if (rc == 0 && change->line > 0)
            rc = pst_buf_printf(out, ":%lld", (long long)change->line);
        if (rc == 0)
            rc = pst_buf_puts(out, ")");
    }
    return rc < 0 ? rc : pst_buf_puts(out, "\n");
}

int pst_changes_write(const struct pst_profile *old, const struct pst_profile *new_profile,
                      size_t limit, struct pst_buf *out)
{
    struct pst_changes *changes = NULL;
    int rc = pst_changes_new(old, new_profile, &changes);

    if (rc < 0)
        return rc;
    for (size_t i = 0; i < changes->count && i < limit && rc == 0; i++)
        if (size_of(&changes->items[i]) >= 0.00005)
            rc = put_change(&changes->items[i], out);
    pst_changes_free(changes);
    return rc;
}
