/* Takes the URL of the settings apart, with libcurl's own parser, so that what we check is what it
 * will connect to. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "base/cleanup.h"
#include "curl_setup.h"

static void free_curl_text(char **text)
{
    curl_free(*text);
}

static void free_curlu(CURLU **url)
{
    curl_url_cleanup(*url);
}

static bool is_loopback(const char *host)
{
    struct in_addr four;
    if (inet_pton(AF_INET, host, &four) == 1)
        return (ntohl(four.s_addr) >> 24) == 127;
    return strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0;
}

static int bad_url(struct pst_error *error, const char *what)
{
    return pst_error_set(error, PST_EXIT_USAGE, NULL, "write it as https://HOST:PORT", "%s", what);
}

static int get_part(CURLU *url, CURLUPart part, unsigned flags, char **ret)
{
    pst_auto(free_curl_text) char *text = NULL;
    CURLUcode code = curl_url_get(url, part, &text, flags);
    if (code == CURLUE_OUT_OF_MEMORY)
        return -ENOMEM;
    *ret = strdup(code == CURLUE_OK && text ? text : "");
    return *ret ? 0 : -ENOMEM;
}

static int make_base(CURLU *url, struct pst_net_target *target)
{
    pst_autofree char *full = NULL;
    int r = get_part(url, CURLUPART_URL, 0, &full);
    if (r < 0)
        return r;
    size_t len = strlen(full);
    while (len > 0 && full[len - 1] == '/')
        len--;
    target->base = strndup(full, len);
    return target->base ? 0 : -ENOMEM;
}

static int make_authority(CURLU *url, struct pst_net_target *target)
{
    pst_autofree char *explicit_port = NULL;
    int r = get_part(url, CURLUPART_PORT, 0, &explicit_port);
    if (r < 0)
        return r;
    const char *colon = explicit_port[0] ? ":" : "";
    if (asprintf(&target->authority, "%s%s%s", target->host, colon, explicit_port) < 0) {
        target->authority = NULL;
        return -ENOMEM;
    }
    return 0;
}

static int take_apart(CURLU *url, struct pst_net_target *target, struct pst_error *error)
{
    pst_autofree char *user = NULL, *query = NULL, *fragment = NULL;
    int r = get_part(url, CURLUPART_SCHEME, 0, &target->scheme);
    if (r == 0)
        r = get_part(url, CURLUPART_HOST, 0, &target->host);
    if (r == 0)
        r = get_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT, &target->port);
    if (r == 0)
        r = get_part(url, CURLUPART_USER, 0, &user);
    if (r == 0)
        r = get_part(url, CURLUPART_QUERY, 0, &query);
    if (r == 0)
        r = get_part(url, CURLUPART_FRAGMENT, 0, &fragment);
    if (r == 0)
        r = make_authority(url, target);
    if (r == 0)
        r = make_base(url, target);
    if (r < 0)
        return r;
    if (strcasecmp(target->scheme, "http") != 0 && strcasecmp(target->scheme, "https") != 0)
        return bad_url(error, "the URL's scheme is neither http nor https");
    if (query[0] || fragment[0])
        return bad_url(error, "the URL has a query or a fragment");
    target->tls = strcasecmp(target->scheme, "https") == 0;
    target->loopback = is_loopback(target->host);
    target->has_userinfo = user[0] != '\0';
    return 0;
}

static int unix_target(struct pst_net_target *target, const char *path, struct pst_error *error)
{
    if (path[0] != '/' || strlen(path) > 107)
        return bad_url(error, "unix: wants an absolute path of at most 107 bytes");
    target->unix_path = strdup(path);
    target->base = strdup("http://localhost");
    target->scheme = strdup("http");
    target->host = strdup("localhost");
    target->port = strdup("80");
    target->authority = strdup("localhost");
    bool whole = target->unix_path && target->base && target->scheme && target->host &&
                 target->port && target->authority;
    return whole ? 0 : -ENOMEM;
}

int pst_net_target_init(struct pst_net_target *target, const struct pst_net_settings *settings,
                        struct pst_error *error)
{
    memset(target, 0, sizeof(*target));
    const char *text = pst_net_text(settings->url);
    bool tls13 = false;
    if (!pst_net_min_version(settings->tls.min_version, &tls13))
        return pst_error_set(error, PST_EXIT_USAGE, NULL, "use 1.2 or 1.3",
                             "min_version \"%s\" is not a TLS version that is accepted",
                             settings->tls.min_version);
    if (!text[0])
        return bad_url(error, "the URL is missing");
    if (strlen(text) > PST_NET_URL_BYTES)
        return bad_url(error, "the URL is too long");
    if (strncmp(text, "unix:", 5) == 0)
        return unix_target(target, text + 5, error);
    pst_autofree char *full = NULL;
    const char *scheme = settings->tls.insecure ? "http://" : "https://";
    if (asprintf(&full, "%s%s", strstr(text, "://") ? "" : scheme, text) < 0) {
        full = NULL;
        return -ENOMEM;
    }
    pst_auto(free_curlu) CURLU *url = curl_url();
    if (!url)
        return -ENOMEM;
    CURLUcode code = curl_url_set(url, CURLUPART_URL, full, 0);
    if (code == CURLUE_OUT_OF_MEMORY)
        return -ENOMEM;
    if (code != CURLUE_OK)
        return bad_url(error, "the URL cannot be read");
    return take_apart(url, target, error);
}

void pst_net_target_done(struct pst_net_target *target)
{
    free(target->base);
    free(target->unix_path);
    free(target->scheme);
    free(target->host);
    free(target->port);
    free(target->authority);
    memset(target, 0, sizeof(*target));
}
