/* `top --once`: the table as text for people or JSON for scripts. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "render/text.h"
#include "top.h"

enum { TEXT_ROWS = 30, TITLE_BYTES = 4096 };

static const char *const states[] = {
    [PST_TOP_RUNNING] = "running", [PST_TOP_IDLE] = "idle",   [PST_TOP_WAITING] = "waiting",
    [PST_TOP_EXEC] = "exec",       [PST_TOP_GONE] = "gone",   [PST_TOP_REFUSED] = "refused",
    [PST_TOP_STALLED] = "stalled", [PST_TOP_ENDED] = "ended",
};

static json_t *rows_json(const struct pst_live_table *table)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < table->count; i++) {
        const struct pst_live_row *row = &table->rows[i];

        (void)json_array_append_new(
            rows,
            json_pack("{s:s%, s:f, s:f, s:f, s:f}", "function", row->text.ptr, row->text.len,
                      "own_percent", 100 * row->own, "total_percent", 100 * row->total, "own_s",
                      (double)row->own_ns / 1e9, "total_s", (double)row->total_ns / 1e9));
    }
    return rows;
}

static int print_json(const struct pst_top_run *top, const struct pst_live_state *live,
                      const struct pst_live_table *table)
{
    bool no_gil = pst_session_progress(top->session).free_threaded;
    json_t *gil = no_gil ? json_null() : json_real(100 * live->gil.last);
    json_t *all =
        json_pack("{s:s, s:s, s:f, s:f, s:o, s:I, s:I, s:I, s:I, s:I, s:o}", "state",
                  states[pst_top_state(top, pst_clock_monotonic_ns())], "mode",
                  pst_mode_word(top->mode), "elapsed_s", (double)live->elapsed_ns / 1e9,
                  "active_percent", 100 * live->active.last, "gil_percent", gil, "processes",
                  (json_int_t)top->last.processes, "threads", (json_int_t)top->last.threads,
                  "looks", (json_int_t)top->last.ticks, "torn", (json_int_t)top->last.torn,
                  "failed", (json_int_t)top->last.failed, "rows", rows_json(table));
    int rc = all && json_dumpf(all, stdout,
                               JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(6)) == 0
                 ? 0
                 : -EIO;

    json_decref(all);
    (void)putchar('\n');
    return rc;
}

static int print_text(const struct pst_top_run *top, const struct pst_live_state *live,
                      const struct pst_live_table *table)
{
    struct pst_buf title;

    pst_buf_init(&title, TITLE_BYTES);
    pst_top_title(top, &title);
    (void)printf("%s, %s, %s time over %.2f s, active %.1f%%, GIL ", title.data ? title.data : "",
                 states[pst_top_state(top, pst_clock_monotonic_ns())], pst_mode_word(top->mode),
                 (double)live->elapsed_ns / 1e9, 100 * live->active.last);
    if (pst_session_progress(top->session).free_threaded)
        (void)fputs("none\n", stdout);
    else
        (void)printf("%.1f%%\n", 100 * live->gil.last);
    pst_buf_done(&title);
    (void)puts("  %Own   %Total   OwnTime  TotalTime  Function (file)");
    for (size_t i = 0; i < table->count && i < TEXT_ROWS; i++) {
        const struct pst_live_row *row = &table->rows[i];

        (void)printf("%6.2f%%  %6.2f%%  %7.2fs  %8.2fs  %.*s\n", 100 * row->own, 100 * row->total,
                     (double)row->own_ns / 1e9, (double)row->total_ns / 1e9, (int)row->text.len,
                     row->text.ptr);
    }
    return 0;
}

int pst_top_print(const struct pst_top_run *top)
{
    struct pst_live_query query = {PST_LIVE_FUNCTIONS, PST_LIVE_BY_OWN_TIME, PST_STR("")};
    struct pst_live_table *table = NULL;
    struct pst_live_state live;
    int rc = pst_live_table_new(top->live, &query, &table);

    if (rc < 0)
        return rc;
    pst_live_state(top->live, &live);
    rc = top->args.json ? print_json(top, &live, table) : print_text(top, &live, table);
    pst_live_table_free(table);
    return rc;
}
