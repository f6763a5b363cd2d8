/* Reads str and bytes objects. Lengths are the target's word: what is read is bounded before. */
#include "text.h"

#include <errno.h>
#include <string.h>

#include "base/limits.h"

enum {
    HEADER_BYTES = 80,      /* up to the data pointer of a legacy str */
    SPECULATED_BYTES = 256, /* header and data of most names in one read */
    REPLACEMENT = 0xfffd,
};

static uint64_t word(const unsigned char *data, uint32_t offset)
{
    uint64_t value;
    memcpy(&value, data + offset, sizeof(value));
    return value;
}

static size_t put_utf8(char *dst, uint32_t c)
{
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        c = REPLACEMENT;
    if (c < 0x80) {
        dst[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        dst[0] = (char)(0xc0 | c >> 6);
        dst[1] = (char)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        dst[0] = (char)(0xe0 | c >> 12);
        dst[1] = (char)(0x80 | (c >> 6 & 63));
        dst[2] = (char)(0x80 | (c & 63));
        return 3;
    }
    dst[0] = (char)(0xf0 | c >> 18);
    dst[1] = (char)(0x80 | (c >> 12 & 63));
    dst[2] = (char)(0x80 | (c >> 6 & 63));
    dst[3] = (char)(0x80 | (c & 63));
    return 4;
}

static uint32_t unit_at(const unsigned char *units, size_t i, unsigned width)
{
    uint32_t value = 0;
    memcpy(&value, units + i * width, width);
    return value;
}

int pst_text_encode(const unsigned char *units, size_t count, unsigned width, struct pst_buf *buf)
{
    char chunk[256];
    size_t used = 0, total = 0;

    for (size_t i = 0; i < count; i++) {
        uint32_t c = unit_at(units, i, width);
        /* 2.7 with UCS2 keeps pairs of surrogates. */
        if (width == 2 && c >= 0xd800 && c < 0xdc00 && i + 1 < count) {
            uint32_t low = unit_at(units, i + 1, width);
            if (low >= 0xdc00 && low < 0xe000) {
                c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
                i++;
            }
        }
        char one[4];
        size_t n = put_utf8(one, c);
        if (total + n > PST_MAX_STRING_BYTES)
            break;
        if (used + n > sizeof(chunk)) {
            int error = pst_buf_append(buf, chunk, used);
            if (error < 0)
                return error;
            used = 0;
        }
        memcpy(chunk + used, one, n);
        used += n;
        total += n;
    }
    return pst_buf_append(buf, chunk, used);
}

/* Reads as many bytes as are there, at least `least`; a str may end just before an unmapped page.
 */
static int read_head(struct pst_memory *memory, uint64_t address, unsigned char *dst, size_t least,
                     size_t wanted, size_t *ret_len)
{
    int error = pst_memory_read(memory, address, dst, wanted);

    *ret_len = wanted;
    if (error == -EFAULT) {
        error = pst_memory_read(memory, address, dst, least);
        *ret_len = least;
    }
    return error;
}

int pst_text_shape(const struct pst_layout *layout, const unsigned char *head,
                   struct pst_text_shape *ret)
{
    uint32_t state;
    unsigned kind, compact, ascii;

    memcpy(&state, head + layout->object.text_state, sizeof(state));
    if (layout->text_kind == PST_TEXT_PEP393_SPLIT) {
        unsigned bits = state >> 8 & 0xff; /* the first byte is the interned state */
        kind = bits & 7, compact = bits >> 3 & 1, ascii = bits >> 4 & 1;
    } else {
        kind = state >> 2 & 7, compact = state >> 5 & 1, ascii = state >> 6 & 1;
    }
    if (kind != 1 && kind != 2 && kind != 4)
        return -EINVAL;
    if (!compact && !layout->object.text_legacy)
        return -EINVAL;
    ret->width = kind;
    ret->data = !compact ? 0 : ascii ? layout->object.text_ascii : layout->object.text_compact;
    return 0;
}

/* Units that are read: more cannot fit the bound, since each takes a byte or more. */
static size_t bounded_units(uint64_t length)
{
    return length > PST_MAX_STRING_BYTES ? PST_MAX_STRING_BYTES : (size_t)length;
}

int pst_text_read(struct pst_memory *memory, const struct pst_layout *layout, uint64_t address,
                  struct pst_buf *buf)
{
    unsigned char head[SPECULATED_BYTES];
    unsigned char units[PST_MAX_STRING_BYTES * 4];
    struct pst_text_shape shape;
    size_t len;

    pst_buf_reset(buf);
    if (!pst_memory_plausible(address))
        return -EINVAL;
    if (layout->text_kind == PST_TEXT_BYTES || layout->text_kind == PST_TEXT_WIDE)
        return pst_text_read_old(memory, layout, address, buf);
    int error = read_head(memory, address, head, HEADER_BYTES, sizeof(head), &len);
    if (error == -EFAULT) { /* a short ASCII str at a mapping's end is smaller than the header */
        memset(head, 0, sizeof(head));
        len = layout->object.text_ascii + 1;
        error = pst_memory_read(memory, address, head, len);
    }
    if (error < 0 || (error = pst_text_shape(layout, head, &shape)) < 0)
        return error;
    size_t count = bounded_units(word(head, layout->object.text_length));
    size_t bytes = count * shape.width;
    if (shape.data != 0 && shape.data + bytes <= len)
        return pst_text_encode(head + shape.data, count, shape.width, buf);
    uint64_t data = shape.data ? address + shape.data : word(head, layout->object.text_legacy);
    error = pst_memory_read(memory, data, units, bytes);
    return error < 0 ? error : pst_text_encode(units, count, shape.width, buf);
}

int pst_bytes_read(struct pst_memory *memory, const struct pst_layout *layout, uint64_t address,
                   size_t max_bytes, struct pst_buf *buf)
{
    uint64_t size;

    pst_buf_reset(buf);
    if (!pst_memory_plausible(address))
        return -EINVAL;
    int error = pst_memory_u64(memory, address + layout->object.bytes_size, &size);
    if (error < 0)
        return error;
    if (size > max_bytes)
        return -EFBIG;
    error = pst_buf_reserve(buf, (size_t)size);
    if (error < 0)
        return error;
    error = pst_memory_read(memory, address + layout->object.bytes_data, buf->data, (size_t)size);
    if (error == 0)
        buf->len = (size_t)size;
    return error;
}
