/* The HTML page: head, cards, the SVG as a fragment, and the table of functions. */
#include "render/html.h"

#include <errno.h>

#include "page_assets.h"
#include "put.h"
#include "render/changes.h"
#include "render/frame.h"
#include "render/svg.h"
#include "render/text.h"
#include "render/top.h"
#include "render_internal.h"

enum { TABLE_ROWS = 500, CHANGE_ROWS = 30, COMMENTS_OPEN = 3 };

struct writer {
    const struct pst_profile *profile;
    const struct pst_render_options *options;
    struct pst_buf *out;
    int error;
};

static void put_made(struct writer *w,
                     int (*make)(const struct pst_profile *, const struct pst_render_options *,
                                 struct pst_buf *))
{
    struct pst_buf text;

    pst_buf_init(&text, 1 << 16);
    put_by(w, make(w->profile, w->options, &text));
    put_xml(w, pst_buf_view(&text));
    pst_buf_done(&text);
}

/* A merge of many windows has a comment of each. */
static void put_comments(struct writer *w)
{
    uint32_t count = pst_profile_comment_count(w->profile);

    for (uint32_t i = 0; i < count; i++) {
        if (i == COMMENTS_OPEN)
            putf(w, "<details><summary>%u further comments</summary>\n", count - i);
        put(w, "<p class=\"comment\">");
        put_xml(w, pst_profile_comment(w->profile, i));
        put(w, "</p>\n");
    }
    if (count > COMMENTS_OPEN)
        put(w, "</details>\n");
}

static void put_head(struct writer *w)
{
    put(w, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
           "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>");
    put_made(w, pst_render_title);
    put(w, "</title>\n<style>\n");
    put(w, asset_page_css);
    put(w, "</style>\n</head>\n<body class=\"pst-page\">\n<header>\n<h1>");
    put_made(w, pst_render_title);
    put(w, "</h1>\n<p>");
    put_made(w, pst_render_subtitle);
    put(w, "</p>\n");
    put_comments(w);
    put(w, "</header>\n");
}

static void put_graph(struct writer *w)
{
    struct pst_svg_options svg = {
        .flame = w->options->flame, .difference = w->options->old != NULL, .fragment = true};
    struct pst_tree *tree = NULL;

    put(w, "<section class=\"graph\">\n");
    put_by(w, pst_render_tree(w->profile, w->options, w->options->frame_flags, w->options->weight,
                              &tree));
    put_by(w, pst_svg_write(tree, &svg, w->out));
    pst_tree_free(tree);
    put(w, "</section>\n");
}

static void put_share(struct writer *w, int64_t ns, int64_t all)
{
    double percent = all > 0 ? 100.0 * (double)ns / (double)all : 0;

    putf(w, "<td class=\"n\" data-v=\"%lld\"><span class=\"bar\" style=\"width:%.1f%%\"></span>",
         (long long)ns, percent);
    putf(w, "<b>%.1f%%</b> ", percent);
    put(w, "<i>");
    put_by(w, pst_text_duration(w->out, ns));
    put(w, "</i></td>");
}

static void put_place(struct writer *w, struct pst_str name, struct pst_str file, int64_t line)
{
    bool full = w->options->frame_flags & PST_FRAME_FULL_FILES;

    put(w, "<td class=\"f\">");
    put_xml(w, name);
    put(w, "</td><td class=\"p\" title=\"");
    put_xml(w, file);
    put(w, "\">");
    put_xml(w, full ? file : pst_frame_file(&w->options->files, file));
    if (line > 0)
        putf(w, ":%lld", (long long)line);
    put(w, "</td></tr>\n");
}

static void put_changes(struct writer *w)
{
    struct pst_changes *changes = NULL;

    put_by(w, pst_changes_new(w->options->old, w->profile, &changes));
    if (w->error < 0)
        return;
    put(w, "<section class=\"changes\">\n<h2>Largest changes of own time</h2>\n"
           "<table><thead><tr><th class=\"n\">Change</th><th class=\"n\">Before → after</th>"
           "<th>Function</th><th>File</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < changes->count && i < CHANGE_ROWS; i++) {
        const struct pst_change *change = &changes->items[i];
        double points = 100 * (change->after - change->before);

        if (points > -0.005 && points < 0.005)
            break;
        putf(w, "<tr><td class=\"n %s\" data-v=\"%.4f\"><b>%+.2f</b> <i>points</i></td>",
             points > 0 ? "grew" : "shrank", points, points);
        putf(w, "<td class=\"n\" data-v=\"%.6f\">%.2f%% → %.2f%%</td>", change->after,
             100 * change->before, 100 * change->after);
        put_place(w, change->name, change->file, change->line);
    }
    put(w, "</tbody></table>\n</section>\n");
    pst_changes_free(changes);
}

static void put_row(struct writer *w, const struct pst_top *top, const struct pst_top_row *row)
{
    put(w, "<tr>");
    put_share(w, row->self_ns, top->total_ns);
    put_share(w, row->total_ns, top->total_ns);
    put_place(w, row->name, row->file, row->start_line > 0 ? row->start_line : row->hot_line);
}

static void put_table(struct writer *w)
{
    struct pst_top *top = NULL;

    put_by(w, pst_top_new(w->profile, &top));
    if (w->error < 0)
        return;
    put(w, "<section class=\"table\">\n<h2>Functions</h2>\n"
           "<table><thead><tr><th class=\"n\" aria-sort=\"descending\">Own</th>"
           "<th class=\"n\">Total</th><th>Function</th><th>File</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < top->count && i < TABLE_ROWS; i++)
        put_row(w, top, &top->rows[i]);
    put(w, "</tbody></table>\n");
    if (top->count > TABLE_ROWS)
        putf(w, "<p>%zu further functions have less own time.</p>\n", top->count - TABLE_ROWS);
    put(w, "</section>\n");
    pst_top_free(top);
}

int pst_html_write(const struct pst_profile *profile, const struct pst_render_options *options,
                   struct pst_buf *out)
{
    struct writer w = {.profile = profile, .options = options, .out = out};

    put_head(&w);
    put_graph(&w);
    if (options->old)
        put_changes(&w);
    put_table(&w);
    put(&w, "<script>\n");
    put(&w, asset_page_js);
    put(&w, "</script>\n</body>\n</html>\n");
    return w.error;
}
