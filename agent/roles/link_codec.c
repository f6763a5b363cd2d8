/* Packing and bounded unpacking of the role messages. Knows no message by name. */
#include "link_codec.h"

#include <errno.h>
#include <stdlib.h>

#include "base/limits.h"

struct budget {
    size_t left;
};

static void *budget_alloc(void *context, size_t size)
{
    struct budget *budget = context;

    if (size > budget->left)
        return NULL;
    budget->left -= size;
    return malloc(size);
}

static void budget_free(void *context, void *pointer)
{
    (void)context;
    free(pointer);
}

int pst_link_pack(const ProtobufCMessage *message, struct pst_buf *out)
{
    size_t size = protobuf_c_message_get_packed_size(message);

    pst_buf_reset(out);
    if (size > PST_MAX_LINK_MESSAGE_BYTES)
        return -EFBIG;
    int status = pst_buf_reserve(out, size);
    if (status < 0)
        return status;
    out->len = protobuf_c_message_pack(message, (uint8_t *)out->data);
    return 0;
}

ProtobufCMessage *pst_link_unpack(const ProtobufCMessageDescriptor *descriptor, const void *data,
                                  size_t len)
{
    struct budget budget = {PST_MAX_LINK_DECODED_BYTES};
    ProtobufCAllocator allocator = {budget_alloc, budget_free, &budget};

    if (len > PST_MAX_LINK_MESSAGE_BYTES)
        return NULL;
    return protobuf_c_message_unpack(descriptor, &allocator, len, data);
}

void pst_link_release(ProtobufCMessage *message)
{
    ProtobufCAllocator allocator = {budget_alloc, budget_free, NULL};

    if (message)
        protobuf_c_message_free_unpacked(message, &allocator);
}
