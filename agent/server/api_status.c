/* /api/status: the page's strip of health: readiness, exporters, store, and how good the samples
 * are, from the same counters as /metrics. */
#include "base/clock.h"
#include "base/metrics.h"
#include "internal.h"

enum { MAX_EXPORTERS = 32 };

static json_t *verdict(struct pst_server *server,
                       bool (*hook)(void *context, struct pst_buf *reason))
{
    struct pst_buf reason;
    pst_buf_init(&reason, 16384);
    bool good = !hook || hook(server->hooks.context, &reason);
    json_t *object = json_object();
    (void)json_object_set_new(object, "ok", json_boolean(good));
    (void)json_object_set_new(object, "reason", pst_json_str(pst_buf_view(&reason)));
    pst_buf_done(&reason);
    return object;
}

static json_t *store_json(struct pst_store *store)
{
    struct pst_store_stats stats;
    if (!store)
        return json_null();
    pst_store_stats(store, &stats);
    json_t *object = json_object();
    (void)json_object_set_new(object, "degraded", json_boolean(stats.degraded));
    (void)json_object_set_new(object, "reason", pst_json_text(stats.reason));
    (void)json_object_set_new(object, "profiles", json_integer((json_int_t)stats.profiles));
    (void)json_object_set_new(object, "bytes", json_integer((json_int_t)stats.bytes));
    (void)json_object_set_new(object, "dropped", json_integer((json_int_t)stats.dropped));
    (void)json_object_set_new(object, "damaged_files",
                              json_integer((json_int_t)stats.corrupt_files));
    (void)json_object_set_new(object, "oldest_ns", json_integer(stats.oldest_ns));
    return object;
}

static json_t *exporters_json(const struct pst_server_hooks *hooks)
{
    struct pst_server_exporter rows[MAX_EXPORTERS] = {0};
    size_t count = hooks->exporters ? hooks->exporters(hooks->context, rows, MAX_EXPORTERS) : 0;
    json_t *list = json_array();
    for (size_t i = 0; i < count && i < MAX_EXPORTERS; i++) {
        json_t *object = json_object();
        (void)json_object_set_new(object, "name", pst_json_text(rows[i].name));
        (void)json_object_set_new(object, "type", pst_json_text(rows[i].type));
        (void)json_object_set_new(object, "state", pst_json_text(rows[i].state));
        (void)json_object_set_new(object, "reason", pst_json_text(rows[i].reason));
        (void)json_object_set_new(object, "sent", json_integer((json_int_t)rows[i].sent));
        (void)json_object_set_new(object, "dropped", json_integer((json_int_t)rows[i].dropped));
        (void)json_object_set_new(object, "queued", json_integer((json_int_t)rows[i].queued));
        (void)json_object_set_new(object, "last_success_ns", json_integer(rows[i].last_success_ns));
        (void)json_array_append_new(list, object);
    }
    return list;
}

static json_t *samples_json(void)
{
    const double taken = pst_metric_sum(PST_METRIC_SAMPLES);
    const double torn = pst_metric_get(PST_METRIC_SAMPLE_ERRORS, "torn", NULL);
    const double failed = pst_metric_sum(PST_METRIC_SAMPLE_ERRORS) - torn;
    json_t *object = json_object();
    (void)json_object_set_new(object, "taken", json_integer((json_int_t)taken));
    (void)json_object_set_new(object, "torn", json_integer((json_int_t)torn));
    (void)json_object_set_new(object, "failed", json_integer((json_int_t)failed));
    (void)json_object_set_new(
        object, "late", json_integer((json_int_t)pst_metric_get(PST_METRIC_OVERRUNS, NULL, NULL)));
    (void)json_object_set_new(object, "overhead_cpu",
                              json_real(pst_metric_get(PST_METRIC_OVERHEAD, NULL, NULL)));
    (void)json_object_set_new(
        object, "overhead_bytes",
        json_integer((json_int_t)pst_metric_get(PST_METRIC_OVERHEAD_MEMORY, NULL, NULL)));
    return object;
}

void pst_serve_status(struct pst_request *request, struct pst_answer *answer)
{
    struct pst_server *server = request->server;
    if (server->hooks.refresh_metrics)
        server->hooks.refresh_metrics(server->hooks.context);
    json_t *root = json_object();
    (void)json_object_set_new(root, "version", json_string(PST_VERSION));
    (void)json_object_set_new(root, "now_ns", json_integer((json_int_t)pst_clock_realtime_ns()));
    (void)json_object_set_new(root, "ready", verdict(server, server->hooks.ready));
    (void)json_object_set_new(root, "store", store_json(server->store));
    (void)json_object_set_new(root, "exporters", exporters_json(&server->hooks));
    (void)json_object_set_new(root, "samples", samples_json());
    pst_answer_json(answer, MHD_HTTP_OK, root);
}
