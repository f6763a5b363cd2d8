/* Writes the flame graph: a static picture 1200 pixels wide that its own script brings to life.
 * Every frame carries its exact numbers, so that zooming loses nothing to rounding. */
#include "render/svg.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "flame_assets.h"
#include "put.h"
#include "render/text.h"

enum {
    WIDTH = 1200,
    MARGIN = 10,
    HEAD = 78,      /* above the first row: title, subtitle, controls, detail */
    HEAD_BARE = 46, /* without titles, as in a page that has its own */
    ROW = 19,
    COLORS = 12,
    SHADES = 5,
    /* Narrower than a fiftieth of a percent: not even zooming by two hundred shows more than 40 px.
     */
    NARROWEST = 5000,
};

#define ADVANCE 7.0 /* width of a character of 11.5 px monospace, rounded up */

struct writer {
    const struct pst_tree *tree;
    const struct pst_svg_options *options;
    struct pst_buf *out;
    int64_t *left; /* by node */
    int64_t all, smallest;
    double steepest; /* largest change of share, for the shades */
    uint32_t deepest;
    int side, error;
    unsigned top; /* of the first row */
};

static int64_t weight(const struct writer *w, const struct pst_tree_node *node)
{
    return node->total[w->side];
}

static double share(int64_t part, int64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : 0;
}

static double change(const struct writer *w, const struct pst_tree_node *node)
{
    const struct pst_tree_node *all = pst_tree_at(w->tree, PST_TREE_ROOT);

    return share(node->total[1], all->total[1]) - share(node->total[0], all->total[0]);
}

/* Depth first, parents before children, heavier siblings before lighter; nodes below the smallest
 * weight and all under them are passed over. 0 at the end (the root is never next). */
static uint32_t next_drawn(const struct writer *w, uint32_t at)
{
    const struct pst_tree_node *node = pst_tree_at(w->tree, at);
    uint32_t next = node->first_child;

    for (;;) {
        while (next) {
            const struct pst_tree_node *child = pst_tree_at(w->tree, next);

            if (weight(w, child) >= w->smallest)
                return next;
            next = child->next;
        }
        if (at == PST_TREE_ROOT)
            return 0;
        next = pst_tree_at(w->tree, at)->next;
        at = pst_tree_at(w->tree, at)->parent;
    }
}

/* Raises the smallest weight until what is left can be drawn. */
static void choose_smallest(struct writer *w)
{
    uint32_t drawn;

    w->smallest = w->all / NARROWEST;
    if (w->smallest < 1)
        w->smallest = 1;
    do {
        drawn = 0;
        for (uint32_t at = 0; at < pst_tree_count(w->tree); at++)
            drawn += weight(w, pst_tree_at(w->tree, at)) >= w->smallest;
        if (drawn > PST_MAX_SVG_FRAMES)
            w->smallest *= 2;
    } while (drawn > PST_MAX_SVG_FRAMES);
}

static void measure(struct writer *w)
{
    w->left[PST_TREE_ROOT] = 0;
    for (uint32_t at = 0; at < pst_tree_count(w->tree); at++) {
        const struct pst_tree_node *node = pst_tree_at(w->tree, at);
        int64_t left = w->left[at];
        double steep = change(w, node);

        for (uint32_t child = node->first_child; child; child = pst_tree_at(w->tree, child)->next) {
            w->left[child] = left;
            left += weight(w, pst_tree_at(w->tree, child));
        }
        if (weight(w, node) < w->smallest)
            continue;
        if (node->depth > w->deepest)
            w->deepest = node->depth;
        steep = steep < 0 ? -steep : steep;
        if (steep > w->steepest)
            w->steepest = steep;
    }
}

static void put_class(struct writer *w, const struct pst_tree_node *node)
{
    double delta = w->options->difference ? change(w, node) : 0, size;

    if (!w->options->difference) {
        if (node->synthetic)
            put(w, "f s");
        else
            putf(w, "f c%u", node->package % COLORS);
        return;
    }
    size = delta < 0 ? -delta : delta;
    if (size < 0.0005 || w->steepest <= 0)
        put(w, "f n0");
    else
        putf(w, "f %c%d", delta > 0 ? 'r' : 'b',
             1 + (int)(size / w->steepest * (SHADES - 1) + 0.5));
}

static void put_weight(struct writer *w, int64_t value)
{
    if (w->error < 0)
        return;
    if (pst_tree_weight(w->tree) == PST_WEIGHT_TIME) {
        w->error = pst_text_duration(w->out, value);
    } else {
        w->error = pst_text_count(w->out, value);
        put(w, value == 1 ? " sample" : " samples");
    }
}

/* Label, then a second line with the numbers. */
static void put_title(struct writer *w, const struct pst_tree_node *node)
{
    const struct pst_tree_node *all = pst_tree_at(w->tree, PST_TREE_ROOT);

    put(w, "<title>");
    put_xml(w, node->label);
    put(w, "\n");
    put_weight(w, weight(w, node));
    if (w->options->difference) {
        putf(w, ", %.2f%% → %.2f%% (%+.2f points)", 100 * share(node->total[0], all->total[0]),
             100 * share(node->total[1], all->total[1]), 100 * change(w, node));
    } else {
        putf(w, ", %.2f%%", 100 * share(weight(w, node), w->all));
        if (node->self[w->side]) {
            put(w, ", own ");
            put_weight(w, node->self[w->side]);
            putf(w, " (%.2f%%)", 100 * share(node->self[w->side], w->all));
        }
    }
    put(w, "</title>");
}

/* As much of the label as fits: whole, name only, cut name, nothing. */
static void put_fitting(struct writer *w, struct pst_str label, double pixels)
{
    double room = (pixels - 8) / ADVANCE;
    size_t columns = room < 2 ? 0 : (size_t)room;
    struct pst_str name = label;

    if (!columns)
        return;
    if (pst_text_columns(label) > columns) {
        size_t file = pst_str_rfind(label, '(');

        if (file < label.len && file > 1)
            name.len = file - 1;
    }
    if (pst_text_columns(name) <= columns) {
        put_xml(w, name);
    } else {
        put_xml(w, pst_text_head(name, columns - 1));
        put(w, "…");
    }
}

static void put_frame(struct writer *w, uint32_t at)
{
    const struct pst_tree_node *node = pst_tree_at(w->tree, at);
    double scale = (double)(WIDTH - 2 * MARGIN) / (double)w->all;
    double x = MARGIN + (double)w->left[at] * scale, wide = (double)weight(w, node) * scale;
    uint32_t row = w->options->flame ? w->deepest - node->depth : node->depth;
    unsigned y = w->top + row * ROW;

    put(w, "<g class=\"");
    put_class(w, node);
    putf(w, "\" data-f=\"%u %lld %lld\">", node->depth, (long long)w->left[at],
         (long long)weight(w, node));
    put_title(w, node);
    putf(w, "<rect x=\"%.2f\" y=\"%u\" width=\"%.2f\" height=\"%d\"/>", x, y,
         wide < 0.3 ? 0.3 : wide, ROW);
    putf(w, "<text x=\"%.2f\" y=\"%.1f\">", x + 4, y + ROW - 5.5);
    put_fitting(w, node->label, wide);
    put(w, "</text></g>\n");
}

static void put_text(struct writer *w, const char *class, double x, double y, const char *text)
{
    putf(w, "<text class=\"%s\" x=\"%.0f\" y=\"%.0f\">", class, x, y);
    if (text) {
        struct pst_buf clean;

        /* Titles come from command lines: any bytes. */
        pst_buf_init(&clean, 1 << 16);
        if (w->error == 0)
            w->error = pst_buf_utf8(&clean, pst_str(text));
        put_xml(w, pst_buf_view(&clean));
        pst_buf_done(&clean);
    }
    put(w, "</text>\n");
}

static void put_head(struct writer *w, unsigned height)
{
    if (!w->options->fragment)
        put(w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    putf(w,
         "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"pst-flame\" width=\"%d\" height=\"%u\" "
         "viewBox=\"0 0 %d %u\" data-row=\"%d\" data-top=\"%u\" data-flame=\"%d\">\n<style>\n",
         WIDTH, height, WIDTH, height, ROW, w->top, w->options->flame);
    put(w, asset_flame_css);
    put(w, "</style>\n<rect class=\"pst-paper\" width=\"100%\" height=\"100%\"/>\n");
    put_text(w, "pst-title", MARGIN, 26, w->options->title);
    put_text(w, "pst-sub", MARGIN, 46, w->options->subtitle);
    put_text(w, "pst-detail", MARGIN, w->top - 11, NULL);
    putf(w,
         "<g class=\"pst-controls\">"
         "<text class=\"pst-matched\" text-anchor=\"end\" x=\"%d\" y=\"%d\"></text>",
         w->top == HEAD ? 0 : -400, w->top == HEAD ? 56 : 28);
    put(w, "<foreignObject x=\"-220\" y=\"10\" width=\"220\" height=\"28\">"
           "<input xmlns=\"http://www.w3.org/1999/xhtml\" type=\"search\" spellcheck=\"false\" "
           "placeholder=\"Search: text or regex\" aria-label=\"Search frames\"/></foreignObject>"
           "<g class=\"pst-button pst-turn\" tabindex=\"0\" role=\"button\">"
           "<rect x=\"-290\" y=\"11\" width=\"62\" height=\"25\" rx=\"5\"/>");
    putf(w, "<text x=\"-259\" y=\"28\">%s</text></g>", w->options->flame ? "Icicle" : "Flame");
    put(w, "<g class=\"pst-button pst-reset off\" tabindex=\"0\" role=\"button\">"
           "<rect x=\"-386\" y=\"11\" width=\"88\" height=\"25\" rx=\"5\"/>"
           "<text x=\"-342\" y=\"28\">Reset zoom</text></g></g>\n");
}

static void put_picture(struct writer *w)
{
    put_head(w, w->top + (w->deepest + 1) * ROW + MARGIN + 4);
    if (w->all > 0) {
        put_frame(w, PST_TREE_ROOT);
        for (uint32_t at = PST_TREE_ROOT; (at = next_drawn(w, at)) != 0;)
            put_frame(w, at);
    } else {
        put_text(w, "pst-empty", MARGIN, w->top + ROW - 5,
                 "No samples: nothing ran while this was recorded.");
    }
    put(w, "<script><![CDATA[\n");
    put(w, asset_flame_js);
    put(w, "]]></script>\n</svg>\n");
}

int pst_svg_write(const struct pst_tree *tree, const struct pst_svg_options *options,
                  struct pst_buf *out)
{
    pst_autofree int64_t *left = calloc(pst_tree_count(tree), sizeof(*left));
    struct writer w = {.tree = tree, .options = options, .out = out, .left = left};

    if (!left)
        return -ENOMEM;
    w.side = options->difference;
    w.top = options->title || options->subtitle ? HEAD : HEAD_BARE;
    w.all = weight(&w, pst_tree_at(tree, PST_TREE_ROOT));
    choose_smallest(&w);
    measure(&w);
    put_picture(&w);
    return w.error;
}
