/* What the static file settles at its start, because the system it runs on is not the one it was
 * built on. Empty in a build that links the system's libraries. */
#ifndef PST_PORTABLE_H
#define PST_PORTABLE_H

/* Called once, before any thread. Sets SSL_CERT_FILE for this process and its children where
 * nothing else says where the certificates are. */
void pst_portable_start(void);

#endif
