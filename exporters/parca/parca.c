/* Sends profiles to Parca. Its server wants ids 1..N in order and a period type, takes 64 MiB in a
 * message, cuts uploads that last longer than 5 s, and keeps string sample labels as columns. */
#include "parca/parca.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "profile/pprof.h"
#include "profilestore.pb-c.h"
#include "sending/sending.h"

#define WRITE_RAW     "/parca.profilestore.v1alpha1.ProfileStoreService/WriteRaw"
#define MAX_RAW_BYTES (8 * 1024 * 1024)

struct pst_exporter {
    struct pst_sending sending;
};

static int create(const struct pst_config_exporter *settings, struct pst_exporter **ret,
                  struct pst_error *error)
{
    return pst_sending_create(settings, sizeof(**ret), true, ret, error);
}

static struct pst_export_verdict call(struct pst_exporter *exporter, const void *message,
                                      size_t message_bytes)
{
    struct pst_grpc_request request = {
        .path = WRITE_RAW,
        .message = message,
        .message_bytes = message_bytes,
    };
    struct pst_grpc_reply reply;
    pst_grpc_reply_init(&reply);
    pst_grpc_call(exporter->sending.grpc, &request, &reply);
    struct pst_export_verdict verdict = pst_sending_grpc(&exporter->sending, &reply);
    pst_grpc_reply_done(&reply);
    return verdict;
}

/* The request of one series with one profile. NULL: out of memory. */
static void *pack(const struct pst_labels *labels, const struct pst_buf *pprof, size_t *ret_bytes)
{
    Pst__Parca__Label pairs[PST_MAX_LABELS];
    Pst__Parca__Label *pair_list[PST_MAX_LABELS];
    size_t count = pst_labels_count(labels);
    for (size_t i = 0; i < count; i++) {
        struct pst_str name, value;
        pst_labels_at(labels, i, &name, &value);
        pairs[i] = (Pst__Parca__Label)PST__PARCA__LABEL__INIT;
        pairs[i].name = (char *)(uintptr_t)name.ptr;
        pairs[i].value = (char *)(uintptr_t)value.ptr;
        pair_list[i] = &pairs[i];
    }
    Pst__Parca__LabelSet set = PST__PARCA__LABEL_SET__INIT;
    set.labels = pair_list;
    set.n_labels = count;
    Pst__Parca__RawSample sample = PST__PARCA__RAW_SAMPLE__INIT;
    sample.raw_profile.data = (uint8_t *)pprof->data;
    sample.raw_profile.len = pprof->len;
    Pst__Parca__RawSample *samples[1] = {&sample};
    Pst__Parca__RawProfileSeries series = PST__PARCA__RAW_PROFILE_SERIES__INIT;
    series.labels = &set;
    series.samples = samples;
    series.n_samples = 1;
    Pst__Parca__RawProfileSeries *all[1] = {&series};
    Pst__Parca__WriteRawRequest request = PST__PARCA__WRITE_RAW_REQUEST__INIT;
    request.series = all;
    request.n_series = 1;
    request.normalized = 1;
    *ret_bytes = pst__parca__write_raw_request__get_packed_size(&request);
    uint8_t *body = malloc(*ret_bytes);
    if (body)
        (void)pst__parca__write_raw_request__pack(&request, body);
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
    pst_auto(pst_buf_done) struct pst_buf pprof;
    pst_buf_init(&pprof, PST_MAX_PPROF_BYTES);
    pst_auto(free_labels) struct pst_labels *labels = NULL;
    pst_autofree void *body = NULL;
    size_t body_bytes = 0;
    if (pst_sending_labels(&exporter->sending, item, &labels) == 0 &&
        pst_pprof_encode(piece, true, &pprof) == 0)
        body = pack(labels, &pprof, &body_bytes);
    if (!body)
        return pst_sending_retry(0, "no_memory", "out of memory");
    return call(exporter, body, body_bytes);
}

static struct pst_export_verdict send_item(struct pst_exporter *exporter,
                                           const struct pst_item *item,
                                           struct pst_export_progress *progress)
{
    static const char *const labels[] = {"thread_name", "trace_id", "span_id"};
    static const struct pst_sending_limits limits = {
        .max_raw_bytes = MAX_RAW_BYTES,
        .default_labels = labels,
        .default_label_count = PST_ARRAY_SIZE(labels),
    };
    return pst_sending_item(&exporter->sending, item, progress, &limits, send_piece, exporter);
}

/* A write of nothing: any answer about it means that the server was reached. */
static struct pst_export_verdict probe(struct pst_exporter *exporter)
{
    struct pst_export_verdict verdict = call(exporter, "", 0);
    if (verdict.reason && strcmp(verdict.reason, "invalid_argument") == 0)
        return pst_sending_delivered();
    return verdict;
}

const struct pst_exporter_type pst_parca_exporter = {
    .name = "parca",
    .lanes = PST_MAX_EXPORT_LANES,
    .create = create,
    .send = send_item,
    .probe = probe,
    .cancel = pst_sending_cancel,
    .destroy = pst_sending_destroy,
};
