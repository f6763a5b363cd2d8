/* /metrics, /healthz, /readyz, /-/reload: thin shells over the daemon's hooks. */
#include <string.h>

#include "base/metrics.h"
#include "internal.h"

void pst_serve_metrics(struct pst_request *request, struct pst_answer *answer)
{
    struct pst_server *server = request->server;
    if (server->store)
        pst_store_update_metrics(server->store);
    if (server->hooks.refresh_metrics)
        server->hooks.refresh_metrics(server->hooks.context);
    answer->type = "text/plain; version=0.0.4; charset=utf-8";
    if (pst_metrics_write(&answer->body) < 0)
        pst_answer_text(answer, MHD_HTTP_INTERNAL_SERVER_ERROR, "not enough memory");
}

/* First line: the verdict; then the reasons, which a healthy answer may have too. */
static void verdict(struct pst_server *server, bool (*hook)(void *context, struct pst_buf *reason),
                    bool with_store, struct pst_answer *answer)
{
    struct pst_buf reason;
    pst_buf_init(&reason, 16384);
    bool good = !hook || hook(server->hooks.context, &reason);
    answer->status = good ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
    (void)pst_buf_puts(&answer->body, good ? "ok\n" : "not ok\n");
    if (reason.len > 0) {
        (void)pst_buf_utf8(&answer->body, pst_buf_view(&reason));
        if (reason.data[reason.len - 1] != '\n')
            (void)pst_buf_puts(&answer->body, "\n");
    }
    pst_buf_done(&reason);
    struct pst_store_stats stats;
    if (!with_store || !server->store)
        return;
    pst_store_stats(server->store, &stats);
    if (stats.degraded)
        (void)pst_buf_printf(&answer->body, "embedded store degraded: %s\n", stats.reason);
}

void pst_serve_health(struct pst_request *request, struct pst_answer *answer)
{
    verdict(request->server, request->server->hooks.health, false, answer);
}

void pst_serve_ready(struct pst_request *request, struct pst_answer *answer)
{
    verdict(request->server, request->server->hooks.ready, true, answer);
}

void pst_serve_reload(struct pst_request *request, struct pst_answer *answer)
{
    struct pst_server *server = request->server;
    struct pst_error error = {0};
    if (!server->hooks.reload) {
        pst_answer_text(answer, MHD_HTTP_NOT_IMPLEMENTED, "nothing to reload");
        return;
    }
    int r = server->hooks.reload(server->hooks.context, &error);
    if (r == 0)
        pst_answer_text(answer, MHD_HTTP_OK, "reloaded");
    else
        pst_answer_text(answer, MHD_HTTP_INTERNAL_SERVER_ERROR,
                        "kept the old configuration: %s%s%s%s%s", error.where,
                        error.where[0] ? ": " : "", error.text[0] ? error.text : strerror(-r),
                        error.remedy[0] ? "; " : "", error.remedy);
}
