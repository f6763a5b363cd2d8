/* What lies outside of the machine's processes: folders, backends, the agent's own endpoint. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "doctor.h"
#include "exporters/exporter.h"
#include "net/http.h"

/* The folder itself, or the nearest one above it, where it would be made. */
static void check_folder(struct pst_report *report, const char *name, const char *path,
                         uint64_t max_bytes)
{
    char folder[4096], free_text[32] = "?";
    struct stat info;
    struct statvfs space;
    uint64_t left = UINT64_MAX;
    char *slash;

    (void)snprintf(folder, sizeof folder, "%s", path);
    while (stat(folder, &info) < 0 && errno == ENOENT && (slash = strrchr(folder, '/')) != NULL)
        slash[slash == folder ? 1 : 0] = 0;
    if (access(folder, W_OK | X_OK) < 0) {
        pst_report(report, PST_CHECK_FAILED, name, "set its directory to a place of this user",
                   "%s cannot be written: %s", path, strerror(errno));
        return;
    }
    if (statvfs(folder, &space) == 0)
        left = space.f_bavail * space.f_frsize;
    if (left != UINT64_MAX)
        (void)snprintf(free_text, sizeof(free_text), "%" PRIu64, left >> 20);
    pst_report(report, left < max_bytes ? PST_CHECK_NOTE : PST_CHECK_OK, name,
               left < max_bytes ? "free space there, or lower its max_size" : NULL,
               "%s %s; %s MiB are free, it takes at most %" PRIu64 " MiB", path,
               strcmp(folder, path) == 0 ? "can be written" : "can be made", free_text,
               max_bytes >> 20);
}

static void check_exporter(struct pst_report *report, const struct pst_config_exporter *settings)
{
    const struct pst_exporter_type *type = pst_exporter_type(pst_str(settings->type));
    struct pst_exporter *exporter = NULL;
    struct pst_export_verdict verdict;
    struct pst_error error = {0};
    char name[80];

    (void)snprintf(name, sizeof name, "%s", settings->name);
    if (!type) {
        pst_report(report, PST_CHECK_FAILED, name, NULL, "type %s is not built in", settings->type);
        return;
    }
    if (type->create(settings, &exporter, &error) < 0) {
        pst_report(report, PST_CHECK_FAILED, name, error.remedy, "%.255s", error.text);
        return;
    }
    if (!type->probe) {
        pst_report(report, PST_CHECK_NOTE, name, NULL, "cannot be reached without sending");
    } else {
        verdict = type->probe(exporter);
        if (verdict.word == PST_EXPORT_DELIVERED)
            pst_report(report, PST_CHECK_OK, name, NULL, "%s answers",
                       strcmp(settings->type, "file") == 0 ? settings->directory : "the backend");
        else
            pst_report(report, PST_CHECK_FAILED, name,
                       verdict.word == PST_EXPORT_RETRY
                           ? "check its address and that the backend runs"
                           : "check credentials, address and type",
                       "not reached: %s%s%s", verdict.reason ? verdict.reason : "unknown",
                       verdict.detail[0] ? ": " : "", verdict.detail);
    }
    type->destroy(exporter);
}

/* The endpoint as a URL to connect to: a wildcard address is reached over loopback. */
static void endpoint_url(const char *listen, char *url, size_t size)
{
    struct pst_str text = pst_str(listen);
    size_t colon = pst_str_rfind(text, ':');
    struct pst_str host = {listen, colon < text.len ? colon : 0};

    if (pst_str_starts(text, PST_STR("unix:")))
        (void)snprintf(url, size, "%s", listen);
    else if (host.len == 0 || pst_str_eq(host, PST_STR("0.0.0.0")))
        (void)snprintf(url, size, "http://127.0.0.1%s", listen + host.len);
    else if (pst_str_eq(host, PST_STR("[::]")))
        (void)snprintf(url, size, "http://[::1]%s", listen + host.len);
    else
        (void)snprintf(url, size, "http://%s", listen);
}

/* GET path of the endpoint. False when the client could not be made. */
static bool ask(const struct pst_config *config, const char *path, struct pst_http_reply *reply)
{
    char url[512];
    struct pst_net_settings settings = {
        .url = url, .no_proxy = "*", .timeout_ns = 5 * PST_NS_PER_S};
    struct pst_http_request request = {.path = path};
    struct pst_http *http = NULL;
    struct pst_error error;

    endpoint_url(config->server.listen, url, sizeof url);
    if (pst_http_new(&settings, NULL, &http, &error) < 0) {
        (void)snprintf(reply->detail, sizeof reply->detail, "%.255s", error.text);
        return false;
    }
    pst_http_send(http, &request, reply);
    pst_http_free(http);
    return true;
}

static void check_endpoint(struct pst_report *report, const struct pst_config *config)
{
    struct pst_http_reply reply;

    pst_http_reply_init(&reply);
    (void)ask(config, "/healthz", &reply);
    if (reply.status == 200)
        pst_report(report, PST_CHECK_NOTE, "endpoint", NULL, "an agent answers on %s",
                   config->server.listen);
    else if (reply.status != 0)
        pst_report(report, PST_CHECK_FAILED, "endpoint", "set server.listen to a free address",
                   "%s answers %d to /healthz: another program's, or an agent in trouble",
                   config->server.listen, reply.status);
    else
        pst_report(report, PST_CHECK_OK, "endpoint", NULL, "no agent answers on %s yet",
                   config->server.listen);
    pst_http_reply_done(&reply);
}

void pst_doctor_outside(struct pst_report *report, const struct pst_config *config)
{
    check_folder(report, "store", config->store.directory, config->store.max_size_bytes);
    if (config->exporter_count > 0)
        check_folder(report, "spool", config->spool.directory, config->spool.max_size_bytes);
    else
        pst_report(report, PST_CHECK_OK, "spool", NULL, "%s is not used without exporters",
                   config->spool.directory);
    if (config->exporter_count == 0)
        pst_report(report, PST_CHECK_OK, "exporters", NULL, "none: profiles stay in the store");
    for (size_t i = 0; i < config->exporter_count; i++)
        check_exporter(report, &config->exporters[i]);
    check_endpoint(report, config);
}

int pst_doctor_ready(const struct pst_config *config)
{
    struct pst_http_reply reply;
    struct pst_buf text __attribute__((cleanup(pst_buf_done)));
    int status;

    pst_http_reply_init(&reply);
    (void)ask(config, "/readyz", &reply);
    status = reply.status;
    pst_buf_init(&text, 8 * PST_MAX_REPLY_BYTES);
    (void)pst_buf_escaped(&text, pst_str_trim(pst_buf_view(&reply.body)));
    if (status == 200)
        (void)printf("ready: %s\n", text.len ? text.data : "200");
    else if (status != 0)
        (void)printf("not ready (%d): %s\n", status, text.len ? text.data : "no reason given");
    else
        (void)printf("not ready: no agent answers on %s (%s)\n", config->server.listen,
                     reply.failure ? reply.failure : reply.detail);
    pst_http_reply_done(&reply);
    return status == 200 ? PST_EXIT_OK : PST_EXIT_FAILED;
}
