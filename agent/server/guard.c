/* Who may see what (design 2.3). On loopback the address is the permission, so a foreign Host (DNS
 * rebinding) is refused; elsewhere the token is, and without one only metrics and health are
 * served. Requests that another site's page makes a browser send are refused in either case. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "internal.h"

/* The name in "NAME:PORT", "[ADDRESS]:PORT" or either without the port. */
static bool host_name(struct pst_str host, char *name, size_t size)
{
    struct pst_str part = host;
    if (host.len > 0 && host.ptr[0] == '[') {
        size_t close = pst_str_find(host, ']');
        if (close == host.len || (close + 1 < host.len && host.ptr[close + 1] != ':'))
            return false;
        part = (struct pst_str){host.ptr + 1, close - 1};
    } else {
        part.len = pst_str_rfind(host, ':');
    }
    if (part.len == 0 || part.len >= size || memchr(part.ptr, 0, part.len))
        return false;
    memcpy(name, part.ptr, part.len);
    name[part.len] = '\0';
    return true;
}

static bool names_this_machine(const struct pst_server *server, struct pst_str host)
{
    char name[256];
    struct in_addr v4;
    struct in6_addr v6;
    if (!host_name(host, name, sizeof(name)))
        return false;
    if (strcasecmp(name, "localhost") == 0 || strcasecmp(name, server->host) == 0)
        return true;
    if (inet_pton(AF_INET, name, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, name, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* Time independent of where the first difference is. */
static bool same_secret(struct pst_str a, struct pst_str b)
{
    unsigned char difference = a.len == b.len ? 0 : 1;
    for (size_t i = 0; i < a.len && b.len > 0; i++)
        difference |= (unsigned char)(a.ptr[i] ^ b.ptr[i % b.len]);
    return difference == 0;
}

static bool has_token(struct pst_request *request, struct pst_str token)
{
    struct pst_str given = pst_request_header(request, "Authorization");
    if (given.len > 7 && strncasecmp(given.ptr, "Bearer ", 7) == 0)
        return same_secret((struct pst_str){given.ptr + 7, given.len - 7}, token);
    /* A browser can ask for this one; the user name does not matter. */
    char *password = NULL;
    char *user = MHD_basic_auth_get_username_password(request->connection, &password);
    bool same = password && same_secret(pst_str(password), token);
    MHD_free(user);
    MHD_free(password);
    return same;
}

/* Read for each request: a token that was replaced holds at once. */
static bool token_admits(struct pst_request *request, struct pst_answer *answer)
{
    struct pst_buf file;
    pst_buf_init(&file, PST_MAX_HTTP_TOKEN_BYTES);
    int r = pst_io_read_file(AT_FDCWD, request->server->token_file, &file, false);
    struct pst_str token = pst_str_trim(pst_buf_view(&file));
    bool readable = r == 0 && token.len > 0;
    bool admitted = readable && has_token(request, token);
    if (!readable) {
        pst_answer_text(answer, MHD_HTTP_SERVICE_UNAVAILABLE,
                        "server.bearer_token_file cannot be read or is empty");
    } else if (!admitted) {
        pst_answer_text(answer, MHD_HTTP_UNAUTHORIZED,
                        "this needs the token of server.bearer_token_file");
        answer->authenticate = "Basic realm=\"pystrobe\", charset=\"UTF-8\"";
    }
    if (file.data)
        explicit_bzero(file.data, file.len);
    pst_buf_done(&file);
    return admitted;
}

static bool origin_is_ours(struct pst_request *request)
{
    struct pst_str origin = pst_request_header(request, "Origin");
    struct pst_str host = pst_request_header(request, "Host");
    if (origin.len == 0)
        return true; /* not from a page */
    return pst_str_starts(origin, PST_STR("http://")) && origin.len == host.len + 7 &&
           strncasecmp(origin.ptr + 7, host.ptr, host.len) == 0;
}

/* A browser says where a request comes from; a link or a typed address is navigation. */
static bool sent_by_other_site(struct pst_request *request)
{
    struct pst_str site = pst_request_header(request, "Sec-Fetch-Site");
    struct pst_str mode = pst_request_header(request, "Sec-Fetch-Mode");
    if (site.len == 0 || pst_str_eq(site, PST_STR("same-origin")) ||
        pst_str_eq(site, PST_STR("none")))
        return false;
    return !(pst_str_eq(mode, PST_STR("navigate")) && strcmp(request->path, "/") == 0);
}

bool pst_guard_admits(struct pst_request *request, bool public_path, struct pst_answer *answer)
{
    const struct pst_server *server = request->server;
    struct pst_str host = pst_request_header(request, "Host");
    if (server->loopback && !server->unix_socket && host.len > 0 &&
        !names_this_machine(server, host)) {
        pst_answer_text(answer, MHD_HTTP_FORBIDDEN,
                        "this endpoint answers to localhost only, not to another host name");
        return false;
    }
    if (strcmp(request->method, "POST") == 0 && !origin_is_ours(request)) {
        pst_answer_text(answer, MHD_HTTP_FORBIDDEN, "refused: the request comes from another site");
        return false;
    }
    if (public_path)
        return true;
    if (sent_by_other_site(request)) {
        pst_answer_text(answer, MHD_HTTP_FORBIDDEN, "refused: the request comes from another site");
        return false;
    }
    if (server->token_file[0])
        return token_admits(request, answer);
    if (server->loopback)
        return true;
    pst_answer_text(answer, MHD_HTTP_FORBIDDEN,
                    "off loopback only /metrics, /healthz and /readyz are served; "
                    "set server.bearer_token_file for the rest");
    return false;
}
