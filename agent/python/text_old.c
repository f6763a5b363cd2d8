/* Strings before 3.3: bytes (str of 2.x), and units of one fixed width behind a pointer (unicode of
 * 2.x, str of 3.0-3.2). Which of them an object is, its type says. */
#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "text.h"

enum {
    HEAD_BYTES = 32,
    NAME_BYTES = 8,
    FLAG_STR = 1 << 27, /* tp_flags: of a subclass too, since 2.6 */
    FLAG_UNICODE = 1 << 28,
    UNICODE_MAX = 0x10ffff,
};

enum old_kind { OLD_NEITHER, OLD_BYTES, OLD_UNITS };

static uint64_t word(const unsigned char *data, uint32_t offset)
{
    uint64_t value;
    memcpy(&value, data + offset, sizeof(value));
    return value;
}

static enum old_kind kind_of(struct pst_memory *memory, const struct pst_layout *layout,
                             uint64_t type)
{
    char text[NAME_BYTES] = "";
    uint64_t flags, name;

    if (!pst_memory_plausible(type) ||
        pst_memory_u64(memory, type + layout->object.type_flags, &flags) < 0 ||
        pst_memory_u64(memory, type + layout->object.type_name, &name) < 0)
        return OLD_NEITHER;
    (void)pst_memory_read(memory, name, text, sizeof(text));
    bool is_str = memcmp(text, "str", sizeof("str")) == 0;
    bool is_unicode = memcmp(text, "unicode", sizeof("unicode")) == 0;
    if (flags & FLAG_UNICODE || is_unicode || (is_str && layout->text_kind == PST_TEXT_WIDE))
        return OLD_UNITS;
    return flags & FLAG_STR || is_str ? OLD_BYTES : OLD_NEITHER;
}

/* Where nothing else tells the width: no character is as large as two of a narrow build. */
static unsigned width_of(const struct pst_layout *layout, const unsigned char *units, size_t count)
{
    if (layout->text_width)
        return layout->text_width;
    for (size_t i = 0; i < count; i++) {
        uint32_t unit;
        memcpy(&unit, units + 4 * i, sizeof(unit));
        if (unit > UNICODE_MAX)
            return 2;
    }
    return 4;
}

static int read_units(struct pst_memory *memory, const struct pst_layout *layout, uint64_t data,
                      uint64_t length, struct pst_buf *buf)
{
    unsigned char units[PST_MAX_STRING_BYTES * 4];
    size_t count = length > PST_MAX_STRING_BYTES ? PST_MAX_STRING_BYTES : (size_t)length;
    unsigned widest = layout->text_width ? layout->text_width : 4;

    int error = pst_memory_read(memory, data, units, count * widest);
    if (error < 0)
        return error;
    return pst_text_encode(units, count, width_of(layout, units, count), buf);
}

static int read_bytes(struct pst_memory *memory, uint64_t data, uint64_t length,
                      struct pst_buf *buf)
{
    char bytes[PST_MAX_STRING_BYTES];
    size_t count = length > PST_MAX_STRING_BYTES ? PST_MAX_STRING_BYTES : (size_t)length;

    int error = pst_memory_read(memory, data, bytes, count);
    if (error < 0)
        return error;
    if (count < length) { /* cut: not within a character */
        size_t whole = pst_utf8_valid_prefix((struct pst_str){bytes, count});
        if (count - whole < 4)
            count = whole;
    }
    return pst_buf_utf8(buf, (struct pst_str){bytes, count});
}

int pst_text_read_old(struct pst_memory *memory, const struct pst_layout *layout, uint64_t address,
                      struct pst_buf *buf)
{
    unsigned char head[HEAD_BYTES];

    int error = pst_memory_read(memory, address, head, sizeof(head));
    if (error < 0)
        return error;
    uint64_t length = word(head, layout->object.text_length);
    switch (kind_of(memory, layout, word(head, layout->object.type))) {
    case OLD_BYTES:
        return read_bytes(memory, address + layout->object.bytes_data, length, buf);
    case OLD_UNITS:
        return read_units(memory, layout, word(head, layout->object.text_legacy), length, buf);
    default:
        return -EINVAL;
    }
}
