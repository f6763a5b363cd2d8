/* Sends profiles by OTLP. A request stays under the 4 MiB that gRPC servers take by default; what
 * may be tried again is what the protocol's text names, not every 5xx: receivers answer 500 to a
 * profile that they cannot convert. */
#include "otlp/otlp.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "compress.h"
#include "profile/pprof.h"
#include "sending/sending.h"

#define METHOD            "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export"
#define HTTP_PATH         "/v1development/profiles"
#define MAX_REQUEST_BYTES (4 * 1000 * 1000)
#define MAX_RAW_BYTES     (2 * 1024 * 1024) /* as pprof, which OTLP is about as large as */

struct pst_exporter {
    struct pst_sending sending;
    const char *http_path;
    const char *compression; /* NULL: none */
};

/* An address that already names the signal's path is used as it is. */
static const char *http_path(const char *url)
{
    struct pst_str text = pst_str(url);
    while (text.len > 0 && text.ptr[text.len - 1] == '/')
        text.len--;
    return pst_str_ends(text, PST_STR("/profiles")) ? "" : HTTP_PATH;
}

static const char *compression(const struct pst_config_exporter *settings)
{
    const char *word = settings->compression;
    if (!word || !word[0] || strcmp(word, "gzip") == 0)
        return "gzip";
    return strcmp(word, "zstd") == 0 ? "zstd" : NULL;
}

static int create(const struct pst_config_exporter *settings, struct pst_exporter **ret,
                  struct pst_error *error)
{
    const char *protocol = settings->protocol ? settings->protocol : "";
    bool grpc = strcmp(protocol, "http/protobuf") != 0;
    struct pst_exporter *exporter = NULL;
    int r = pst_sending_create(settings, sizeof(*exporter), grpc, &exporter, error);
    if (r < 0)
        return r;
    exporter->http_path = http_path(settings->url);
    exporter->compression = compression(settings);
    *ret = exporter;
    return 0;
}

/* A delivered reply may still say that the profile was refused; that is never sent again. */
static struct pst_export_verdict delivered(struct pst_str body)
{
    char text[200];
    if (pst_otlp_refused(body, text, sizeof(text)))
        return pst_sending_rejected("partial_success", "%s", text);
    return pst_sending_delivered();
}

static struct pst_export_verdict post(struct pst_exporter *exporter, struct pst_str body,
                                      bool compressed)
{
    struct pst_net_header header = {"Content-Encoding", exporter->compression};
    struct pst_http_request request = {
        .path = exporter->http_path,
        .headers = &header,
        .header_count = compressed,
        .content_type = "application/x-protobuf",
        .body = body.ptr,
        .body_bytes = body.len,
    };
    struct pst_http_reply reply;
    pst_http_reply_init(&reply);
    pst_http_send(exporter->sending.http, &request, &reply);
    struct pst_export_verdict verdict = pst_sending_http(&reply);
    int status = reply.status;
    if (verdict.word == PST_EXPORT_DELIVERED)
        verdict = delivered(pst_buf_view(&reply.body));
    else if (status >= 500 && status != 502 && status != 503 && status != 504)
        verdict = pst_sending_doubtful(&exporter->sending, verdict);
    pst_http_reply_done(&reply);
    return verdict;
}

static struct pst_export_verdict call(struct pst_exporter *exporter, struct pst_str message,
                                      const char *encoding, int *ret_code)
{
    struct pst_grpc_request request = {
        .path = METHOD,
        .message = message.ptr,
        .message_bytes = message.len,
        .encoding = encoding,
    };
    struct pst_grpc_reply reply;
    pst_grpc_reply_init(&reply);
    pst_grpc_call(exporter->sending.grpc, &request, &reply);
    *ret_code = reply.code;
    struct pst_export_verdict verdict = pst_sending_grpc(&exporter->sending, &reply);
    if (verdict.word == PST_EXPORT_DELIVERED)
        verdict = delivered(pst_buf_view(&reply.body));
    pst_grpc_reply_done(&reply);
    return verdict;
}

/* UNIMPLEMENTED may mean the service or the compression: the same without it tells. */
static struct pst_export_verdict call_plain_after(struct pst_exporter *exporter,
                                                  struct pst_str message)
{
    int code = 0;
    struct pst_export_verdict verdict = call(exporter, message, NULL, &code);
    if (code != PST_GRPC_UNIMPLEMENTED && code != PST_GRPC_NONE)
        exporter->compression = NULL;
    return verdict;
}

static struct pst_export_verdict deliver(struct pst_exporter *exporter, struct pst_str plain)
{
    pst_auto(pst_buf_done) struct pst_buf packed;
    struct pst_str body = plain;
    int code = 0;
    pst_buf_init(&packed, PST_MAX_PPROF_BYTES);
    if (exporter->compression) {
        if (pst_otlp_compress(exporter->compression, plain, &packed) < 0)
            return pst_sending_retry(0, "no_memory", "out of memory");
        body = pst_buf_view(&packed);
    }
    if (exporter->sending.http)
        return post(exporter, body, exporter->compression != NULL);
    struct pst_export_verdict verdict = call(exporter, body, exporter->compression, &code);
    if (code == PST_GRPC_UNIMPLEMENTED && exporter->compression)
        return call_plain_after(exporter, plain);
    return verdict;
}

static struct pst_export_verdict send_piece(void *context, const struct pst_item *item,
                                            const struct pst_profile *piece)
{
    struct pst_exporter *exporter = context;
    pst_auto(pst_buf_done) struct pst_buf body;
    unsigned char id[16];
    uint32_t first = exporter->sending.progress->samples_done;
    memcpy(id, item->sha256, sizeof(id));
    for (unsigned i = 0; i < 4; i++)
        id[i] ^= (unsigned char)(first >> (8 * i));
    pst_buf_init(&body, MAX_REQUEST_BYTES);
    int r = pst_otlp_encode(piece, item->labels, &exporter->sending.settings->external_labels, id,
                            &body);
    if (r == -EFBIG)
        return pst_sending_rejected(pst_sending_too_large, "larger than %d bytes as OTLP",
                                    MAX_REQUEST_BYTES);
    if (r < 0)
        return pst_sending_retry(0, "no_memory", "out of memory");
    return deliver(exporter, pst_buf_view(&body));
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

/* A request without profiles is answered with success. */
static struct pst_export_verdict probe(struct pst_exporter *exporter)
{
    int code = 0;
    if (exporter->sending.http)
        return post(exporter, PST_STR(""), false);
    return call(exporter, PST_STR(""), NULL, &code);
}

const struct pst_exporter_type pst_otlp_exporter = {
    .name = "otlp",
    .lanes = PST_MAX_EXPORT_LANES,
    .create = create,
    .send = send_item,
    .probe = probe,
    .cancel = pst_sending_cancel,
    .destroy = pst_sending_destroy,
};
