/* OAuth 2 client credentials. The reply is hostile: bounded, strict JSON, bounded token life.
 *
 * An exporter's lanes each have a connection, and share one token: clients made of the same
 * configuration (the same strings in memory) do. One of them asks, the others wait for what it
 * gets, no longer than its request may take. */
#include "oauth2.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>

#include "auth.h"
#include "base/clock.h"
#include "curl_setup.h"
#include "net/http.h"

#define TOKEN_BYTES    16384
#define DEFAULT_LIFE_S 3600
#define MAX_LIFE_S     86400
#define RENEW_BEFORE_S 30

struct token {
    struct token *next;
    unsigned users;
    const char *of[3]; /* the configuration's strings, by address: kept alive by every user */
    pthread_mutex_t lock;
    struct pst_buf text;
    uint64_t ends_ns; /* CLOCK_MONOTONIC */
    uint64_t number;  /* of fetched ones */
    bool in_body;     /* this server wants the client's secret in the form */
};

struct pst_oauth2 {
    const struct pst_net_settings *settings;
    struct pst_net_settings http_settings;
    struct pst_http *http;
    struct token *token;
    uint64_t used; /* number of the token that was given out last */
};

static pthread_mutex_t tokens_lock = PTHREAD_MUTEX_INITIALIZER;
static struct token *tokens;

static struct token *token_new(const char *const of[3])
{
    struct token *token = calloc(1, sizeof(*token));
    if (!token)
        return NULL;
    if (pthread_mutex_init(&token->lock, NULL) != 0) {
        free(token);
        return NULL;
    }
    memcpy(token->of, of, sizeof(token->of));
    pst_buf_init(&token->text, TOKEN_BYTES);
    token->next = tokens;
    tokens = token;
    return token;
}

static struct token *token_ref(const struct pst_net_settings *settings)
{
    const char *const of[3] = {settings->auth.client_id, settings->auth.token_url,
                               settings->auth.client_secret};
    pthread_mutex_lock(&tokens_lock);
    struct token *token = tokens;
    while (token && memcmp(token->of, of, sizeof(of)) != 0)
        token = token->next;
    if (!token)
        token = token_new(of);
    if (token)
        token->users++;
    pthread_mutex_unlock(&tokens_lock);
    return token;
}

static void token_unref(struct token *token)
{
    if (!token)
        return;
    pthread_mutex_lock(&tokens_lock);
    bool last = --token->users == 0;
    struct token **at = &tokens;
    while (last && *at != token)
        at = &(*at)->next;
    if (last)
        *at = token->next;
    pthread_mutex_unlock(&tokens_lock);
    if (!last)
        return;
    pst_auth_wipe(&token->text);
    (void)pthread_mutex_destroy(&token->lock);
    free(token);
}

int pst_oauth2_new(const struct pst_net_settings *settings, struct pst_cancel *cancel,
                   struct pst_oauth2 **ret, struct pst_error *error)
{
    if (!pst_net_text(settings->auth.client_id)[0] || !pst_net_text(settings->auth.token_url)[0])
        return pst_error_set(error, PST_EXIT_USAGE, NULL, NULL,
                             "oauth2 needs both client_id and token_url");
    struct pst_oauth2 *oauth2 = calloc(1, sizeof(*oauth2));
    if (!oauth2)
        return -ENOMEM;
    oauth2->settings = settings;
    oauth2->token = token_ref(settings);
    oauth2->http_settings = *settings;
    oauth2->http_settings.url = settings->auth.token_url;
    oauth2->http_settings.headers = NULL;
    oauth2->http_settings.header_count = 0;
    oauth2->http_settings.tls.server_name = NULL;
    memset(&oauth2->http_settings.auth, 0, sizeof(oauth2->http_settings.auth));
    int r = oauth2->token ? pst_http_new(&oauth2->http_settings, cancel, &oauth2->http, error)
                          : -ENOMEM;
    if (r < 0) {
        pst_oauth2_free(oauth2);
        return r;
    }
    *ret = oauth2;
    return 0;
}

struct pst_oauth2 *pst_oauth2_free(struct pst_oauth2 *oauth2)
{
    if (oauth2) {
        pst_http_free(oauth2->http);
        token_unref(oauth2->token);
        free(oauth2);
    }
    return NULL;
}

void pst_oauth2_forget(struct pst_oauth2 *oauth2)
{
    pthread_mutex_lock(&oauth2->token->lock);
    if (oauth2->token->number == oauth2->used)
        pst_buf_reset(&oauth2->token->text);
    pthread_mutex_unlock(&oauth2->token->lock);
}

static int append_form(struct pst_buf *out, struct pst_str text)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_' || c == '.' || c == '~';
        char three[3] = {'%', hex[c >> 4], hex[c & 15]};
        int r = plain ? pst_buf_append(out, &c, 1) : pst_buf_append(out, three, 3);
        if (r < 0)
            return r;
    }
    return 0;
}

static int append_secret_form(struct pst_oauth2 *oauth2, struct pst_buf *out, char *detail)
{
    struct pst_buf secret;
    pst_buf_init(&secret, PST_NET_SECRET_BYTES);
    int r = pst_auth_secret(oauth2->settings->auth.client_secret,
                            oauth2->settings->auth.client_secret_file, &secret, detail);
    if (r == 0)
        r = append_form(out, pst_buf_view(&secret));
    pst_auth_wipe(&secret);
    return r;
}

static int make_form(struct pst_oauth2 *oauth2, struct pst_buf *form, char *detail)
{
    int r = pst_buf_puts(form, "grant_type=client_credentials");
    for (size_t i = 0; r == 0 && i < oauth2->settings->auth.scope_count; i++) {
        r = pst_buf_puts(form, i ? "%20" : "&scope=");
        if (r == 0)
            r = append_form(form, pst_str(oauth2->settings->auth.scopes[i]));
    }
    if (r < 0 || !oauth2->token->in_body)
        return r;
    r = pst_buf_puts(form, "&client_id=");
    if (r == 0)
        r = append_form(form, pst_str(oauth2->settings->auth.client_id));
    if (r == 0)
        r = pst_buf_puts(form, "&client_secret=");
    return r < 0 ? r : append_secret_form(oauth2, form, detail);
}

/* RFC 6749, 2.3.1: both parts are form-encoded before they become Basic. */
static int make_basic(struct pst_oauth2 *oauth2, struct pst_buf *value, char *detail)
{
    struct pst_buf pair;
    pst_buf_init(&pair, 3 * PST_NET_SECRET_BYTES);
    int r = append_form(&pair, pst_str(oauth2->settings->auth.client_id));
    if (r == 0)
        r = pst_buf_puts(&pair, ":");
    if (r == 0)
        r = append_secret_form(oauth2, &pair, detail);
    if (r == 0)
        r = pst_buf_puts(value, "Basic ");
    if (r == 0)
        r = pst_base64_encode(value, pair.data, pair.len);
    pst_auth_wipe(&pair);
    return r;
}

static int take_token(struct pst_oauth2 *oauth2, const struct pst_buf *body)
{
    struct pst_str text = pst_buf_view(body);
    json_t *root = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
    const char *token = json_string_value(json_object_get(root, "access_token"));
    json_t *life = json_object_get(root, "expires_in");
    json_int_t seconds = json_is_integer(life) ? json_integer_value(life) : DEFAULT_LIFE_S;
    if (seconds > MAX_LIFE_S)
        seconds = MAX_LIFE_S;
    if (seconds < RENEW_BEFORE_S + 1)
        seconds = RENEW_BEFORE_S + 1;
    int r = -EBADMSG;
    if (token && token[0] && pst_net_header_valid("Authorization", token)) {
        struct token *kept = oauth2->token;
        pst_buf_reset(&kept->text);
        r = pst_buf_puts(&kept->text, token);
        kept->number++;
        kept->ends_ns =
            pst_clock_monotonic_ns() + (uint64_t)(seconds - RENEW_BEFORE_S) * PST_NS_PER_S;
    }
    json_decref(root);
    return r;
}

static int ask(struct pst_oauth2 *oauth2, struct pst_http_reply *reply, char *detail)
{
    struct pst_buf form, basic;
    pst_buf_init(&form, 4 * PST_NET_SECRET_BYTES);
    pst_buf_init(&basic, 4 * PST_NET_SECRET_BYTES + 16);
    int r = make_form(oauth2, &form, detail);
    if (r == 0 && !oauth2->token->in_body)
        r = make_basic(oauth2, &basic, detail);
    if (r == 0) {
        struct pst_net_header headers[2] = {{"Accept", "application/json"},
                                            {"Authorization", basic.data}};
        struct pst_http_request request = {
            .headers = headers,
            .header_count = oauth2->token->in_body ? 1 : 2,
            .content_type = "application/x-www-form-urlencoded",
            .body = form.data,
            .body_bytes = form.len,
        };
        pst_http_send(oauth2->http, &request, reply);
    }
    pst_auth_wipe(&form);
    pst_auth_wipe(&basic);
    return r;
}

static bool is_passing(int status)
{
    return status == 408 || status == 429 || status >= 500;
}

static int fetch(struct pst_oauth2 *oauth2, char *detail)
{
    struct pst_http_reply reply;
    pst_http_reply_init(&reply);
    int r = ask(oauth2, &reply, detail);
    if (r == 0 && (reply.status == 400 || reply.status == 401)) {
        /* Servers differ in where they look for the secret: try the other place once. */
        oauth2->token->in_body = !oauth2->token->in_body;
        r = ask(oauth2, &reply, detail);
    }
    if (r == 0 && reply.failure) {
        (void)snprintf(detail, 256, "token: %s: %.200s", reply.failure, reply.detail);
        r = strcmp(reply.failure, "cancelled") == 0 ? -ECANCELED : -EHOSTDOWN;
    } else if (r == 0 && reply.status != 200) {
        (void)snprintf(detail, 256, "token: status %d", reply.status);
        r = is_passing(reply.status) ? -EHOSTDOWN : -EACCES;
    } else if (r == 0) {
        r = take_token(oauth2, &reply.body);
        if (r < 0)
            (void)snprintf(detail, 256, "token: the reply holds no usable access_token");
    }
    pst_auth_wipe(&reply.body);
    return r;
}

int pst_oauth2_value(struct pst_oauth2 *oauth2, struct pst_buf *value, char *detail)
{
    struct token *token = oauth2->token;
    int r = 0;
    pthread_mutex_lock(&token->lock);
    if (token->text.len == 0 || pst_clock_monotonic_ns() >= token->ends_ns) {
        pst_buf_reset(&token->text);
        r = fetch(oauth2, detail);
    }
    if (r == 0)
        r = pst_buf_puts(value, "Bearer ");
    if (r == 0)
        r = pst_buf_str(value, pst_buf_view(&token->text));
    oauth2->used = token->number;
    pthread_mutex_unlock(&token->lock);
    return r;
}
