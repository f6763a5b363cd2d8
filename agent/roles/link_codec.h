/* Shared by the link's encoders and decoders: packing with protobuf-c under a bound. */
#ifndef PST_ROLES_LINK_CODEC_H
#define PST_ROLES_LINK_CODEC_H

#include <protobuf-c/protobuf-c.h>

#include "base/buf.h"

enum { PST_LINK_VERSION = 1 };

/* Replaces out's content with the packed message. 0, -ENOMEM, -EFBIG. */
int pst_link_pack(const ProtobufCMessage *message, struct pst_buf *out);

/* Unpacks with at most PST_MAX_LINK_DECODED_BYTES of memory: a few bytes of wire can ask for much
 * more. NULL for anything malformed. Release with pst_link_release. */
ProtobufCMessage *pst_link_unpack(const ProtobufCMessageDescriptor *descriptor, const void *data,
                                  size_t len);
void pst_link_release(ProtobufCMessage *message);

#endif
