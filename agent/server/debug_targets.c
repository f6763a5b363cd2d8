/* /debug/targets: what discovery and sampling know about each Python process, as JSON for scripts
 * and as a table for people (by Accept, or format=html|json). */
#include <string.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "internal.h"

static void put_label(json_t *object, struct pst_str name, struct pst_str value)
{
    char *key = pst_str_dup(name);
    if (key)
        (void)json_object_set_new_nocheck(object, key, pst_json_str(value));
    free(key);
}

static json_t *labels_json(const struct pst_labels *labels)
{
    json_t *object = json_object();
    for (size_t i = 0; object && labels && i < pst_labels_count(labels); i++) {
        struct pst_str name, value;
        pst_labels_at(labels, i, &name, &value);
        put_label(object, name, value);
    }
    return object;
}

static json_t *meta_json(const struct pst_meta *meta)
{
    json_t *object = json_object();
    for (size_t i = 0; object && meta && i < pst_meta_count(meta); i++) {
        struct pst_str name, value;
        pst_meta_at(meta, i, &name, &value);
        put_label(object, name, value);
    }
    return object;
}

static json_t *row_json(const struct pst_target_row *row)
{
    json_t *object = json_object();
    const struct {
        const char *key, *text;
    } texts[] = {{"service", row->service},
                 {"python_version", row->version},
                 {"second_python_version", row->second_version},
                 {"build", row->build},
                 {"executable", row->exe},
                 {"command", row->command},
                 {"container", row->container},
                 {"state", row->state},
                 {"reason", row->reason},
                 {"why", row->why}};
    const struct {
        const char *key;
        uint64_t number;
    } numbers[] = {{"id", row->id},
                   {"pid", (uint64_t)row->pid},
                   {"parent", (uint64_t)row->parent},
                   {"start_ticks", row->start_ticks},
                   {"threads", row->threads},
                   {"samples", row->samples},
                   {"torn", row->torn},
                   {"failed", row->failed},
                   {"trimmed", row->trimmed},
                   {"retried", row->retried},
                   {"late", row->late},
                   {"last_sample_ns", (uint64_t)row->last_sample_ns}};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        (void)json_object_set_new(object, texts[i].key, pst_json_text(texts[i].text));
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        (void)json_object_set_new(object, numbers[i].key,
                                  json_integer((json_int_t)numbers[i].number));
    (void)json_object_set_new(object, "rate_hz", json_real(row->rate_hz));
    (void)json_object_set_new(object, "cpu_ratio", json_real(row->cpu_ratio));
    (void)json_object_set_new(object, "labels_before", meta_json(row->before));
    (void)json_object_set_new(object, "labels_after", labels_json(row->after));
    return object;
}

/* How much less than asked for the agent does to stay inside sampling.overhead. */
static json_t *budget_json(void)
{
    static const char *const parts[] = {"rate", "caches", "modes", "targets"};
    json_t *object = json_object();
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        (void)json_object_set_new(object, parts[i],
                                  json_real(pst_metric_get(PST_METRIC_BUDGET, parts[i], NULL)));
    return object;
}

static void budget_html(struct pst_buf *out)
{
    double rate = pst_metric_get(PST_METRIC_BUDGET, "rate", NULL),
           caches = pst_metric_get(PST_METRIC_BUDGET, "caches", NULL),
           modes = pst_metric_get(PST_METRIC_BUDGET, "modes", NULL),
           targets = pst_metric_get(PST_METRIC_BUDGET, "targets", NULL);
    if (rate + caches + modes + targets < 4)
        (void)pst_buf_printf(out,
                             "<p>To stay inside sampling.overhead: rates x%.3g, caches x%.3g, "
                             "targets x%.3g%s.</p>\n",
                             rate, caches, targets, modes < 1 ? ", cpu mode alone" : "");
}

static void serve_json(const struct pst_target_snapshot *snapshot, struct pst_answer *answer)
{
    json_t *root = json_object(), *list = json_array();
    for (size_t i = 0; snapshot && i < snapshot->count; i++)
        (void)json_array_append_new(list, row_json(&snapshot->rows[i]));
    (void)json_object_set_new(root, "budget", budget_json());
    (void)json_object_set_new(root, "taken_ns", json_integer(snapshot ? snapshot->taken_ns : 0));
    (void)json_object_set_new(root, "targets", list);
    pst_answer_json(answer, MHD_HTTP_OK, root);
}

static void cell(struct pst_buf *out, const char *text)
{
    (void)pst_buf_puts(out, "<td>");
    (void)pst_html_text(out, pst_str(text ? text : ""));
    (void)pst_buf_puts(out, "</td>");
}

static void label_code(struct pst_buf *out, struct pst_str name, struct pst_str value)
{
    (void)pst_buf_puts(out, "<code>");
    (void)pst_html_text(out, name);
    (void)pst_buf_puts(out, "=");
    (void)pst_html_text(out, value);
    (void)pst_buf_puts(out, "</code> ");
}

static void before_cell(struct pst_buf *out, const struct pst_meta *meta)
{
    (void)pst_buf_puts(out, "<td class=\"labels\">");
    for (size_t i = 0; meta && i < pst_meta_count(meta); i++) {
        struct pst_str name, value;
        pst_meta_at(meta, i, &name, &value);
        label_code(out, name, value);
    }
    (void)pst_buf_puts(out, "</td>");
}

static void after_cell(struct pst_buf *out, const struct pst_target_row *row)
{
    const struct pst_labels *labels = row->after;
    (void)pst_buf_puts(out, "<td class=\"labels\">");
    for (size_t i = 0; labels && i < pst_labels_count(labels); i++) {
        struct pst_str name, value;
        pst_labels_at(labels, i, &name, &value);
        label_code(out, name, value);
    }
    (void)pst_buf_puts(out, "<details><summary>why</summary><pre>");
    (void)pst_html_text(out, pst_str(row->why ? row->why : ""));
    (void)pst_buf_puts(out, "</pre></details></td>");
}

static int row_html(struct pst_buf *out, const struct pst_target_row *row)
{
    (void)pst_buf_printf(out, "<tr><td class=\"number\">%d</td>", (int)row->pid);
    cell(out, row->service);
    (void)pst_buf_puts(out, "<td>");
    (void)pst_html_text(out, pst_str(row->version ? row->version : ""));
    if (row->second_version)
        (void)pst_buf_printf(out, " and %s", row->second_version);
    (void)pst_buf_puts(out, "</td>");
    (void)pst_buf_puts(out, "<td><span class=\"state ");
    (void)pst_html_text(out, pst_str(row->state ? row->state : ""));
    (void)pst_buf_puts(out, "\">");
    (void)pst_html_text(out, pst_str(row->state ? row->state : ""));
    (void)pst_buf_puts(out, "</span></td>");
    cell(out, row->reason);
    (void)pst_buf_printf(out,
                         "<td class=\"number\">%.1f</td><td class=\"number\">%llu</td>"
                         "<td class=\"number\">%llu</td><td class=\"number\">%llu</td>",
                         row->rate_hz, (unsigned long long)row->samples,
                         (unsigned long long)row->torn, (unsigned long long)row->failed);
    before_cell(out, row->before);
    after_cell(out, row);
    cell(out, row->command);
    return pst_buf_puts(out, "</tr>\n");
}

static void serve_html(const struct pst_target_snapshot *snapshot, struct pst_answer *answer)
{
    struct pst_buf *out = &answer->body;
    answer->type = "text/html; charset=utf-8";
    int r = pst_buf_puts(
        out,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>targets - pystrobe"
        "</title><meta name=\"viewport\" content=\"width=device-width\">"
        "<link rel=\"stylesheet\" href=\"/page.css\"><body class=\"plain\"><h1>Targets</h1>\n");
    budget_html(out);
    if (r == 0)
        r = pst_buf_puts(
            out, "<table><thead><tr><th>pid<th>service<th>Python<th>state<th>reason<th>rate, Hz"
                 "<th>samples<th>torn<th>failed<th>labels found<th>labels sent<th>command</thead>"
                 "<tbody>\n");
    for (size_t i = 0; r == 0 && snapshot && i < snapshot->count; i++)
        r = row_html(out, &snapshot->rows[i]);
    if (r == 0 && (!snapshot || snapshot->count == 0))
        r = pst_buf_puts(out, "<tr><td colspan=\"12\">No Python process was found yet. The agent "
                              "looks every few seconds; <code>pystrobe ps</code> says what it sees."
                              "</td></tr>\n");
    if (r == 0)
        r = pst_buf_puts(out, "</tbody></table></body></html>\n");
    if (r < 0)
        pst_answer_text(answer, MHD_HTTP_INTERNAL_SERVER_ERROR, "the table is too large");
}

/* A browser names text/html before anything else; scripts name JSON or nothing. */
static bool wants_html(struct pst_request *request)
{
    struct pst_str format = pst_request_argument(request, "format");
    if (format.len > 0)
        return pst_str_eq(format, PST_STR("html"));
    struct pst_str accept = pst_request_header(request, "Accept"), part;
    while (pst_str_next(&accept, ',', &part)) {
        part = pst_str_trim((struct pst_str){part.ptr, pst_str_find(part, ';')});
        if (pst_str_eq(part, PST_STR("text/html")))
            return true;
        if (pst_str_eq(part, PST_STR("application/json")))
            return false;
    }
    return false;
}

void pst_serve_targets(struct pst_request *request, struct pst_answer *answer)
{
    const struct pst_server_hooks *hooks = &request->server->hooks;
    struct pst_target_snapshot *snapshot = hooks->targets ? hooks->targets(hooks->context) : NULL;
    if (wants_html(request))
        serve_html(snapshot, answer);
    else
        serve_json(snapshot, answer);
    pst_target_snapshot_unref(snapshot);
}
