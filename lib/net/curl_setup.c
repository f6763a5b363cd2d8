/* Options that every libcurl handle of ours has: TLS floor, proxy, deadlines, no redirects. */
#include "curl_setup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <strings.h>

#include "base/clock.h"

static bool started;

static void start(void)
{
    /* Neither libcurl (under NOSIGNAL) nor OpenSSL writes with MSG_NOSIGNAL: a peer that hangs up
     * must not end the process. A handler that somebody set stays. */
    struct sigaction old;
    if (sigaction(SIGPIPE, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
        (void)signal(SIGPIPE, SIG_IGN);
    started = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

bool pst_net_curl_start(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, start);
    return started;
}

bool pst_net_min_version(const char *text, bool *ret_tls13)
{
    static const char *const words12[] = {"", "1.2", "TLS12", "TLS1.2", "VersionTLS12"};
    static const char *const words13[] = {"1.3", "TLS13", "TLS1.3", "VersionTLS13"};
    text = pst_net_text(text);
    for (size_t i = 0; i < sizeof(words13) / sizeof(words13[0]); i++) {
        if (strcmp(text, words13[i]) == 0) {
            *ret_tls13 = true;
            return true;
        }
    }
    *ret_tls13 = false;
    for (size_t i = 0; i < sizeof(words12) / sizeof(words12[0]); i++) {
        if (strcmp(text, words12[i]) == 0)
            return true;
    }
    return false;
}

bool pst_net_header_valid(const char *name, const char *value)
{
    static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    if (!name[0] || name[strspn(name, token)])
        return false;
    for (const unsigned char *c = (const unsigned char *)value; *c; c++) {
        if ((*c < 0x20 && *c != '\t') || *c == 0x7f)
            return false;
    }
    return true;
}

static CURLcode setup_tls(CURL *easy, const struct pst_net_settings *settings)
{
    bool tls13 = false;
    (void)pst_net_min_version(settings->tls.min_version, &tls13);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION,
                     (long)(tls13 ? CURL_SSLVERSION_TLSv1_3 : CURL_SSLVERSION_TLSv1_2));
    const char *ca = pst_net_text(settings->tls.ca_file);
    if (ca[0]) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, ca);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
        /* A rotated file must count from the next connection on. */
        curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L);
    }
    if (pst_net_text(settings->tls.cert_file)[0])
        curl_easy_setopt(easy, CURLOPT_SSLCERT, settings->tls.cert_file);
    if (pst_net_text(settings->tls.key_file)[0])
        curl_easy_setopt(easy, CURLOPT_SSLKEY, settings->tls.key_file);
    long verify = settings->tls.insecure_skip_verify ? 0L : 1L;
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, verify);
    return curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, verify * 2L);
}

/* The environment's proxy for a connection that only libcurl's tunnel sees (it knows no scheme). */
static const char *tunnel_proxy(const struct pst_net_settings *settings)
{
    static const char *const names[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
    if (pst_net_text(settings->proxy_url)[0])
        return settings->proxy_url;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = getenv(names[i]);
        if (value && value[0])
            return value;
    }
    return "";
}

static void setup_proxy(CURL *easy, const struct pst_net_settings *settings,
                        const struct pst_net_target *target, bool tunnel)
{
    if (target->unix_path || (target->loopback && !pst_net_text(settings->proxy_url)[0])) {
        curl_easy_setopt(easy, CURLOPT_PROXY, "");
        return;
    }
    if (tunnel) {
        curl_easy_setopt(easy, CURLOPT_PROXY, tunnel_proxy(settings));
        curl_easy_setopt(easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
    } else if (pst_net_text(settings->proxy_url)[0]) {
        curl_easy_setopt(easy, CURLOPT_PROXY, settings->proxy_url);
    }
    if (pst_net_text(settings->no_proxy)[0])
        curl_easy_setopt(easy, CURLOPT_NOPROXY, settings->no_proxy);
}

CURLcode pst_net_curl_setup(CURL *easy, const struct pst_net_settings *settings,
                            const struct pst_net_target *target, bool tunnel, char *error_text)
{
    uint64_t timeout_ns = settings->timeout_ns ? settings->timeout_ns : PST_NET_TIMEOUT_NS;
    uint64_t connect_ns = timeout_ns < PST_NET_CONNECT_NS ? timeout_ns : PST_NET_CONNECT_NS;
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    /* Without this a handle waits for its resolver thread, however long the resolver is silent. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error_text);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(timeout_ns / PST_NS_PER_MS));
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(connect_ns / PST_NS_PER_MS));
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, (long)PST_NET_STALL_BYTES);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)PST_NET_STALL_S);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "pystrobe/" PST_VERSION);
    if (target->unix_path)
        curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, target->unix_path);
    setup_proxy(easy, settings, target, tunnel);
    return setup_tls(easy, settings);
}

static CURLcode finished_code(CURLM *multi, CURL *easy)
{
    int left = 0;
    for (CURLMsg *message = curl_multi_info_read(multi, &left); message;
         message = curl_multi_info_read(multi, &left)) {
        if (message->msg == CURLMSG_DONE && message->easy_handle == easy)
            return message->data.result;
    }
    return CURLE_FAILED_INIT;
}

int pst_net_curl_run(CURLM *multi, CURL *easy, const struct pst_cancel *cancel, CURLcode *ret_code)
{
    if (curl_multi_add_handle(multi, easy) != CURLM_OK) {
        *ret_code = CURLE_OUT_OF_MEMORY;
        return 0;
    }
    for (;;) {
        int running = 0;
        if (pst_cancel_raised(cancel))
            return -ECANCELED;
        CURLMcode code = curl_multi_perform(multi, &running);
        if (code != CURLM_OK) {
            *ret_code = code == CURLM_OUT_OF_MEMORY ? CURLE_OUT_OF_MEMORY : CURLE_FAILED_INIT;
            return 0;
        }
        if (!running) {
            *ret_code = finished_code(multi, easy);
            return 0;
        }
        struct curl_waitfd extra = {.fd = pst_cancel_fd(cancel), .events = CURL_WAIT_POLLIN};
        (void)curl_multi_poll(multi, &extra, cancel ? 1U : 0U, 1000, NULL);
    }
}

const char *pst_net_curl_failure(CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return NULL;
    case CURLE_OPERATION_TIMEDOUT:
        return "timeout";
    case CURLE_COULDNT_RESOLVE_HOST:
        return "resolve";
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_PROXY:
        return "proxy";
    case CURLE_COULDNT_CONNECT:
        return "connect";
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
        return "tls";
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
        return "cut";
    case CURLE_OUT_OF_MEMORY:
        return "no_memory";
    default:
        return "bad_reply";
    }
}
