/* Pods of this node: from the kubelet's /pods, else from the API server with a field selector on
 * the node: a list, then a watch from it on. The token is read anew for each request, since it is
 * replaced while we run, and goes only to a server whose certificate was verified, unless the
 * configuration says otherwise. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "engine.h"

enum { PAGE_PODS = 50, MOST_PAGES = 200, PATH_BYTES = 4096 };
static const uint64_t timeout_ns = 10 * PST_NS_PER_S;

/* A server that has just started refuses what it does not know to be allowed yet. */
enum { REFUSALS = 3 };
static const uint64_t unwatched_ns = 300 * PST_NS_PER_S;

/* Paths and addresses of one request. */
struct place {
    char token[512], ca[512], url[512];
};

static const char *account(const struct pst_config *config)
{
    return config->discovery.kubernetes.service_account;
}

static bool usable(const char *word, const char *name)
{
    return strcmp(word, "auto") == 0 || strcmp(word, name) == 0;
}

static bool has_kubelet(const struct pst_config *config)
{
    return usable(config->discovery.kubernetes.source, "kubelet") &&
           config->discovery.kubernetes.kubelet_url[0];
}

static bool api_url(const struct pst_config *config, char *dst, size_t size)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST");
    const char *port = getenv("KUBERNETES_SERVICE_PORT");

    if (config->discovery.kubernetes.apiserver_url[0])
        (void)snprintf(dst, size, "%s", config->discovery.kubernetes.apiserver_url);
    else if (host && host[0])
        (void)snprintf(dst, size, strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host,
                       port && port[0] ? port : "443");
    else
        return false;
    return true;
}

static bool has_api(const struct pst_config *config)
{
    char url[512];

    return usable(config->discovery.kubernetes.source, "apiserver") &&
           config->discovery.kubernetes.node[0] && api_url(config, url, sizeof(url));
}

static bool present(const struct pst_config *config)
{
    const char *enabled = config->discovery.kubernetes.enabled;
    char token[512];

    (void)snprintf(token, sizeof(token), "%s/token", account(config));
    if (strcmp(enabled, "false") == 0 || !(has_kubelet(config) || has_api(config)))
        return false;
    return strcmp(enabled, "true") == 0 || access(token, R_OK) == 0;
}

static void settings_of(const struct pst_config *config, const char *ca_file, struct place *place,
                        struct pst_net_settings *ret)
{
    (void)snprintf(place->token, sizeof(place->token), "%s/token", account(config));
    (void)snprintf(place->ca, sizeof(place->ca), "%s/ca.crt", account(config));
    *ret = (struct pst_net_settings){.url = place->url, .timeout_ns = timeout_ns};
    /* never in the clear */
    if (strncmp(place->url, "https://", 8) == 0 && access(place->token, F_OK) == 0)
        ret->auth.bearer_token_file = place->token;
    if (ca_file[0])
        ret->tls.ca_file = ca_file;
    else if (access(place->ca, F_OK) == 0)
        ret->tls.ca_file = place->ca;
    ret->no_proxy = "*"; /* node and cluster addresses */
}

static void count(const char *source, int status)
{
    char code[16];

    (void)snprintf(code, sizeof(code), "%d", status);
    pst_metric_add(PST_METRIC_K8S_REQUESTS, source, code, 1);
}

static int fetch_kubelet(struct pst_asking *asking)
{
    const struct pst_config *config = asking->config;
    struct pst_net_settings settings;
    struct place place = {0};
    int code;

    pst_engine_bracketed_url(config->discovery.kubernetes.kubelet_url, place.url,
                             sizeof(place.url));
    settings_of(config, config->discovery.kubernetes.kubelet_ca_file, &place, &settings);
    settings.tls.insecure_skip_verify = config->discovery.kubernetes.kubelet_insecure_skip_verify;
    (void)pst_buf_printf(asking->why, "kubelet %s: ", place.url);
    json_t *list = pst_engine_get_json(&settings, asking->cancel, "/pods", &code, asking->why);
    count("kubelet", code);
    int status = list ? pst_kubernetes_take(asking->metadata, list) : -EIO;
    if (list && status < 0)
        (void)pst_buf_puts(asking->why, "the answer is no list of pods");
    json_decref(list);
    return status;
}

static void append_escaped(const char *text, char *dst, size_t size)
{
    size_t used = strlen(dst);

    for (; *text && used + 4 < size; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain =
            (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || strchr("-._~", c);
        used += (size_t)snprintf(dst + used, size - used, plain ? "%c" : "%%%02X", c);
    }
}

static void append(const char *text, char *dst, size_t size)
{
    strncat(dst, text, size - strlen(dst) - 1);
}

/* What selects the pods of this node. */
static void pods_path(const struct pst_config *config, char *dst, size_t size)
{
    (void)snprintf(dst, size, "/api/v1/pods?fieldSelector=spec.nodeName%%3D");
    append_escaped(config->discovery.kubernetes.node, dst, size);
}

/* What any version of the list will do for is answered from memory by the server, whole; else it
 * asks its database, and answers in pages. */
static void list_path(const struct pst_asking *asking, const char *token, char *dst, size_t size)
{
    char limit[32];

    pods_path(asking->config, dst, size);
    if (!asking->memory->paged) {
        append("&resourceVersion=0", dst, size);
        return;
    }
    (void)snprintf(limit, sizeof(limit), "&limit=%d", PAGE_PODS);
    append(limit, dst, size);
    if (token[0]) {
        append("&continue=", dst, size);
        append_escaped(token, dst, size);
    }
}

static void keep_text(struct pst_str text, char *dst, size_t size)
{
    size_t len = text.len < size ? text.len : 0;

    memcpy(dst, text.ptr, len);
    dst[len] = '\0';
}

/* One page. 1: there is another, whose token is in token (of any size: a longer one ends it). */
static int fetch_page(struct pst_asking *asking, const struct pst_net_settings *settings,
                      char *token, size_t size)
{
    char path[PATH_BYTES];
    int code;
    bool first = token[0] == '\0';

    list_path(asking, token, path, sizeof(path));
    json_t *list = pst_engine_get_json(settings, asking->cancel, path, &code, asking->why);
    count("apiserver", code);
    if (!list)
        return code == 410 ? -ESTALE : code == 200 && !asking->memory->paged ? -E2BIG : -EIO;
    const json_t *about = json_object_get(list, "metadata");
    int status = pst_kubernetes_take(asking->metadata, list);
    if (status == 0 && first)
        pst_kubernetes_note_version(asking->memory, about);
    keep_text(pst_json_member(about, "continue"), token, size);
    if (status == 0)
        status = token[0] != '\0';
    else
        (void)pst_buf_puts(asking->why, "the answer is no list of pods");
    json_decref(list);
    return status;
}

static int list_pods(struct pst_asking *asking, const struct pst_net_settings *settings)
{
    char token[2048] = "";
    int status = 1;

    for (int page = 0; page < MOST_PAGES && status == 1; page++) {
        status = fetch_page(asking, settings, token, sizeof(token));
        /* too large in one piece; or the list that a page continued is gone: from the start */
        if (status == -E2BIG || (status == -ESTALE && token[0])) {
            asking->memory->paged = true;
            token[0] = '\0';
            status = 1;
        }
    }
    return status < 0 ? -EIO : 0;
}

static bool api_settings(struct pst_asking *asking, struct place *place,
                         struct pst_net_settings *ret)
{
    if (!api_url(asking->config, place->url, sizeof(place->url)))
        return false;
    settings_of(asking->config, "", place, ret);
    (void)pst_buf_printf(asking->why, "API server %s: ", place->url);
    return true;
}

/* A list is fetched once; from its version on, changes are followed. */
static int fetch_api(struct pst_asking *asking)
{
    struct pst_engine_memory *memory = asking->memory;
    struct pst_net_settings settings;
    struct place place = {0};

    if (memory->version[0])
        return PST_ENGINE_FOLLOW;
    if (!api_settings(asking, &place, &settings))
        return -ENOENT;
    int status = list_pods(asking, &settings);
    if (status < 0 || pst_clock_monotonic_ns() < memory->unwatched_ns)
        memory->version[0] = '\0';
    if (status < 0 || !memory->version[0])
        return status;
    pst_asking_answered(asking);
    return PST_ENGINE_FOLLOW;
}

static int fetch(struct pst_asking *asking, const struct pst_container_key *ids, size_t id_count)
{
    struct pst_engine_memory *memory = asking->memory;
    int status = -ENOENT;

    if (has_kubelet(asking->config)) {
        status = fetch_kubelet(asking);
        if (status == 0) {
            memory->fell_back = false;
            memory->version[0] = '\0';
        }
        if (status == 0 || pst_cancel_raised(asking->cancel))
            return status;
    }
    if (!has_api(asking->config))
        return status;
    if (asking->why->len > 0 && !memory->fell_back)
        pst_log_warn("kubelet", "%s; pods are read from the API server instead",
                     asking->why->data ? asking->why->data : "");
    memory->fell_back = true;
    pst_buf_reset(asking->why);
    return fetch_api(asking);
}

static int follow(struct pst_asking *asking)
{
    struct pst_net_settings settings;
    struct place place = {0};
    char path[PATH_BYTES];
    int code = 0;

    if (!api_settings(asking, &place, &settings))
        return -ENOENT;
    pods_path(asking->config, path, sizeof(path));
    int status = pst_kubernetes_watch(asking, &settings, path, &code);
    count("apiserver", code);
    if (status == -ESTALE) { /* a list from the server's memory may be as old */
        asking->memory->version[0] = '\0';
        asking->memory->paged = true;
    } else if (status == -EACCES && ++asking->memory->refused >= REFUSALS) {
        pst_log_warn("kubernetes",
                     "%s; the list is asked for again whenever a container is new: "
                     "the service account lacks the verb watch",
                     asking->why->data ? asking->why->data : "");
        asking->memory->version[0] = '\0';
        asking->memory->unwatched_ns = pst_clock_monotonic_ns() + unwatched_ns;
        asking->memory->refused = 0;
        status = -ESTALE;
    } else if (status != -EACCES) {
        asking->memory->refused = 0;
    }
    return status;
}

const struct pst_engine_ops pst_engine_KUBERNETES = {present, fetch, follow};
