/* Unary gRPC calls over one HTTP/2 connection that is kept between calls: the only user of nghttp2.
 * h2c for http:// and unix:, TLS with ALPN h2 else. One client belongs to one thread. */
#ifndef PST_NET_GRPC_H
#define PST_NET_GRPC_H

#include "base/buf.h"
#include "net/net.h"

struct pst_grpc;

enum pst_grpc_code {
    PST_GRPC_NONE = -1, /* no status: see failure */
    PST_GRPC_OK = 0,
    PST_GRPC_CANCELLED = 1,
    PST_GRPC_UNKNOWN = 2,
    PST_GRPC_INVALID_ARGUMENT = 3,
    PST_GRPC_DEADLINE_EXCEEDED = 4,
    PST_GRPC_NOT_FOUND = 5,
    PST_GRPC_ALREADY_EXISTS = 6,
    PST_GRPC_PERMISSION_DENIED = 7,
    PST_GRPC_RESOURCE_EXHAUSTED = 8,
    PST_GRPC_FAILED_PRECONDITION = 9,
    PST_GRPC_ABORTED = 10,
    PST_GRPC_OUT_OF_RANGE = 11,
    PST_GRPC_UNIMPLEMENTED = 12,
    PST_GRPC_INTERNAL = 13,
    PST_GRPC_UNAVAILABLE = 14,
    PST_GRPC_DATA_LOSS = 15,
    PST_GRPC_UNAUTHENTICATED = 16,
};
/* "unavailable"; "unknown" for what is not in the list. */
const char *pst_grpc_code_word(int code);

/* As pst_http_new. */
int pst_grpc_new(const struct pst_net_settings *settings, struct pst_cancel *cancel,
                 struct pst_grpc **ret, struct pst_error *error);
struct pst_grpc *pst_grpc_free(struct pst_grpc *grpc);

struct pst_grpc_request {
    const char *path; /* "/package.Service/Method" */
    const void *message;
    size_t message_bytes;
    const char *encoding;   /* of message: NULL (identity) or "gzip", "zstd" */
    size_t max_reply_bytes; /* 0: PST_MAX_REPLY_BYTES */
};

struct pst_grpc_reply {
    int code;            /* enum pst_grpc_code, or any other number a server sent */
    int http_status;     /* 0 when none came */
    const char *failure; /* transport: NULL when a grpc-status came; else a constant word: timeout,
                          * connect, resolve, tls, cancelled, proxy, cut, auth, token, bad_reply,
                          * reset, refused_stream, goaway, flood, no_memory, http_status */
    bool has_retry_info;
    uint64_t retry_after_ns; /* from RetryInfo; 0 = at once or absent */
    char message[256];       /* grpc-message, percent-decoded; or words about the failure */
    struct pst_buf body;     /* the reply message, without its prefix */
};
void pst_grpc_reply_init(struct pst_grpc_reply *reply);
void pst_grpc_reply_done(struct pst_grpc_reply *reply);

void pst_grpc_call(struct pst_grpc *grpc, const struct pst_grpc_request *request,
                   struct pst_grpc_reply *reply);

#endif
