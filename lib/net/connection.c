/* libcurl's CONNECT_ONLY gives a connected socket within the connect deadline; the handle is kept
 * as long as the socket is used. */
#include "connection.h"

#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "tls.h"

struct pst_connection {
    CURLM *multi;
    CURL *easy;
    int fd; /* the easy handle's */
    SSL *ssl;
    bool ssl_wants_write; /* a read waits for the socket to take bytes */
    const char *alert;    /* OpenSSL's constant text */
    char error_text[CURL_ERROR_SIZE];
};

static void trouble_set(struct pst_net_trouble *trouble, const char *failure, const char *detail)
{
    trouble->failure = failure;
    if (detail)
        (void)snprintf(trouble->detail, sizeof(trouble->detail), "%s", detail);
}

static int connect_socket(struct pst_connection *connection,
                          const struct pst_net_settings *settings,
                          const struct pst_net_target *target, const struct pst_cancel *cancel,
                          struct pst_net_trouble *trouble)
{
    char *url = NULL;
    CURLcode code = CURLE_OUT_OF_MEMORY;
    CURL *easy = connection->easy;
    /* http: libcurl must not do TLS on a socket that we take over. */
    if (asprintf(&url, "http://%s:%s", target->host, target->port) >= 0) {
        (void)pst_net_curl_setup(easy, settings, target, true, connection->error_text);
        curl_easy_setopt(easy, CURLOPT_URL, url);
        free(url);
        curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
        if (pst_net_curl_run(connection->multi, easy, cancel, &code) < 0) {
            trouble_set(trouble, "cancelled", "the agent ends or has a new configuration");
            return -1;
        }
    }
    curl_socket_t fd = CURL_SOCKET_BAD;
    if (code == CURLE_OK)
        code = curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &fd);
    if (code == CURLE_OK && fd == CURL_SOCKET_BAD)
        code = CURLE_COULDNT_CONNECT;
    if (code != CURLE_OK) {
        const char *text =
            connection->error_text[0] ? connection->error_text : curl_easy_strerror(code);
        trouble_set(trouble, pst_net_curl_failure(code), text);
        return -1;
    }
    connection->fd = fd;
    return 0;
}

/* What OpenSSL's answer means for us: 0 never, -EAGAIN, -EPIPE. */
static ssize_t ssl_result(struct pst_connection *connection, int result)
{
    int error = SSL_get_error(connection->ssl, result);
    connection->ssl_wants_write = error == SSL_ERROR_WANT_WRITE;
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return -EAGAIN;
    if (error == SSL_ERROR_SSL)
        connection->alert = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return error == SSL_ERROR_ZERO_RETURN ? 0 : -EPIPE;
}

const char *pst_connection_alert(const struct pst_connection *connection)
{
    return connection->alert;
}

static int shake_hands(struct pst_connection *connection, const char *alpn,
                       const struct pst_cancel *cancel, uint64_t deadline_ns,
                       struct pst_net_trouble *trouble)
{
    for (;;) {
        ERR_clear_error();
        int result = SSL_do_handshake(connection->ssl);
        if (result == 1)
            break;
        int error = SSL_get_error(connection->ssl, result);
        if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
            trouble->failure = "tls";
            pst_tls_detail(connection->ssl, trouble->detail);
            return -1;
        }
        int r = pst_connection_wait(connection, error == SSL_ERROR_WANT_WRITE, cancel, deadline_ns);
        if (r < 0) {
            trouble_set(trouble, r == -ECANCELED ? "cancelled" : "timeout", "TLS handshake");
            return -1;
        }
    }
    const unsigned char *chosen = NULL;
    unsigned len = 0;
    SSL_get0_alpn_selected(connection->ssl, &chosen, &len);
    if (len != strlen(alpn) || memcmp(chosen, alpn, len) != 0) {
        trouble_set(trouble, "tls", "the server does not offer HTTP/2 (ALPN h2)");
        return -1;
    }
    return 0;
}

struct pst_connection *pst_connection_open(const struct pst_net_settings *settings,
                                           const struct pst_net_target *target, const char *alpn,
                                           const struct pst_cancel *cancel, uint64_t deadline_ns,
                                           struct pst_net_trouble *trouble)
{
    uint64_t connect_ns = pst_clock_monotonic_ns() + PST_NET_CONNECT_NS;
    if (deadline_ns < connect_ns)
        connect_ns = deadline_ns;
    trouble_set(trouble, "no_memory", "out of memory");
    struct pst_connection *connection = calloc(1, sizeof(*connection));
    if (!connection)
        return NULL;
    connection->fd = -1;
    connection->multi = curl_multi_init();
    connection->easy = curl_easy_init();
    if (!connection->multi || !connection->easy ||
        connect_socket(connection, settings, target, cancel, trouble) < 0)
        return pst_connection_free(connection);
    if (target->tls) {
        trouble->detail[0] = '\0';
        connection->ssl = pst_tls_new(settings, target, alpn, connection->fd, trouble->detail);
        trouble->failure = "tls";
        if (!connection->ssl || shake_hands(connection, alpn, cancel, connect_ns, trouble) < 0)
            return pst_connection_free(connection);
    }
    trouble_set(trouble, NULL, "");
    return connection;
}

struct pst_connection *pst_connection_free(struct pst_connection *connection)
{
    if (!connection)
        return NULL;
    if (connection->ssl) {
        (void)SSL_shutdown(connection->ssl); /* does not wait */
        ERR_clear_error();
        SSL_free(connection->ssl);
    }
    if (connection->easy && connection->multi)
        (void)curl_multi_remove_handle(connection->multi, connection->easy);
    if (connection->easy)
        curl_easy_cleanup(connection->easy);
    if (connection->multi)
        curl_multi_cleanup(connection->multi);
    free(connection);
    return NULL;
}

static ssize_t socket_result(ssize_t n)
{
    if (n >= 0)
        return n;
    return errno == EAGAIN || errno == EINTR ? -EAGAIN : -EPIPE;
}

ssize_t pst_connection_read(struct pst_connection *connection, void *data, size_t size)
{
    if (!connection->ssl)
        return socket_result(recv(connection->fd, data, size, MSG_DONTWAIT));
    ERR_clear_error();
    int n = SSL_read(connection->ssl, data, size > INT32_MAX ? INT32_MAX : (int)size);
    return n > 0 ? n : ssl_result(connection, n);
}

ssize_t pst_connection_write(struct pst_connection *connection, const void *data, size_t size)
{
    if (!connection->ssl)
        return socket_result(send(connection->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL));
    ERR_clear_error();
    int n = SSL_write(connection->ssl, data, size > INT32_MAX ? INT32_MAX : (int)size);
    if (n > 0)
        return n;
    ssize_t result = ssl_result(connection, n);
    return result == 0 ? -EPIPE : result;
}

int pst_connection_wait(struct pst_connection *connection, bool want_write,
                        const struct pst_cancel *cancel, uint64_t deadline_ns)
{
    struct pollfd fds[2] = {{.fd = connection->fd, .events = POLLIN},
                            {.fd = pst_cancel_fd(cancel), .events = POLLIN}};
    if (want_write || connection->ssl_wants_write)
        fds[0].events |= POLLOUT;
    for (;;) {
        uint64_t now_ns = pst_clock_monotonic_ns();
        if (pst_cancel_raised(cancel))
            return -ECANCELED;
        if (now_ns >= deadline_ns)
            return -ETIME;
        if (connection->ssl && SSL_pending(connection->ssl) > 0)
            return 0;
        uint64_t wait_ms = (deadline_ns - now_ns) / PST_NS_PER_MS + 1;
        int n = poll(fds, 2, wait_ms > 1000 ? 1000 : (int)wait_ms);
        if (n > 0 && fds[0].revents)
            return 0;
    }
}
