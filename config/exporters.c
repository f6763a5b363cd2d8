/* What one row of an exporter cannot tell alone: unique names, addresses, credentials that exclude
 * each other, proxies from the environment. */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "internal.h"

static int refuse(struct pst_load *load, const struct pst_config_exporter *exporter,
                  const char *remedy, const char *text)
{
    struct pst_place place = {exporter->where, 0, 0, 0};
    return pst_load_refuse(load, place, remedy, "exporter %s: %s", exporter->type, text);
}

static bool name_taken(const struct pst_config *config, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(config->exporters[i].name, name) == 0)
            return true;
    return false;
}

static int check_given_name(struct pst_load *load, size_t index)
{
    struct pst_config *config = &load->snapshot->config;
    const struct pst_config_exporter *exporter = &config->exporters[index];

    for (const char *at = exporter->name; *at; at++)
        if (!isalnum((unsigned char)*at) && !strchr("_-./", *at))
            return refuse(load, exporter, "letters, digits and _ - . / only", "unusable name");
    if (strlen(exporter->name) >= PST_CONFIG_NAME_BYTES)
        return refuse(load, exporter, "63 characters at most", "the name is too long");
    for (size_t i = 0; i < config->exporter_count; i++)
        if (i != index && strcmp(config->exporters[i].name, exporter->name) == 0)
            return refuse(load, exporter, "give each its own name", "the name is used twice");
    return 0;
}

/* TYPE, TYPE-2, TYPE-3: the first that no other entry has. Given names were checked before. A
 * number changes with the entries above, and what waits for one exporter would go to another. */
static int make_name(struct pst_load *load, size_t index)
{
    struct pst_config *config = &load->snapshot->config;
    struct pst_config_exporter *exporter = &config->exporters[index];
    char name[64];
    unsigned number = 1;

    (void)snprintf(name, sizeof name, "%s", exporter->type);
    while (name_taken(config, config->exporter_count, name))
        (void)snprintf(name, sizeof name, "%s-%u", exporter->type, ++number);
    if (number > 1)
        (void)pst_load_warn(load, (struct pst_place){exporter->where, 0, 0, 0},
                            "%s for want of a name: name the exporters, since what waits for one "
                            "is kept by its name",
                            name);
    exporter->name = pst_load_copy(load, pst_str(name));
    return exporter->name ? 0 : refuse(load, exporter, NULL, "out of memory");
}

/* HOST, HOST:PORT, [V6]:PORT in front of the first / ? or #. */
static bool authority_ok(struct pst_str text)
{
    size_t end = 0, at, colon;
    uint64_t port;

    while (end < text.len && !strchr("/?#", text.ptr[end]))
        end++;
    text.len = end;
    at = pst_str_rfind(text, '@');
    if (at < text.len)
        text = (struct pst_str){text.ptr + at + 1, text.len - at - 1};
    if (text.len && text.ptr[0] == '[') {
        size_t close = pst_str_find(text, ']');
        if (close == text.len || close < 3)
            return false;
        text = (struct pst_str){text.ptr + close, text.len - close};
    }
    colon = pst_str_find(text, ':');
    if (colon == 0 || text.len == 0)
        return false;
    if (colon == text.len)
        return true;
    text = (struct pst_str){text.ptr + colon + 1, text.len - colon - 1};
    return pst_str_u64(text, 10, 65535, &port) == 0 && port > 0;
}

static int check_url(struct pst_load *load, const struct pst_config_exporter *exporter,
                     const char *url)
{
    struct pst_str text = pst_str(url);
    const char *scheme = strstr(url, "://");

    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)url[i] <= 0x20 || url[i] == 0x7f)
            return refuse(load, exporter, NULL, "an address with a space or control character");
    if (pst_str_starts(text, PST_STR("http://")))
        text = (struct pst_str){url + 7, text.len - 7};
    else if (pst_str_starts(text, PST_STR("https://")))
        text = (struct pst_str){url + 8, text.len - 8};
    else if (pst_str_starts(text, PST_STR("unix:/")))
        return 0;
    else if (scheme)
        return refuse(load, exporter,
                      "http:// is plaintext, https:// or none is TLS, unix:/path a socket",
                      "an address with an unknown scheme");
    if (!authority_ok(text))
        return refuse(load, exporter, "write http://HOST:PORT",
                      "the address has no host or a bad port");
    return 0;
}

static int check_credentials(struct pst_load *load, const struct pst_config_exporter *exporter)
{
    bool basic = exporter->basic_username[0] || exporter->basic_password[0] ||
                 exporter->basic_password_file[0];
    bool bearer = exporter->bearer_token[0] || exporter->bearer_token_file[0];
    bool authorization = exporter->authorization_credentials_file[0] != 0;
    bool oauth2 = exporter->oauth2.client_id[0] || exporter->oauth2.client_secret[0] ||
                  exporter->oauth2.client_secret_file[0] || exporter->oauth2.token_url[0];

    if (basic + bearer + authorization + oauth2 > 1)
        return refuse(load, exporter, "keep one",
                      "more than one of basic_auth, bearer_token, authorization, oauth2");
    if (exporter->basic_password[0] && exporter->basic_password_file[0])
        return refuse(load, exporter, "keep one", "both password and password_file");
    if (exporter->bearer_token[0] && exporter->bearer_token_file[0])
        return refuse(load, exporter, "keep one", "both bearer_token and bearer_token_file");
    if (exporter->oauth2.client_secret[0] && exporter->oauth2.client_secret_file[0])
        return refuse(load, exporter, "keep one", "both client_secret and client_secret_file");
    if (basic && exporter->basic_username[0] == 0)
        return refuse(load, exporter, "add basic_auth.username", "a password without a user name");
    if (oauth2 && (exporter->oauth2.client_id[0] == 0 || exporter->oauth2.token_url[0] == 0))
        return refuse(load, exporter, "add oauth2.client_id and oauth2.token_url",
                      "oauth2 is incomplete");
    return oauth2 ? check_url(load, exporter, exporter->oauth2.token_url) : 0;
}

static int check_tls(struct pst_load *load, const struct pst_config_exporter *exporter)
{
    const struct pst_config_tls *tls = &exporter->tls;

    if ((tls->cert_file[0] != 0) != (tls->key_file[0] != 0))
        return refuse(load, exporter, "give both", "cert_file and key_file belong together");
    if (tls->insecure && strncmp(exporter->url, "https://", 8) == 0)
        return refuse(load, exporter, "write http://, or drop insecure",
                      "tls_config.insecure with an https address");
    return 0;
}

/* localhost, 127.0.0.0/8, [::1]: where no proxy that a whole machine uses leads. */
static bool is_on_loopback(const char *url)
{
    const char *scheme = strstr(url, "://"), *host = scheme ? scheme + 3 : url;
    size_t end = strcspn(host, "/?#");
    const char *at = memrchr(host, '@', end);
    struct pst_str text = {at ? at + 1 : host, at ? end - (size_t)(at + 1 - host) : end};
    char name[64];
    struct in_addr v4;

    if (pst_str_starts(text, PST_STR("[")))
        return pst_str_starts(text, PST_STR("[::1]"));
    text.len = pst_str_find(text, ':');
    if (text.len >= sizeof name)
        return false;
    (void)snprintf(name, sizeof name, "%.*s", (int)text.len, text.ptr);
    if (inet_pton(AF_INET, name, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return strcasecmp(name, "localhost") == 0;
}

/* Proxies of the environment are settings like others. http_proxy counts in small letters only, as
 * in curl: HTTP_PROXY can come from a request header under CGI. */
static void take_proxies(struct pst_load *load, struct pst_config_exporter *exporter)
{
    bool plain = strncmp(exporter->url, "http://", 7) == 0 || exporter->tls.insecure;
    const char *proxy = NULL, *none = pst_load_env(load, "NO_PROXY");

    if (is_on_loopback(exporter->url))
        return;
    if (!plain)
        proxy = pst_load_env(load, "HTTPS_PROXY");
    if (!proxy)
        proxy = pst_load_env(load, plain ? "http_proxy" : "https_proxy");
    if (!none)
        none = pst_load_env(load, "no_proxy");
    if (exporter->proxy_url[0] == 0 && proxy)
        exporter->proxy_url = pst_load_copy(load, pst_str(proxy));
    if (exporter->no_proxy[0] == 0 && none)
        exporter->no_proxy = pst_load_copy(load, pst_str(none));
}

/* ${label} that ends and has a name. */
static bool tenant_ok(const char *text)
{
    for (text = strstr(text, "${"); text; text = strstr(text, "${")) {
        const char *close = strchr(text, '}');
        if (!close || close == text + 2)
            return false;
        text = close;
    }
    return true;
}

static int finish_network(struct pst_load *load, struct pst_config_exporter *exporter)
{
    int rc;

    if (exporter->url[0] == 0)
        return refuse(load, exporter, "add url: http://HOST:PORT", "it has no address");
    rc = check_url(load, exporter, exporter->url);
    rc = rc ? rc : check_credentials(load, exporter);
    rc = rc ? rc : check_tls(load, exporter);
    if (rc < 0)
        return rc;
    if (exporter->retry_initial_ns > exporter->retry_max_ns)
        return refuse(load, exporter, NULL,
                      "retry_on_failure: initial_interval is longer than max_interval");
    if (exporter->tenant && !tenant_ok(exporter->tenant))
        return refuse(load, exporter, "write ${namespace}", "tenant: a ${ without a name or its }");
    take_proxies(load, exporter);
    if (!exporter->proxy_url || !exporter->no_proxy)
        return refuse(load, exporter, NULL, "out of memory");
    if (exporter->external_labels.count &&
        pst_setting_exporter_type(pst_str(exporter->type)) != PST_TYPE_OTLP)
        for (size_t i = 0; i < exporter->external_labels.count; i++)
            if (strchr(exporter->external_labels.items[i].name, '.'))
                return refuse(load, exporter, "write _ for the dots",
                              "external_labels: names with dots are for otlp");
    return 0;
}

int pst_exporters_finish(struct pst_load *load)
{
    struct pst_config *config = &load->snapshot->config;
    int rc = 0;

    for (size_t i = 0; i < config->exporter_count && rc == 0; i++)
        if (config->exporters[i].name[0])
            rc = check_given_name(load, i);
    for (size_t i = 0; i < config->exporter_count && rc == 0; i++) {
        if (config->exporters[i].name[0] == 0)
            rc = make_name(load, i);
        if (rc == 0 && strcmp(config->exporters[i].type, "file") != 0)
            rc = finish_network(load, &config->exporters[i]);
    }
    return rc;
}
