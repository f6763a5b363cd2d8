/* HTTP/2 by nghttp2, apart from sockets: bytes in, bytes out, one call at a time. */
#ifndef PST_NET_GRPC_CALL_H
#define PST_NET_GRPC_CALL_H

#include "connection.h"
#include "net/grpc.h"

/* Largest frame nghttp2 makes by default, and what a call's headers may add. */
#define PST_GRPC_FRAME_BYTES (16384 + 65536)

struct pst_grpc_session;

/* One call: what is sent, and the reply that the callbacks fill. */
struct pst_grpc_call {
    const unsigned char *message;
    size_t message_bytes;
    unsigned char prefix[5];
    size_t sent; /* of prefix and message */

    struct pst_grpc_reply *reply;
    int32_t stream;
    size_t header_bytes;
    unsigned char reply_prefix[5];
    size_t reply_prefix_bytes;
    uint64_t moved_bytes; /* grows whenever something of this call moves */
    bool over;            /* the reply is final */
    bool broken;          /* the connection must not be used again */
    bool closed;          /* nghttp2 has forgotten the stream */
};

void pst_grpc_call_init(struct pst_grpc_call *call, const void *message, size_t message_bytes,
                        bool compressed, struct pst_grpc_reply *reply);
/* Ends the call by a failure of the connection, unless it is over. */
void pst_grpc_call_fail(struct pst_grpc_call *call, const char *failure, const char *detail);

struct pst_grpc_session *pst_grpc_session_new(void);
struct pst_grpc_session *pst_grpc_session_free(struct pst_grpc_session *session);
/* Submits the request. 0 or -ENOMEM. */
int pst_grpc_session_start(struct pst_grpc_session *session, struct pst_grpc_call *call,
                           const struct pst_net_header *fields, size_t count);
/* The call is about to go: callbacks will not touch it again. Settles what the reply means. */
void pst_grpc_session_finish(struct pst_grpc_session *session, struct pst_grpc_call *call);
/* Appends what is to be sent, at least one frame when there is any and room is left. 0 or -EPIPE.
 */
int pst_grpc_session_output(struct pst_grpc_session *session, struct pst_buf *out);
/* 0, or -EPIPE when the peer broke the protocol or floods. */
int pst_grpc_session_input(struct pst_grpc_session *session, const void *data, size_t len);
bool pst_grpc_session_wants_write(struct pst_grpc_session *session);
/* Whether nothing will ever come of it again: it ended itself after a broken frame. */
bool pst_grpc_session_dead(struct pst_grpc_session *session);
/* Whether another call may be started on it. */
bool pst_grpc_session_open(struct pst_grpc_session *session);

#endif
