/* Folded stacks out of the call tree. */
#include "render/folded.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "render/text.h"

struct line {
    size_t at, len;
};

struct folding {
    const struct pst_tree *tree;
    struct pst_buf text;
    struct line *lines;
    size_t count;
};

static int put_path(struct folding *f, uint32_t node)
{
    uint32_t path[2 * PST_MAX_FRAMES_WALKED];
    size_t depth = 0;
    int rc = 0;

    while (node != PST_TREE_ROOT && depth < PST_ARRAY_SIZE(path)) {
        path[depth++] = node;
        node = pst_tree_at(f->tree, node)->parent;
    }
    while (depth-- > 0 && rc == 0) {
        rc = pst_text_folded(&f->text, pst_tree_at(f->tree, path[depth])->label);
        if (rc == 0 && depth)
            rc = pst_buf_puts(&f->text, ";");
    }
    return rc;
}

static int put_node(struct folding *f, uint32_t node)
{
    int64_t value = pst_tree_at(f->tree, node)->self[0];
    size_t start = f->text.len;
    int rc;

    if (pst_tree_weight(f->tree) == PST_WEIGHT_TIME)
        value = value / 1000 + (value % 1000 >= 500);
    if (value <= 0 || node == PST_TREE_ROOT)
        return 0;
    rc = put_path(f, node);
    if (rc == 0)
        rc = pst_buf_printf(&f->text, " %lld\n", (long long)value);
    f->lines[f->count++] = (struct line){start, f->text.len - start};
    return rc;
}

static int by_text(const void *left, const void *right, void *context)
{
    const struct line *a = left, *b = right;
    const char *text = context;
    int order = memcmp(text + a->at, text + b->at, a->len < b->len ? a->len : b->len);

    return order ? order : (a->len > b->len) - (a->len < b->len);
}

int pst_folded_write(const struct pst_tree *tree, struct pst_buf *out)
{
    uint32_t nodes = pst_tree_count(tree);
    pst_autofree struct line *lines = calloc(nodes, sizeof(*lines));
    struct folding f = {.tree = tree, .lines = lines};
    int rc = lines ? 0 : -ENOMEM;

    pst_buf_init(&f.text, PST_MAX_RENDER_BYTES);
    for (uint32_t node = 0; node < nodes && rc == 0; node++)
        rc = put_node(&f, node);
    if (rc == 0 && f.count)
        qsort_r(lines, f.count, sizeof(*lines), by_text, f.text.data);
    for (size_t i = 0; i < f.count && rc == 0; i++)
        rc = pst_buf_append(out, f.text.data + lines[i].at, lines[i].len);
    pst_buf_done(&f.text);
    return rc;
}
