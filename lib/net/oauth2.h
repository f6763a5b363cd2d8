/* OAuth 2 client credentials (RFC 6749, 4.4): fetches a token, keeps it until shortly before it
 * ends. Uses an HTTP client of its own, so that no header of the backend goes to the token URL. */
#ifndef PST_NET_OAUTH2_H
#define PST_NET_OAUTH2_H

#include "base/buf.h"
#include "net/net.h"

struct pst_oauth2;

int pst_oauth2_new(const struct pst_net_settings *settings, struct pst_cancel *cancel,
                   struct pst_oauth2 **ret, struct pst_error *error);
struct pst_oauth2 *pst_oauth2_free(struct pst_oauth2 *oauth2);
/* Appends "Bearer TOKEN". 0 or negative errno with detail filled; -EHOSTDOWN: the server of tokens
 * does not answer or has trouble. */
int pst_oauth2_value(struct pst_oauth2 *oauth2, struct pst_buf *value, char *detail);
/* The token that was given out last was refused: the next value is another one. */
void pst_oauth2_forget(struct pst_oauth2 *oauth2);

/* Of auth.c: the secret from its text or, when file is set, from the file without the line end. */
int pst_auth_secret(const char *text, const char *file, struct pst_buf *out, char *detail);
/* Overwrites and frees. */
void pst_auth_wipe(struct pst_buf *secret);

#endif
