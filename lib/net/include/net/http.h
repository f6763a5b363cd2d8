/* HTTP/1.1 requests under deadlines: the only user of libcurl's transfers. One client belongs to
 * one thread and keeps its connection between requests. */
#ifndef PST_NET_HTTP_H
#define PST_NET_HTTP_H

#include "base/buf.h"
#include "net/net.h"

struct pst_http;

/* Checks URL, authentication and TLS settings; no network. cancel may be NULL; it must outlive the
 * client. 0, -ENOMEM, or -EINVAL with error filled. */
int pst_http_new(const struct pst_net_settings *settings, struct pst_cancel *cancel,
                 struct pst_http **ret, struct pst_error *error);
struct pst_http *pst_http_free(struct pst_http *http);

struct pst_http_request {
    const char *path; /* appended to the URL's path: "/push.v1..."; "" or NULL: the URL as it is */
    const struct pst_net_header *headers; /* added to the client's */
    size_t header_count;
    const char *content_type; /* NULL with no body */
    const void *body;         /* NULL: GET, else POST */
    size_t body_bytes;
    size_t max_reply_bytes; /* 0: PST_MAX_REPLY_BYTES */
    /* Takes the body of an answer with status 200 as it comes instead of the reply's; nonzero ends
     * the exchange. The client's timeout counts for all of it. */
    int (*take)(void *context, const char *data, size_t len);
    void *context;
    unsigned silence_s; /* with take: given up when nothing comes for so long; 0: as ever */
};

struct pst_http_reply {
    int status;              /* final HTTP status, 0 when none came */
    const char *failure;     /* NULL when the exchange ended as it should; else a constant word:
                              * timeout,     connect, resolve, tls, cancelled, proxy, cut, auth, token,
                              * bad_reply,     no_memory */
    bool truncated;          /* reply or headers were larger than the cap: the rest was not read */
    uint64_t retry_after_ns; /* 0 when absent or nonsense */
    char content_type[96];
    char detail[256]; /* libcurl's or our words about a failure; outside text */
    struct pst_buf body;
};
void pst_http_reply_init(struct pst_http_reply *reply);
void pst_http_reply_done(struct pst_http_reply *reply);

/* Fills the reply (initialised by the caller; reset first). A status with a failure can be there
 * both: the status was read before the exchange broke. */
void pst_http_send(struct pst_http *http, const struct pst_http_request *request,
                   struct pst_http_reply *reply);

#endif
