/* The table of paths: what is public off loopback, which methods, who answers. */
#include <stdio.h>
#include <string.h>

#include "base/metrics.h"
#include "internal.h"

struct route {
    const char *path;
    bool is_public; /* served off loopback without a token */
    bool post;      /* POST only; else GET and HEAD */
    void (*serve)(struct pst_request *request, struct pst_answer *answer);
    const char *counted; /* alias of this one in the metrics; NULL: itself */
};

static const struct route routes[] = {
    {"/metrics", true, false, pst_serve_metrics, NULL},
    {"/healthz", true, false, pst_serve_health, NULL},
    {"/-/healthy", true, false, pst_serve_health, "/healthz"},
    {"/readyz", true, false, pst_serve_ready, NULL},
    {"/-/ready", true, false, pst_serve_ready, "/readyz"},
    {"/-/reload", false, true, pst_serve_reload, NULL},
    {"/debug/targets", false, false, pst_serve_targets, NULL},
    {"/debug/pprof/profile", false, false, pst_serve_pull, NULL},
    {"/", false, false, pst_serve_asset, NULL},
    {"/page.js", false, false, pst_serve_asset, "/"},
    {"/page.css", false, false, pst_serve_asset, "/"},
    {"/icon.svg", false, false, pst_serve_asset, "/"},
    {"/api/status", false, false, pst_serve_status, NULL},
    {"/api/targets", false, false, pst_serve_targets, NULL},
    {"/api/services", false, false, pst_serve_services, NULL},
    {"/api/timeline", false, false, pst_serve_timeline, NULL},
    {"/api/top", false, false, pst_serve_top, NULL},
    {"/api/flamegraph.svg", false, false, pst_serve_flamegraph, NULL},
    {"/api/profile.pb.gz", false, false, pst_serve_download, NULL},
};

static const struct route *find(const char *path)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
        if (strcmp(routes[i].path, path) == 0)
            return &routes[i];
    return NULL;
}

static bool method_fits(const struct route *route, const char *method)
{
    if (route->post)
        return strcmp(method, "POST") == 0;
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

static void serve(const struct route *route, struct pst_request *request, struct pst_answer *answer)
{
    if (request->too_large) {
        pst_answer_text(answer, MHD_HTTP_CONTENT_TOO_LARGE, "no request here has a body");
        return;
    }
    /* An unknown path is guarded like the page: it tells a stranger nothing. */
    if (!pst_guard_admits(request, route && route->is_public, answer))
        return;
    if (!route) {
        pst_answer_text(answer, MHD_HTTP_NOT_FOUND,
                        "not found; there are /, /metrics, /healthz, /readyz, /debug/targets, "
                        "/debug/pprof/profile?service=&seconds=&mode= and POST /-/reload");
        return;
    }
    if (!method_fits(route, request->method)) {
        pst_answer_text(answer, MHD_HTTP_METHOD_NOT_ALLOWED, "method not allowed");
        answer->allow = route->post ? "POST" : "GET, HEAD";
        return;
    }
    route->serve(request, answer);
}

void pst_route(struct pst_request *request, struct pst_answer *answer)
{
    const struct route *route = find(request->path);
    serve(route, request, answer);
    char code[16];
    (void)snprintf(code, sizeof(code), "%u", answer->status);
    pst_metric_add(PST_METRIC_HTTP_REQUESTS,
                   !route           ? "other"
                   : route->counted ? route->counted
                                    : route->path,
                   code, 1);
}
