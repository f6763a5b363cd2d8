/* The exporter's settings as lib/net takes them, and the client made of them. */
#include <errno.h>
#include <stdlib.h>

#include "sending/sending.h"

static void map_auth(struct pst_net_settings *net, const struct pst_config_exporter *from)
{
    net->auth.basic_username = from->basic_username;
    net->auth.basic_password = from->basic_password;
    net->auth.basic_password_file = from->basic_password_file;
    net->auth.bearer_token = from->bearer_token;
    net->auth.bearer_token_file = from->bearer_token_file;
    net->auth.type = from->authorization_type;
    net->auth.credentials_file = from->authorization_credentials_file;
    net->auth.client_id = from->oauth2.client_id;
    net->auth.client_secret = from->oauth2.client_secret;
    net->auth.client_secret_file = from->oauth2.client_secret_file;
    net->auth.token_url = from->oauth2.token_url;
    net->auth.scopes = (const char *const *)from->oauth2.scopes.items;
    net->auth.scope_count = from->oauth2.scopes.count;
}

static void map_tls(struct pst_net_settings *net, const struct pst_config_tls *from)
{
    net->tls.ca_file = from->ca_file;
    net->tls.cert_file = from->cert_file;
    net->tls.key_file = from->key_file;
    net->tls.server_name = from->server_name;
    net->tls.min_version = from->min_version;
    net->tls.insecure = from->insecure;
    net->tls.insecure_skip_verify = from->insecure_skip_verify;
}

static int init(struct pst_sending *sending, const struct pst_config_exporter *settings)
{
    sending->settings = settings;
    sending->cancel = pst_cancel_new();
    sending->headers = calloc(settings->headers.count + 1, sizeof(*sending->headers));
    if (!sending->cancel || !sending->headers)
        return -ENOMEM;
    for (size_t i = 0; i < settings->headers.count; i++) {
        sending->headers[i].name = settings->headers.items[i].name;
        sending->headers[i].value = settings->headers.items[i].value;
    }
    struct pst_net_settings *net = &sending->net;
    net->url = settings->url;
    net->headers = sending->headers;
    net->header_count = settings->headers.count;
    net->proxy_url = settings->proxy_url;
    net->no_proxy = settings->no_proxy;
    net->timeout_ns = settings->timeout_ns;
    map_auth(net, settings);
    map_tls(net, &settings->tls);
    return 0;
}

static struct pst_sending *sending_of(struct pst_exporter *exporter)
{
    return (struct pst_sending *)exporter; /* its first member */
}

int pst_sending_create(const struct pst_config_exporter *settings, size_t bytes, bool grpc,
                       struct pst_exporter **ret, struct pst_error *error)
{
    struct pst_exporter *exporter = calloc(1, bytes);
    if (!exporter)
        return -ENOMEM;
    struct pst_sending *sending = sending_of(exporter);
    int r = init(sending, settings);
    if (r == 0 && grpc)
        r = pst_grpc_new(&sending->net, sending->cancel, &sending->grpc, error);
    else if (r == 0)
        r = pst_http_new(&sending->net, sending->cancel, &sending->http, error);
    if (r < 0) {
        pst_sending_destroy(exporter);
        return r;
    }
    *ret = exporter;
    return 0;
}

void pst_sending_destroy(struct pst_exporter *exporter)
{
    if (!exporter)
        return;
    struct pst_sending *sending = sending_of(exporter);
    pst_http_free(sending->http);
    pst_grpc_free(sending->grpc);
    pst_cancel_free(sending->cancel);
    free(sending->headers);
    free(exporter);
}

void pst_sending_cancel(struct pst_exporter *exporter)
{
    pst_cancel_raise(sending_of(exporter)->cancel);
}
