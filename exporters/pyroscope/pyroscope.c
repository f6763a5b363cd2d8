/* Sends profiles to Pyroscope. Its server takes 16,000 samples and 4 MiB uncompressed in a profile,
 * refuses for ever what is larger than its burst of 2 MB, refuses what is older than an hour, and
 * turns string sample labels into series labels: so only trace and span ids, which it knows, are
 * sent unless asked for. */
#include "pyroscope/pyroscope.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/limits.h"
#include "profile/pprof.h"
#include "push.pb-c.h"
#include "sending/sending.h"

#define PUSH_PATH "/push.v1.PusherService/Push"
/* Below the burst of 2 MB (ingestion-burst-size-mb), with room for the request around it. */
#define MAX_RAW_BYTES 1500000
#define MAX_SAMPLES   16000
#define MAX_AGE_NS    (3600 * PST_NS_PER_S)
#define TENANT_BYTES  150

struct pst_exporter {
    struct pst_sending sending;
};

static int create(const struct pst_config_exporter *settings, struct pst_exporter **ret,
                  struct pst_error *error)
{
    return pst_sending_create(settings, sizeof(**ret), false, ret, error);
}

/* Tenant names are letters, digits and a few signs; anything else of a label becomes '_'. */
static struct pst_export_verdict make_tenant(const struct pst_exporter *exporter,
                                             const struct pst_item *item, struct pst_buf *out)
{
    const char *text = exporter->sending.settings->tenant;
    if (!text || !text[0])
        return pst_sending_delivered();
    int r = pst_sending_template(text, item->labels, out);
    if (r == -ENOMEM)
        return pst_sending_retry(0, "no_memory", "out of memory");
    if (r < 0)
        return pst_sending_rejected("no_tenant", "the tenant %.100s cannot be made of the labels",
                                    text);
    for (size_t i = 0; i < out->len; i++) {
        char c = out->data[i];
        bool allowed = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       strchr("!-_.*'()", c);
        if (!allowed)
            out->data[i] = '_';
    }
    return pst_sending_delivered();
}

static struct pst_export_verdict post(struct pst_exporter *exporter, const char *tenant,
                                      const void *body, size_t body_bytes)
{
    struct pst_net_header header = {"X-Scope-OrgID", tenant};
    struct pst_http_request request = {
        .path = PUSH_PATH,
        .headers = &header,
        .header_count = tenant && tenant[0] ? 1 : 0,
        .content_type = "application/proto",
        .body = body,
        .body_bytes = body_bytes,
    };
    struct pst_http_reply reply;
    pst_http_reply_init(&reply);
    pst_http_send(exporter->sending.http, &request, &reply);
    struct pst_export_verdict verdict = pst_sending_http(&reply);
    pst_http_reply_done(&reply);
    return verdict;
}

/* The request of one series with one profile; texts are those of labels. NULL: out of memory. */
static void *pack(const struct pst_labels *labels, const struct pst_buf *pprof, size_t *ret_bytes)
{
    Pst__Push__LabelPair pairs[PST_MAX_LABELS];
    Pst__Push__LabelPair *pair_list[PST_MAX_LABELS];
    size_t count = pst_labels_count(labels);
    for (size_t i = 0; i < count; i++) {
        struct pst_str name, value;
        pst_labels_at(labels, i, &name, &value);
        pairs[i] = (Pst__Push__LabelPair)PST__PUSH__LABEL_PAIR__INIT;
        pairs[i].name = (char *)(uintptr_t)name.ptr;
        pairs[i].value = (char *)(uintptr_t)value.ptr;
        pair_list[i] = &pairs[i];
    }
    Pst__Push__RawSample sample = PST__PUSH__RAW_SAMPLE__INIT;
    sample.raw_profile.data = (uint8_t *)pprof->data;
    sample.raw_profile.len = pprof->len;
    Pst__Push__RawSample *samples[1] = {&sample};
    Pst__Push__RawProfileSeries series = PST__PUSH__RAW_PROFILE_SERIES__INIT;
    series.labels = pair_list;
    series.n_labels = count;
    series.samples = samples;
    series.n_samples = 1;
    Pst__Push__RawProfileSeries *all[1] = {&series};
    Pst__Push__PushRequest request = PST__PUSH__PUSH_REQUEST__INIT;
    request.series = all;
    request.n_series = 1;
    *ret_bytes = pst__push__push_request__get_packed_size(&request);
    uint8_t *body = malloc(*ret_bytes);
    if (body)
        (void)pst__push__push_request__pack(&request, body);
    return body;
}

static void free_labels(struct pst_labels **labels)
{
    pst_labels_free(*labels);
}

static struct pst_export_verdict send_piece(void *context, const struct pst_item *item,
                                            const struct pst_profile *piece)
{
    struct pst_exporter *exporter = context;
    pst_auto(pst_buf_done) struct pst_buf tenant, pprof;
    pst_buf_init(&tenant, TENANT_BYTES);
    pst_buf_init(&pprof, PST_MAX_PPROF_BYTES);
    struct pst_export_verdict verdict = make_tenant(exporter, item, &tenant);
    if (verdict.word != PST_EXPORT_DELIVERED)
        return verdict;
    pst_auto(free_labels) struct pst_labels *labels = NULL;
    pst_autofree void *body = NULL;
    size_t body_bytes = 0;
    if (pst_sending_labels(&exporter->sending, item, &labels) == 0 &&
        pst_pprof_encode(piece, true, &pprof) == 0)
        body = pack(labels, &pprof, &body_bytes);
    if (!body)
        return pst_sending_retry(0, "no_memory", "out of memory");
    return post(exporter, tenant.data, body, body_bytes);
}

static struct pst_export_verdict send_item(struct pst_exporter *exporter,
                                           const struct pst_item *item,
                                           struct pst_export_progress *progress)
{
    /* The two that the server does not take for labels of the series. */
    static const char *const labels[] = {"trace_id", "span_id"};
    static const struct pst_sending_limits limits = {
        .max_samples = MAX_SAMPLES,
        .max_raw_bytes = MAX_RAW_BYTES,
        .default_labels = labels,
        .default_label_count = PST_ARRAY_SIZE(labels),
    };
    int64_t now_ns = (int64_t)pst_clock_realtime_ns();
    if (item->time_ns < now_ns - (int64_t)MAX_AGE_NS)
        return pst_sending_rejected("too_old", "older than the hour that the server takes");
    return pst_sending_item(&exporter->sending, item, progress, &limits, send_piece, exporter);
}

/* An empty push: a server that has been reached and lets us in answers 400 "no profiles". */
static struct pst_export_verdict probe(struct pst_exporter *exporter)
{
    struct pst_export_verdict verdict = post(exporter, NULL, "", 0);
    if (verdict.reason && strcmp(verdict.reason, "status_400") == 0)
        return pst_sending_delivered();
    return verdict;
}

const struct pst_exporter_type pst_pyroscope_exporter = {
    .name = "pyroscope",
    .lanes = PST_MAX_EXPORT_LANES,
    .create = create,
    .send = send_item,
    .probe = probe,
    .cancel = pst_sending_cancel,
    .destroy = pst_sending_destroy,
};
