/* A byte stream to the target, for protocols that libcurl does not speak for us: libcurl connects
 * (names, proxies, unix sockets, deadlines), OpenSSL does TLS on its socket. Non-blocking. */
#ifndef PST_NET_CONNECTION_H
#define PST_NET_CONNECTION_H

#include <sys/types.h>

#include "curl_setup.h"

struct pst_connection;

/* Why something ended; failure is a constant word of net/grpc.h, NULL while all is well. */
struct pst_net_trouble {
    const char *failure;
    char detail[256];
};

/* Connects and, for https, shakes hands with the ALPN protocol (h2), which must be chosen. NULL
 * with trouble filled. */
struct pst_connection *pst_connection_open(const struct pst_net_settings *settings,
                                           const struct pst_net_target *target, const char *alpn,
                                           const struct pst_cancel *cancel, uint64_t deadline_ns,
                                           struct pst_net_trouble *trouble);
struct pst_connection *pst_connection_free(struct pst_connection *connection);

/* Bytes, 0 at the end (read only), -EAGAIN, or -EPIPE when the connection is gone. */
ssize_t pst_connection_read(struct pst_connection *connection, void *data, size_t size);
ssize_t pst_connection_write(struct pst_connection *connection, const void *data, size_t size);

/* What TLS said when a read or write answered -EPIPE: an alert of the peer, such as that it wants a
 * certificate (with TLS 1.3 it tells so after the handshake). NULL: nothing. */
const char *pst_connection_alert(const struct pst_connection *connection);

/* Waits until reading, or writing when want_write, may go on. 0, -ETIME at the deadline
 * (CLOCK_MONOTONIC), -ECANCELED. */
int pst_connection_wait(struct pst_connection *connection, bool want_write,
                        const struct pst_cancel *cancel, uint64_t deadline_ns);

#endif
