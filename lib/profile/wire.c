/* Protobuf fields on the wire: varints and the walk over one message's outermost fields. */
#include "wire.h"

#include <errno.h>

size_t pst_wire_put_varint(uint8_t *dst, uint64_t value)
{
    size_t len = 0;

    while (value >= 0x80) {
        dst[len++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    dst[len++] = (uint8_t)value;
    return len;
}

bool pst_wire_take_varint(struct pst_str *rest, uint64_t *ret)
{
    uint64_t value = 0;

    for (size_t i = 0; i < PST_WIRE_VARINT_BYTES && i < rest->len; i++) {
        uint8_t byte = (uint8_t)rest->ptr[i];

        if (i == PST_WIRE_VARINT_BYTES - 1 && byte > 1)
            return false;
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte & 0x80)
            continue;
        rest->ptr += i + 1;
        rest->len -= i + 1;
        *ret = value;
        return true;
    }
    return false;
}

static bool take_bytes(struct pst_str *rest, uint64_t len, struct pst_str *ret)
{
    if (len > rest->len)
        return false;
    *ret = (struct pst_str){rest->ptr, (size_t)len};
    rest->ptr += len;
    rest->len -= (size_t)len;
    return true;
}

int pst_wire_next(struct pst_str *rest, struct pst_wire_field *ret)
{
    uint64_t tag, len;

    if (!rest->len)
        return 0;
    if (!pst_wire_take_varint(rest, &tag) || tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
        return -EBADMSG;
    *ret = (struct pst_wire_field){.number = (uint32_t)(tag >> 3),
                                   .type = (enum pst_wire_type)(tag & 7)};
    switch (tag & 7) {
    case PST_WIRE_VARINT:
        return pst_wire_take_varint(rest, &ret->varint) ? 1 : -EBADMSG;
    case PST_WIRE_BYTES:
        if (!pst_wire_take_varint(rest, &len))
            return -EBADMSG;
        break;
    case PST_WIRE_FIXED64:
        len = 8;
        break;
    case PST_WIRE_FIXED32:
        len = 4;
        break;
    default:
        return -EBADMSG;
    }
    return take_bytes(rest, len, &ret->bytes) ? 1 : -EBADMSG;
}
