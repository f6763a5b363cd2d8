/* The terminal summary: services by CPU, each with its functions; cpu and wall share a row, so that
 * waiting and working can be told apart at a glance. Width-aware; text of targets is cleaned. */
#include "render/summary.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "put.h"
#include "render/frame.h"
#include "render/text.h"
#include "render/top.h"

enum { WIDTH_DEFAULT = 100, WIDTH_MIN = 60, ROWS_DEFAULT = 10, SERVICES_DEFAULT = 8 };

#define BOLD  "\033[1m"
#define FAINT "\033[2m"
#define HOT   "\033[31m"
#define WARM  "\033[33m"
#define RESET "\033[0m"

/* One function in both modes. */
struct row {
    struct pst_str name, file;
    int64_t line, shown_line; /* first line; the one to print */
    double cpu, wall;         /* shares of the service, 0..1 */
};

struct service {
    const struct pst_summary_service *given;
    struct pst_top *cpu, *wall;
    int64_t cpu_ns, wall_ns;
};

struct writer {
    struct pst_buf *out;
    const struct pst_summary_options *options;
    unsigned width, rows;
    int error;
};

static void style(struct writer *w, const char *code)
{
    if (w->options->color)
        put(w, code);
}

static void put_spaces(struct writer *w, size_t count)
{
    while (count-- > 0)
        put(w, " ");
}

/* Cleaned, at most that many columns; the end is kept when tail is set, as for paths. Padded with
 * spaces up to the width when pad is set. */
static void put_text(struct writer *w, struct pst_str text, size_t columns, bool tail, bool pad)
{
    struct pst_buf clean;
    struct pst_str view;
    size_t wide;

    pst_buf_init(&clean, 1 << 16);
    if (w->error == 0)
        w->error = pst_text_plain(&clean, text);
    view = pst_buf_view(&clean);
    wide = pst_text_columns(view);
    if (wide > columns && columns > 1) {
        view = tail ? pst_text_tail(view, columns - 1) : pst_text_head(view, columns - 1);
        wide = pst_text_columns(view) + 1;
        if (tail)
            put(w, "…");
        if (w->error == 0)
            w->error = pst_buf_str(w->out, view);
        if (!tail)
            put(w, "…");
    } else if (w->error == 0) {
        w->error = pst_buf_str(w->out, view);
    }
    if (pad && wide < columns)
        put_spaces(w, columns - wide);
    pst_buf_done(&clean);
}

static void put_number(struct writer *w, const char *format, double value)
{
    if (w->error == 0) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        w->error = pst_buf_printf(w->out, format, value);
#pragma GCC diagnostic pop
    }
}

static void put_count(struct writer *w, int64_t count, const char *one, const char *many)
{
    if (w->error == 0)
        w->error = pst_text_count(w->out, count);
    put(w, " ");
    put(w, count == 1 ? one : many);
}

static int by_cpu(const void *left, const void *right)
{
    const struct service *a = left, *b = right;

    if (a->cpu_ns != b->cpu_ns)
        return a->cpu_ns < b->cpu_ns ? 1 : -1;
    if (a->wall_ns != b->wall_ns)
        return a->wall_ns < b->wall_ns ? 1 : -1;
    return 0;
}

static void services_free(struct service *services, size_t count)
{
    for (size_t i = 0; services && i < count; i++) {
        pst_top_free(services[i].cpu);
        pst_top_free(services[i].wall);
    }
    free(services);
}

static int services_new(const struct pst_summary_service *given, size_t count, struct service **ret)
{
    struct service *services = calloc(count + 1, sizeof(*services));
    int rc = services ? 0 : -ENOMEM;

    for (size_t i = 0; i < count && rc == 0; i++) {
        services[i].given = &given[i];
        if (given[i].cpu)
            rc = pst_top_new(given[i].cpu, &services[i].cpu);
        if (rc == 0 && given[i].wall)
            rc = pst_top_new(given[i].wall, &services[i].wall);
        services[i].cpu_ns = services[i].cpu ? services[i].cpu->total_ns : 0;
        services[i].wall_ns = services[i].wall ? services[i].wall->total_ns : 0;
    }
    if (rc < 0) {
        services_free(services, count);
        return rc;
    }
    qsort(services, count, sizeof(*services), by_cpu);
    *ret = services;
    return 0;
}

/* The row of the same function, or a new one at the end. */
static struct row *row_of(struct row *rows, size_t *count, const struct pst_top_row *top)
{
    for (size_t i = 0; i < *count; i++)
        if (pst_str_eq(rows[i].name, top->name) && pst_str_eq(rows[i].file, top->file) &&
            rows[i].line == top->start_line)
            return &rows[i];
    rows[*count] = (struct row){
        .name = top->name,
        .file = top->file,
        .line = top->start_line,
        .shown_line = top->start_line > 0 ? top->start_line : top->hot_line,
    };
    return &rows[(*count)++];
}

static int by_share(const void *left, const void *right)
{
    const struct row *a = left, *b = right;

    if (a->cpu < b->cpu || a->cpu > b->cpu)
        return a->cpu < b->cpu ? 1 : -1;
    return a->wall < b->wall ? 1 : a->wall > b->wall ? -1 : 0;
}

static double share(int64_t part, int64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : 0;
}

/* Fills in the other mode's share of functions that are in the table already. */
static void fill_shares(struct row *rows, size_t count, const struct pst_top *top, bool wall)
{
    for (size_t i = 0; top && i < top->count; i++)
        for (size_t at = 0; at < count; at++) {
            struct row *row = &rows[at];

            if (row->line != top->rows[i].start_line || !pst_str_eq(row->name, top->rows[i].name) ||
                !pst_str_eq(row->file, top->rows[i].file))
                continue;
            *(wall ? &row->wall : &row->cpu) = share(top->rows[i].self_ns, top->total_ns);
        }
}

/* The functions with most own CPU; the last three rows go to those where threads wait, when there
 * are such. */
static size_t choose_rows(const struct service *service, unsigned wanted, struct row *rows)
{
    unsigned waiting = wanted > 6 ? 3 : wanted / 3;
    size_t count = 0;

    for (size_t i = 0; service->cpu && i < service->cpu->count && count < wanted - waiting; i++)
        if (service->cpu->rows[i].self_ns > 0)
            (void)row_of(rows, &count, &service->cpu->rows[i]);
    for (size_t i = 0; service->wall && i < service->wall->count && count < wanted; i++)
        if (share(service->wall->rows[i].self_ns, service->wall_ns) >= 0.01)
            (void)row_of(rows, &count, &service->wall->rows[i]);
    for (size_t i = 0; service->cpu && i < service->cpu->count && count < wanted; i++)
        if (service->cpu->rows[i].self_ns > 0)
            (void)row_of(rows, &count, &service->cpu->rows[i]);
    fill_shares(rows, count, service->cpu, false);
    fill_shares(rows, count, service->wall, true);
    qsort(rows, count, sizeof(*rows), by_share);
    return count;
}

static void put_share(struct writer *w, bool known, double value)
{
    if (!known) {
        put(w, "      –");
        return;
    }
    if (value < 0.0005) {
        style(w, FAINT);
        put(w, "      ·");
        style(w, RESET);
        return;
    }
    if (value >= 0.05)
        style(w, value >= 0.25 ? HOT : WARM);
    put_number(w, "%6.1f%%", value * 100);
    if (value >= 0.05)
        style(w, RESET);
}

static void put_place(struct writer *w, const struct row *row, size_t columns)
{
    struct pst_buf place;

    if (!row->file.len)
        return;
    pst_buf_init(&place, 1 << 16);
    if (w->error == 0)
        w->error = pst_buf_str(&place, pst_frame_short_file(row->file));
    if (w->error == 0 && row->shown_line > 0)
        w->error = pst_buf_printf(&place, ":%lld", (long long)row->shown_line);
    style(w, FAINT);
    put_text(w, pst_buf_view(&place), columns, true, false);
    style(w, RESET);
    pst_buf_done(&place);
}

static void put_rows(struct writer *w, const struct service *service)
{
    pst_autofree struct row *rows = calloc((size_t)w->rows + 1, sizeof(*rows));
    size_t left = w->width - 18, name_columns = left * 55 / 100, count;

    if (!rows) {
        w->error = -ENOMEM;
        return;
    }
    count = choose_rows(service, w->rows, rows);
    style(w, FAINT);
    put(w, "     CPU    WALL  ");
    put_text(w, PST_STR("FUNCTION"), name_columns, false, true);
    put(w, " FILE:LINE\n");
    style(w, RESET);
    for (size_t i = 0; i < count; i++) {
        put(w, " ");
        put_share(w, service->cpu != NULL, rows[i].cpu);
        put(w, " ");
        put_share(w, service->wall != NULL, rows[i].wall);
        put(w, "  ");
        put_text(w, rows[i].name, name_columns, false, rows[i].file.len > 0);
        put(w, rows[i].file.len ? " " : "");
        put_place(w, &rows[i], left - name_columns - 1);
        put(w, "\n");
    }
    if (!count)
        put(w, "  nothing sampled yet\n");
}

static void put_service(struct writer *w, const struct service *service, int64_t all_cpu_ns,
                        int64_t elapsed_ns)
{
    put(w, "\n");
    style(w, BOLD);
    put_text(w, service->given->name, w->width / 2, false, false);
    style(w, RESET);
    put(w, "  Python ");
    put_text(w, service->given->python, 24, false, false);
    put(w, " · ");
    put_count(w, service->given->processes, "process", "processes");
    if (service->cpu) {
        put_number(w, " · CPU %.2f cores", share(service->cpu_ns, elapsed_ns));
        put_number(w, " (%.0f%% of all)", 100 * share(service->cpu_ns, all_cpu_ns));
    }
    if (service->wall)
        put_number(w, " · wall %.1f threads", share(service->wall_ns, elapsed_ns));
    put(w, "\n");
    put_rows(w, service);
}

static void put_headline(struct writer *w, const struct pst_summary_totals *totals, size_t services)
{
    style(w, BOLD);
    put(w, "pystrobe");
    style(w, RESET);
    put(w, "  ");
    if (w->error == 0)
        w->error = pst_text_duration(w->out, totals->elapsed_ns);
    if (totals->hz > 0)
        put_number(w, " at %.1f Hz", totals->hz);
    put(w, " · ");
    put_count(w, (int64_t)services, "service", "services");
    put(w, " · ");
    put_count(w, totals->processes, "process", "processes");
    put(w, " · ");
    put_count(w, totals->samples, "sample", "samples");
    put_number(w, ", %.0f torn", (double)totals->torn);
    if (totals->unreadable)
        put_number(w, " · %.0f not readable (pystrobe ps says why)", totals->unreadable);
    put(w, "\n");
    if (totals->page) {
        put(w, "          ");
        put(w, totals->page);
        put(w, "\n");
    }
}

int pst_summary_write(const struct pst_summary_service *services, size_t count,
                      const struct pst_summary_totals *totals,
                      const struct pst_summary_options *options, struct pst_buf *out)
{
    struct writer w = {
        .out = out, .options = options, .width = options->width, .rows = options->rows};
    size_t shown = options->services ? options->services : SERVICES_DEFAULT;
    struct service *sorted = NULL;
    int64_t all_cpu_ns = 0;
    int rc = services_new(services, count, &sorted);

    if (rc < 0)
        return rc;
    if (!w.width)
        w.width = WIDTH_DEFAULT;
    if (w.width < WIDTH_MIN)
        w.width = WIDTH_MIN;
    if (!w.rows)
        w.rows = ROWS_DEFAULT;
    for (size_t i = 0; i < count; i++)
        all_cpu_ns += sorted[i].cpu_ns;
    put_headline(&w, totals, count);
    for (size_t i = 0; i < count && i < shown; i++)
        put_service(&w, &sorted[i], all_cpu_ns, totals->elapsed_ns);
    if (count > shown) {
        put(&w, "\n  and ");
        put_count(&w, (int64_t)(count - shown), "further service\n", "further services\n");
    }
    services_free(sorted, count);
    return w.error;
}
