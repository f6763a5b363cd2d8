/* The static file's view of a foreign system: name lookup that loads no module, and the places
 * where distributions keep their certificates. */
#include "portable.h"

#ifdef PST_STATIC
#include <nss.h>
#include <stdlib.h>
#include <unistd.h>

/* glibc carries "files" and "dns" inside since 2.34. Any other service of nsswitch.conf would be a
 * shared object that brings its own, different libc into this process. */
static void look_names_up_without_modules(void)
{
    (void)__nss_configure_lookup("hosts", "files dns");
    (void)__nss_configure_lookup("passwd", "files");
    (void)__nss_configure_lookup("group", "files");
    (void)__nss_configure_lookup("initgroups", "files");
}

/* OpenSSL was built for Debian's folder; others keep a bundle elsewhere. */
static void find_certificates(void)
{
    static const char *const bundles[] = {
        "/etc/ssl/certs/ca-certificates.crt", /* Debian, Alpine, Arch */
        "/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, RHEL */
        "/etc/ssl/ca-bundle.pem",             /* openSUSE */
        "/etc/ssl/cert.pem",                  /* Alpine without ca-certificates */
    };

    if (getenv("SSL_CERT_FILE") || getenv("SSL_CERT_DIR") ||
        access("/usr/lib/ssl/certs", R_OK) == 0)
        return;
    for (size_t i = 0; i < sizeof(bundles) / sizeof(bundles[0]); i++) {
        if (access(bundles[i], R_OK) == 0) {
            (void)setenv("SSL_CERT_FILE", bundles[i], 1);
            return;
        }
    }
}

void pst_portable_start(void)
{
    look_names_up_without_modules();
    find_certificates();
}
#else
void pst_portable_start(void)
{
}
#endif
