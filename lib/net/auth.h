/* Turns the auth settings into the value of one Authorization header, secrets read anew each time.
 */
#ifndef PST_NET_AUTH_H
#define PST_NET_AUTH_H

#include "base/buf.h"
#include "net/net.h"

struct pst_auth;

/* At most one kind may be set. 0, -ENOMEM, or -EINVAL with error filled. */
int pst_auth_new(const struct pst_net_settings *settings, struct pst_cancel *cancel,
                 struct pst_auth **ret, struct pst_error *error);
struct pst_auth *pst_auth_free(struct pst_auth *auth);

/* Writes "Basic ...", "Bearer ..." or nothing. May fetch an OAuth 2 token. 0, or negative errno
 * with detail (256 bytes) filled; no secret is ever in it. */
int pst_auth_value(struct pst_auth *auth, struct pst_buf *value, char *detail);

/* The word of a failure of that: "auth" is for a person to mend, "token" (the server of tokens does
 * not answer, or has trouble) passes. */
const char *pst_auth_failure(int error);

/* The backend answered 401: a cached token is not used again. */
void pst_auth_refused(struct pst_auth *auth);

/* Standard base64 with or without padding, appended. */
int pst_base64_encode(struct pst_buf *out, const void *data, size_t len);
/* Accepts missing padding. -EBADMSG. */
int pst_base64_decode(struct pst_buf *out, struct pst_str text);

#endif
