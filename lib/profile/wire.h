/* The outer layer of a protobuf message: fields walked and written one at a time, so that a large
 * message never exists as a tree. Everything read is bounds-checked; groups are refused. */
#ifndef PST_PROFILE_WIRE_H
#define PST_PROFILE_WIRE_H

#include "base/str.h"

enum pst_wire_type {
    PST_WIRE_VARINT = 0,
    PST_WIRE_FIXED64 = 1,
    PST_WIRE_BYTES = 2,
    PST_WIRE_FIXED32 = 5,
};

struct pst_wire_field {
    uint32_t number;
    enum pst_wire_type type;
    uint64_t varint;      /* of PST_WIRE_VARINT */
    struct pst_str bytes; /* of the others; a view into the message */
};

#define PST_WIRE_VARINT_BYTES 10

/* Writes at most PST_WIRE_VARINT_BYTES and returns how many. */
size_t pst_wire_put_varint(uint8_t *dst, uint64_t value);
/* Takes one varint off the front of *rest; false when it is cut off or longer than 64 bits. */
bool pst_wire_take_varint(struct pst_str *rest, uint64_t *ret);
/* Takes the next field off the front of *rest. 1, 0 at the end, -EBADMSG. */
int pst_wire_next(struct pst_str *rest, struct pst_wire_field *ret);

#endif
