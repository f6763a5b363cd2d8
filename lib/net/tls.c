/* TLS client sessions by OpenSSL: at least 1.2, names verified, ALPN offered. */
#include "tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/cleanup.h"

static void free_context(SSL_CTX **context)
{
    SSL_CTX_free(*context);
}

static void free_session(SSL **ssl)
{
    SSL_free(*ssl);
}

static int refuse(char *detail, const char *what, const char *name)
{
    unsigned long code = ERR_peek_last_error();
    const char *why = code ? ERR_reason_error_string(code) : NULL;
    (void)snprintf(detail, 256, "%s %.150s: %.60s", what, name, why ? why : "refused");
    ERR_clear_error();
    return -1;
}

static int load_trust(SSL_CTX *context, const struct pst_net_settings *settings, char *detail)
{
    const char *ca = pst_net_text(settings->tls.ca_file);
    if (settings->tls.insecure_skip_verify) {
        SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
        return 0;
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (ca[0])
        return SSL_CTX_load_verify_file(context, ca) == 1 ? 0 : refuse(detail, "ca_file", ca);
    return SSL_CTX_set_default_verify_paths(context) == 1
               ? 0
               : refuse(detail, "system certificates", "");
}

static int load_identity(SSL_CTX *context, const struct pst_net_settings *settings, char *detail)
{
    const char *cert = pst_net_text(settings->tls.cert_file);
    const char *key = pst_net_text(settings->tls.key_file);
    if (!cert[0])
        return 0;
    if (SSL_CTX_use_certificate_chain_file(context, cert) != 1)
        return refuse(detail, "cert_file", cert);
    if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        return refuse(detail, "key_file", key);
    return 0;
}

static int expect_name(SSL *ssl, const char *name, char *detail)
{
    unsigned char address[16];
    char bare[256];
    (void)snprintf(bare, sizeof(bare), "%s", name[0] == '[' ? name + 1 : name);
    size_t len = strlen(bare);
    if (name[0] == '[' && len > 0)
        bare[len - 1] = '\0';
    bool is_address =
        inet_pton(AF_INET, bare, address) == 1 || inet_pton(AF_INET6, bare, address) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    int ok = is_address ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), bare)
                        : SSL_set1_host(ssl, bare) && SSL_set_tlsext_host_name(ssl, bare);
    return ok == 1 ? 0 : refuse(detail, "server name", name);
}

static SSL_CTX *make_context(const struct pst_net_settings *settings, char *detail)
{
    pst_auto(free_context) SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    bool tls13 = false;
    if (!context)
        return NULL;
    (void)pst_net_min_version(settings->tls.min_version, &tls13);
    SSL_CTX_set_min_proto_version(context, tls13 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    if (load_trust(context, settings, detail) < 0 || load_identity(context, settings, detail) < 0)
        return NULL;
    return PST_STEAL(context);
}

SSL *pst_tls_new(const struct pst_net_settings *settings, const struct pst_net_target *target,
                 const char *alpn, int fd, char *detail)
{
    const char *name = pst_net_text(settings->tls.server_name);
    unsigned char offer[16];
    size_t len = strlen(alpn);
    pst_auto(free_context) SSL_CTX *context = make_context(settings, detail);
    pst_auto(free_session) SSL *ssl = context ? SSL_new(context) : NULL;
    if (!ssl || len + 1 > sizeof(offer)) {
        if (!detail[0])
            (void)snprintf(detail, 256, "out of memory");
        return NULL;
    }
    offer[0] = (unsigned char)len;
    memcpy(offer + 1, alpn, len);
    if (expect_name(ssl, name[0] ? name : target->host, detail) < 0)
        return NULL;
    if (SSL_set_alpn_protos(ssl, offer, (unsigned)len + 1) != 0 || SSL_set_fd(ssl, fd) != 1) {
        (void)snprintf(detail, 256, "out of memory");
        return NULL;
    }
    SSL_set_connect_state(ssl);
    return PST_STEAL(ssl);
}

void pst_tls_detail(const SSL *ssl, char *detail)
{
    long verify = SSL_get_verify_result(ssl);
    unsigned long code = ERR_peek_last_error();
    const char *why = code ? ERR_reason_error_string(code) : NULL;
    if (verify != X509_V_OK)
        (void)snprintf(detail, 256, "certificate: %.200s", X509_verify_cert_error_string(verify));
    else
        (void)snprintf(detail, 256, "handshake: %.200s", why ? why : "the peer closed it");
    ERR_clear_error();
}
