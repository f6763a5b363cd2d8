/* What every connection of ours is made from: where to, how to prove who we are, how long. Shared
 * by http.h and grpc.h. Replies are capped, redirects are not followed, credentials are sent to
 * the configured origin only. */
#ifndef PST_NET_NET_H
#define PST_NET_NET_H

#include "base/error.h"
#include "base/str.h"

struct pst_net_header {
    const char *name, *value;
};

/* All strings are borrowed and must outlive the client; NULL counts as "". */
struct pst_net_settings {
    const char
        *url; /* http://, https://, unix:/path; no scheme means https:// unless tls.insecure */
    const struct pst_net_header *headers;
    size_t header_count;
    struct {
        /* At most one of the four kinds. Files are read again for each request. */
        const char *basic_username, *basic_password, *basic_password_file;
        const char *bearer_token, *bearer_token_file;
        const char *type, *credentials_file; /* "TYPE CREDENTIALS"; type "" means Bearer */
        const char *client_id, *client_secret, *client_secret_file, *token_url; /* OAuth 2 */
        const char *const *scopes;
        size_t scope_count;
    } auth;
    struct {
        const char *ca_file, *cert_file, *key_file, *server_name;
        const char *min_version; /* "", "1.2", "1.3", "TLS12", "TLS13", "VersionTLS12" */
        bool insecure, insecure_skip_verify;
    } tls;
    const char *proxy_url, *no_proxy; /* "" leaves it to HTTPS_PROXY, HTTP_PROXY, NO_PROXY */
    uint64_t timeout_ns;              /* whole request; 0 = 30 s */
};

/* Ends blocking calls from another thread. Once raised it stays so. */
struct pst_cancel;
struct pst_cancel *pst_cancel_new(void); /* NULL: no memory or descriptor */
struct pst_cancel *pst_cancel_free(struct pst_cancel *cancel);
void pst_cancel_raise(struct pst_cancel *cancel);
bool pst_cancel_raised(const struct pst_cancel *cancel);
/* Readable once raised; for poll. */
int pst_cancel_fd(const struct pst_cancel *cancel);

/* Retry-After: whole seconds or an HTTP date, as a delay from now_realtime_ns. False for nonsense:
 * negative, zero, text, trailing bytes, dates that are past. Not clamped, except that what does not
 * fit 64 bits of nanoseconds becomes the largest value. */
bool pst_net_retry_after(struct pst_str value, uint64_t now_realtime_ns, uint64_t *ret_delay_ns);

#endif
