/* What every exporter that talks to a network shares: settings as lib/net wants them, verdicts by
 * one table, series labels, stripped and split profiles with progress kept between attempts.
 * Belongs to one exporter instance, which belongs to one thread. */
#ifndef PST_SENDING_SENDING_H
#define PST_SENDING_SENDING_H

#include "exporters/exporter.h"
#include "net/grpc.h"
#include "net/http.h"

struct pst_sending {
    const struct pst_config_exporter *settings;
    struct pst_net_settings net;
    struct pst_net_header *headers;
    struct pst_cancel *cancel;
    struct pst_http *http; /* one of the two */
    struct pst_grpc *grpc;
    /* Of the item that is being sent: what was delivered is not sent again. */
    struct pst_export_progress *progress;
};

/* For struct pst_exporter_type: an exporter of that many bytes, zeroed but for the struct
 * pst_sending that is its first member, with a client of one protocol. Borrows the settings. */
int pst_sending_create(const struct pst_config_exporter *settings, size_t bytes, bool grpc,
                       struct pst_exporter **ret, struct pst_error *error);
void pst_sending_destroy(struct pst_exporter *exporter);
void pst_sending_cancel(struct pst_exporter *exporter);

/* ---- verdicts ---- */
struct pst_export_verdict pst_sending_delivered(void);
struct pst_export_verdict pst_sending_retry(uint64_t after_ns, const char *reason,
                                            const char *format, ...)
    __attribute__((format(printf, 3, 4)));
struct pst_export_verdict pst_sending_rejected(const char *reason, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What REJECTED means when a smaller piece may pass: compare verdict.reason with this pointer. */
extern const char pst_sending_too_large[];
/* What an operator has to mend: the item is kept and tried once a minute. */
#define PST_SENDING_OPERATOR_NS (60 * 1000000000ULL)
/* Longest a server may tell us to wait. */
#define PST_SENDING_RETRY_AFTER_MAX_NS (300 * 1000000000ULL)

/* 2xx delivered; 408, 425, 429, 499, 5xx and transport retry; 401, 403, 404, 407, 3xx and 2xx with
 * a web page retry in a minute; 413 too large; other 4xx rejected. The detail is the start of the
 * reply. */
struct pst_export_verdict pst_sending_http(const struct pst_http_reply *reply);
/* The same words for a gRPC reply (facts of OTLP: which codes are worth a retry). */
struct pst_export_verdict pst_sending_grpc(struct pst_sending *sending,
                                           const struct pst_grpc_reply *reply);
/* For answers that do not tell a passing fault from a bad item: retry, but only
 * PST_SENDING_DOUBTFUL_MAX times for the same item. */
#define PST_SENDING_DOUBTFUL_MAX 5
struct pst_export_verdict pst_sending_doubtful(struct pst_sending *sending,
                                               struct pst_export_verdict verdict);

/* ---- what is sent ---- */
/* Series labels as Prometheus-like backends take them: names in [a-zA-Z_][a-zA-Z0-9_]*, none that
 * starts with "__" but __name__, external labels added, service_name always there. */
int pst_sending_labels(const struct pst_sending *sending, const struct pst_item *item,
                       struct pst_labels **ret);

/* Expands ${label} over the item's labels. 0, -ENOENT when a label of it is missing, -EINVAL when
 * the template cannot be read, -ENOMEM, -EFBIG. */
int pst_sending_template(const char *text, const struct pst_labels *labels, struct pst_buf *out);

struct pst_sending_limits {
    uint32_t max_samples;              /* of one piece; 0: any */
    size_t max_raw_bytes;              /* uncompressed pprof of one piece */
    const char *const *default_labels; /* sample labels kept unless the settings name others */
    size_t default_label_count;
};
/* Sends one piece; the piece is only valid meanwhile. */
typedef struct pst_export_verdict (*pst_sending_piece)(void *context, const struct pst_item *item,
                                                       const struct pst_profile *piece);
/* Decodes, strips sample labels, splits to the limits and sends piece after piece, from where the
 * progress says. A piece that is too large is halved once. Profiles without samples are delivered
 * by not being sent. */
struct pst_export_verdict pst_sending_item(struct pst_sending *sending, const struct pst_item *item,
                                           struct pst_export_progress *progress,
                                           const struct pst_sending_limits *limits,
                                           pst_sending_piece piece, void *context);

#endif
