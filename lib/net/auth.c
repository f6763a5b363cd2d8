/* Authorization headers from settings and secret files. Secrets live only in the buffers made for
 * one request; those are wiped. */
#include "auth.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/io.h"
#include "curl_setup.h"
#include "oauth2.h"

enum kind { AUTH_NONE, AUTH_BASIC, AUTH_BEARER, AUTH_TYPED, AUTH_OAUTH2 };

struct pst_auth {
    const struct pst_net_settings *settings;
    enum kind kind;
    struct pst_oauth2 *oauth2;
};

static bool set(const char *text)
{
    return text && text[0];
}

static unsigned kinds(const struct pst_net_settings *settings, enum kind *ret_kind)
{
    bool basic = set(settings->auth.basic_username) || set(settings->auth.basic_password) ||
                 set(settings->auth.basic_password_file);
    bool bearer = set(settings->auth.bearer_token) || set(settings->auth.bearer_token_file);
    bool typed = set(settings->auth.credentials_file);
    bool oauth2 = set(settings->auth.client_id) || set(settings->auth.token_url);
    *ret_kind = basic    ? AUTH_BASIC
                : bearer ? AUTH_BEARER
                : typed  ? AUTH_TYPED
                : oauth2 ? AUTH_OAUTH2
                         : AUTH_NONE;
    return (unsigned)basic + bearer + typed + oauth2;
}

int pst_auth_new(const struct pst_net_settings *settings, struct pst_cancel *cancel,
                 struct pst_auth **ret, struct pst_error *error)
{
    enum kind kind = AUTH_NONE;
    if (kinds(settings, &kind) > 1)
        return pst_error_set(error, PST_EXIT_USAGE, NULL, "keep one of them",
                             "more than one of basic_auth, bearer_token, authorization and oauth2");
    struct pst_auth *auth = calloc(1, sizeof(*auth));
    if (!auth)
        return -ENOMEM;
    auth->settings = settings;
    auth->kind = kind;
    int r = kind == AUTH_OAUTH2 ? pst_oauth2_new(settings, cancel, &auth->oauth2, error) : 0;
    if (r < 0) {
        pst_auth_free(auth);
        return r;
    }
    *ret = auth;
    return 0;
}

struct pst_auth *pst_auth_free(struct pst_auth *auth)
{
    if (auth) {
        pst_oauth2_free(auth->oauth2);
        free(auth);
    }
    return NULL;
}

int pst_auth_secret(const char *text, const char *file, struct pst_buf *out, char *detail)
{
    if (!set(file))
        return pst_buf_puts(out, pst_net_text(text));
    size_t before = out->len;
    int r = pst_io_read_file(AT_FDCWD, file, out, false);
    if (r < 0) {
        (void)snprintf(detail, 256, "%.180s: %s", file, strerror(-r));
        return r;
    }
    while (out->len > before && (out->data[out->len - 1] == '\n' ||
                                 out->data[out->len - 1] == '\r' || out->data[out->len - 1] == ' '))
        out->data[--out->len] = '\0';
    return 0;
}

static int basic_value(struct pst_auth *auth, struct pst_buf *value, char *detail)
{
    struct pst_buf pair;
    pst_buf_init(&pair, PST_NET_SECRET_BYTES);
    int r = pst_buf_printf(&pair, "%s:", pst_net_text(auth->settings->auth.basic_username));
    if (r == 0)
        r = pst_auth_secret(auth->settings->auth.basic_password,
                            auth->settings->auth.basic_password_file, &pair, detail);
    if (r == 0)
        r = pst_buf_puts(value, "Basic ");
    if (r == 0)
        r = pst_base64_encode(value, pair.data, pair.len);
    pst_auth_wipe(&pair);
    return r;
}

void pst_auth_wipe(struct pst_buf *secret)
{
    if (secret->data)
        explicit_bzero(secret->data, secret->cap);
    pst_buf_done(secret);
}

static int make_value(struct pst_auth *auth, struct pst_buf *value, char *detail)
{
    const struct pst_net_settings *settings = auth->settings;
    int r = 0;
    switch (auth->kind) {
    case AUTH_BASIC:
        return basic_value(auth, value, detail);
    case AUTH_BEARER:
        r = pst_buf_puts(value, "Bearer ");
        return r < 0 ? r
                     : pst_auth_secret(settings->auth.bearer_token,
                                       settings->auth.bearer_token_file, value, detail);
    case AUTH_TYPED:
        r = pst_buf_printf(value, "%s ", set(settings->auth.type) ? settings->auth.type : "Bearer");
        return r < 0 ? r : pst_auth_secret(NULL, settings->auth.credentials_file, value, detail);
    case AUTH_OAUTH2:
        return pst_oauth2_value(auth->oauth2, value, detail);
    case AUTH_NONE:
        break;
    }
    return 0;
}

int pst_auth_value(struct pst_auth *auth, struct pst_buf *value, char *detail)
{
    int r = make_value(auth, value, detail);
    if (r < 0) {
        if (!detail[0])
            (void)snprintf(detail, 256, "credentials: %s", strerror(-r));
        return r;
    }
    struct pst_str view = pst_buf_view(value);
    if (memchr(view.ptr, '\0', view.len) || !pst_net_header_valid("Authorization", view.ptr)) {
        (void)snprintf(detail, 256, "the credentials hold a control character");
        return -EBADMSG;
    }
    return 0;
}

const char *pst_auth_failure(int error)
{
    switch (error) {
    case -ECANCELED:
        return "cancelled";
    case -ENOMEM:
        return "no_memory";
    case -EHOSTDOWN:
        return "token";
    default:
        return "auth";
    }
}

void pst_auth_refused(struct pst_auth *auth)
{
    if (auth->oauth2)
        pst_oauth2_forget(auth->oauth2);
}
