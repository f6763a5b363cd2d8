/* What every libcurl handle of ours shares: TLS, proxy, deadlines, and the loop that drives it. */
#ifndef PST_NET_CURL_SETUP_H
#define PST_NET_CURL_SETUP_H

#include <curl/curl.h>

#include "base/buf.h"
#include "net/net.h"

#define PST_NET_CONNECT_NS   (5 * 1000000000ULL) /* name, TCP, proxy and TLS together */
#define PST_NET_TIMEOUT_NS   (30 * 1000000000ULL)
#define PST_NET_STALL_S      10 /* slower than PST_NET_STALL_BYTES a second for so long: given up */
#define PST_NET_STALL_BYTES  1024
#define PST_NET_SECRET_BYTES 65536
#define PST_NET_URL_BYTES    4096

/* Where a URL of the settings leads. */
struct pst_net_target {
    char *base;      /* http(s)://authority/path, without trailing slash */
    char *unix_path; /* NULL for TCP */
    char *scheme, *host, *port;
    char *authority; /* host[:port] as it goes into Host and :authority */
    bool tls;
    bool loopback;     /* the host is this machine by name or address */
    bool has_userinfo; /* user:password@ */
};
/* 0, -ENOMEM or -EINVAL with error filled. */
int pst_net_target_init(struct pst_net_target *target, const struct pst_net_settings *settings,
                        struct pst_error *error);
void pst_net_target_done(struct pst_net_target *target);

/* True for "", "1.2", "TLS12", ...; *ret_tls13 tells whether 1.3 is the floor. */
bool pst_net_min_version(const char *text, bool *ret_tls13);

/* Header names are tokens, values have no control characters (no request splitting). */
bool pst_net_header_valid(const char *name, const char *value);

/* Once per process, by any thread. False when libcurl cannot start. */
bool pst_net_curl_start(void);

/* Everything but the request itself. tunnel: as for a connection that speaks its own protocol.
 * error_text has CURL_ERROR_SIZE bytes. */
CURLcode pst_net_curl_setup(CURL *easy, const struct pst_net_settings *settings,
                            const struct pst_net_target *target, bool tunnel, char *error_text);

/* Runs the transfer to its end. 0 with *ret_code, or -ECANCELED. */
int pst_net_curl_run(CURLM *multi, CURL *easy, const struct pst_cancel *cancel, CURLcode *ret_code);

/* The constant word of a failure. */
const char *pst_net_curl_failure(CURLcode code);

static inline const char *pst_net_text(const char *text)
{
    return text ? text : "";
}

#endif
