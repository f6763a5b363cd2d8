/* One HTTP/1.1 exchange at a time on libcurl's multi interface, so that deadlines and cancellation
 * hold in every phase. Replies and headers are capped; redirects are data, not orders. */
#include "net/http.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "auth.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/limits.h"
#include "curl_setup.h"
#include "oauth2.h"

struct pst_http {
    const struct pst_net_settings *settings;
    struct pst_cancel *cancel;
    struct pst_net_target target;
    struct pst_auth *auth;
    CURLM *multi;
    char error_text[CURL_ERROR_SIZE];
};

/* What the callbacks of one exchange share. */
struct exchange {
    struct pst_http_reply *reply;
    const struct pst_http_request *request;
    CURL *easy;
    size_t header_bytes;
    bool headers_ended; /* of the last header block that began */
};

void pst_http_reply_init(struct pst_http_reply *reply)
{
    memset(reply, 0, sizeof(*reply));
    pst_buf_init(&reply->body, PST_MAX_REPLY_BYTES);
}

void pst_http_reply_done(struct pst_http_reply *reply)
{
    pst_buf_done(&reply->body);
}

static void reset_reply(struct pst_http_reply *reply, size_t max_bytes)
{
    pst_buf_done(&reply->body);
    memset(reply, 0, sizeof(*reply));
    pst_buf_init(&reply->body, max_bytes ? max_bytes : PST_MAX_REPLY_BYTES);
}

static int check_headers(const struct pst_net_settings *settings, struct pst_error *error)
{
    for (size_t i = 0; i < settings->header_count; i++) {
        const char *name = pst_net_text(settings->headers[i].name);
        if (!pst_net_header_valid(name, pst_net_text(settings->headers[i].value)))
            return pst_error_set(error, PST_EXIT_USAGE, NULL, NULL,
                                 "header \"%s\" has a character that HTTP does not allow", name);
    }
    return 0;
}

int pst_http_new(const struct pst_net_settings *settings, struct pst_cancel *cancel,
                 struct pst_http **ret, struct pst_error *error)
{
    int r = check_headers(settings, error);
    if (r < 0)
        return r;
    if (!pst_net_curl_start())
        return -ENOMEM;
    struct pst_http *http = calloc(1, sizeof(*http));
    if (!http)
        return -ENOMEM;
    http->settings = settings;
    http->cancel = cancel;
    r = pst_net_target_init(&http->target, settings, error);
    if (r == 0)
        r = pst_auth_new(settings, cancel, &http->auth, error);
    if (r == 0) {
        http->multi = curl_multi_init();
        r = http->multi ? 0 : -ENOMEM;
    }
    if (r < 0) {
        pst_http_free(http);
        return r;
    }
    curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, 1L);
    *ret = http;
    return 0;
}

struct pst_http *pst_http_free(struct pst_http *http)
{
    if (http) {
        if (http->multi)
            curl_multi_cleanup(http->multi);
        pst_auth_free(http->auth);
        pst_net_target_done(&http->target);
        free(http);
    }
    return NULL;
}

static void take_header(struct pst_http_reply *reply, struct pst_str line)
{
    size_t colon = pst_str_find(line, ':');
    if (colon == line.len)
        return;
    struct pst_str value =
        pst_str_trim((struct pst_str){line.ptr + colon + 1, line.len - colon - 1});
    if (colon == 11 && strncasecmp(line.ptr, "Retry-After", 11) == 0) {
        uint64_t delay_ns = 0;
        if (pst_net_retry_after(value, pst_clock_realtime_ns(), &delay_ns))
            reply->retry_after_ns = delay_ns;
    } else if (colon == 12 && strncasecmp(line.ptr, "Content-Type", 12) == 0) {
        size_t len =
            value.len < sizeof(reply->content_type) ? value.len : sizeof(reply->content_type) - 1;
        memcpy(reply->content_type, value.ptr, len);
        reply->content_type[len] = '\0';
    }
}

static size_t on_header(char *data, size_t size, size_t count, void *context)
{
    struct exchange *exchange = context;
    size_t len = size * count;
    exchange->header_bytes += len;
    if (exchange->header_bytes > PST_MAX_REPLY_HEADER_BYTES) {
        exchange->reply->truncated = true;
        return 0;
    }
    exchange->headers_ended = len <= 2;
    take_header(exchange->reply, (struct pst_str){data, len});
    return len;
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct exchange *exchange = context;
    struct pst_buf *body = &exchange->reply->body;
    size_t len = size * count;
    long status = 0;
    if (exchange->request->take)
        (void)curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status == 200)
        return exchange->request->take(exchange->request->context, data, len) == 0 ? len : 0;
    size_t room = body->max - body->len;
    if (pst_buf_append(body, data, len < room ? len : room) < 0)
        return 0;
    if (len > room) {
        exchange->reply->truncated = true;
        return 0;
    }
    return len;
}

static int add_header(struct curl_slist **list, const char *name, const char *value)
{
    pst_autofree char *line = NULL;
    /* libcurl wants "Name;" for a header with an empty value. */
    if (asprintf(&line, value[0] ? "%s: %s" : "%s;", name, value) < 0) {
        line = NULL;
        return -ENOMEM;
    }
    struct curl_slist *longer = curl_slist_append(*list, line);
    explicit_bzero(line, strlen(line));
    if (!longer)
        return -ENOMEM;
    *list = longer;
    return 0;
}

static int add_headers(struct curl_slist **list, const struct pst_net_header *headers, size_t count)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++)
        r = add_header(list, headers[i].name, pst_net_text(headers[i].value));
    return r;
}

static int make_headers(struct pst_http *http, const struct pst_http_request *request,
                        struct curl_slist **list, char *detail)
{
    /* No 100-continue round trip: "Expect:" removes libcurl's own. */
    struct curl_slist *first = curl_slist_append(NULL, "Expect:");
    if (!first)
        return -ENOMEM;
    *list = first;
    int r = 0;
    if (request->body)
        r = add_header(list, "Content-Type", pst_net_text(request->content_type));
    if (r == 0 && pst_net_text(http->settings->tls.server_name)[0])
        r = add_header(list, "Host", http->target.authority);
    if (r == 0)
        r = add_headers(list, http->settings->headers, http->settings->header_count);
    if (r == 0)
        r = add_headers(list, request->headers, request->header_count);
    struct pst_buf value;
    pst_buf_init(&value, 4 * PST_NET_SECRET_BYTES);
    if (r == 0)
        r = pst_auth_value(http->auth, &value, detail);
    if (r == 0 && value.len)
        r = add_header(list, "Authorization", value.data);
    pst_auth_wipe(&value);
    return r;
}

/* The certificate's name differs from the address: ask for the name, connect to the address. */
static int make_url(struct pst_http *http, const char *path, char **ret_url,
                    struct curl_slist **ret_connect_to)
{
    const char *name = pst_net_text(http->settings->tls.server_name);
    path = pst_net_text(path);
    if (!name[0] || !http->target.tls)
        return asprintf(ret_url, "%s%s", http->target.base, path) < 0 ? -ENOMEM : 0;
    const char *rest = strchr(http->target.base + strlen("https://"), '/');
    if (asprintf(ret_url, "https://%s:%s%s%s", name, http->target.port, pst_net_text(rest), path) <
        0)
        return -ENOMEM;
    pst_autofree char *connect_to = NULL;
    if (asprintf(&connect_to, "%s:%s:%s:%s", name, http->target.port, http->target.host,
                 http->target.port) < 0) {
        connect_to = NULL;
        return -ENOMEM;
    }
    *ret_connect_to = curl_slist_append(NULL, connect_to);
    return *ret_connect_to ? 0 : -ENOMEM;
}

static void fail(struct pst_http_reply *reply, const char *failure, const char *detail)
{
    reply->failure = failure;
    if (detail && detail != reply->detail)
        (void)snprintf(reply->detail, sizeof(reply->detail), "%s", detail);
}

static void finish(struct pst_http *http, CURL *easy, struct exchange *exchange, CURLcode code)
{
    struct pst_http_reply *reply = exchange->reply;
    long status = 0;
    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    /* 1xx is not an answer, nor is a header block that broke off. */
    bool answered = exchange->headers_ended || reply->truncated;
    reply->status = answered && status >= 200 && status <= 999 ? (int)status : 0;
    if (reply->status && code == CURLE_WRITE_ERROR && reply->truncated)
        code = CURLE_OK;
    if (code == CURLE_OK && !reply->status) {
        fail(reply, "bad_reply", "no HTTP status");
    } else if (code != CURLE_OK) {
        const char *text = http->error_text[0] ? http->error_text : curl_easy_strerror(code);
        fail(reply, pst_net_curl_failure(code), text);
    }
    if (reply->status == 401)
        pst_auth_refused(http->auth);
}

/* Few bytes, but some now and then; a peer that is gone without a word is noticed. */
static void set_up_stream(CURL *easy, const struct pst_http_request *request)
{
    enum { IDLE_S = 30, PROBE_S = 10 };
    if (request->silence_s) {
        curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)request->silence_s);
    }
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, (long)IDLE_S);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, (long)PROBE_S);
}

static void exchange_on(struct pst_http *http, CURL *easy, struct curl_slist *headers,
                        struct exchange *exchange)
{
    const struct pst_http_request *request = exchange->request;
    if (request->take)
        set_up_stream(easy, request);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
    if (request->body) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_bytes);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body);
    } else {
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    }
    CURLcode code = CURLE_OK;
    int r = pst_net_curl_run(http->multi, easy, http->cancel, &code);
    if (r < 0)
        fail(exchange->reply, "cancelled", "the agent ends or has a new configuration");
    else
        finish(http, easy, exchange, code);
    (void)curl_multi_remove_handle(http->multi, easy);
}

void pst_http_send(struct pst_http *http, const struct pst_http_request *request,
                   struct pst_http_reply *reply)
{
    reset_reply(reply, request->max_reply_bytes);
    struct exchange exchange = {.reply = reply, .request = request};
    struct curl_slist *headers = NULL, *connect_to = NULL;
    pst_autofree char *url = NULL;
    http->error_text[0] = '\0';
    int r = make_url(http, request->path, &url, &connect_to);
    if (r < 0)
        url = NULL;
    if (r == 0)
        r = make_headers(http, request, &headers, reply->detail);
    CURL *easy = r == 0 ? curl_easy_init() : NULL;
    exchange.easy = easy;
    if (easy) {
        (void)pst_net_curl_setup(easy, http->settings, &http->target, false, http->error_text);
        if (connect_to)
            curl_easy_setopt(easy, CURLOPT_CONNECT_TO, connect_to);
        if (curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK)
            exchange_on(http, easy, headers, &exchange);
        else
            fail(reply, "no_memory", NULL);
        curl_easy_cleanup(easy);
    } else {
        fail(reply, r == 0 ? "no_memory" : pst_auth_failure(r), NULL);
    }
    curl_slist_free_all(headers);
    curl_slist_free_all(connect_to);
}
