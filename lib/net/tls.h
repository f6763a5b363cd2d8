/* TLS for sockets that are ours: client settings, verification, ALPN. Made anew for each
 * connection, so that rotated certificates count. */
#ifndef PST_NET_TLS_H
#define PST_NET_TLS_H

#include <openssl/ssl.h>

#include "curl_setup.h"

/* A session ready for its handshake on fd, or NULL with detail (256 bytes) filled. */
SSL *pst_tls_new(const struct pst_net_settings *settings, const struct pst_net_target *target,
                 const char *alpn, int fd, char *detail);

/* Words for a failed handshake; empties OpenSSL's error queue. */
void pst_tls_detail(const SSL *ssl, char *detail);

#endif
