/* str of every kind and bytes, as literals. Only what can be shown is read. */
#include <stdio.h>
#include <string.h>

#include "show.h"
#include "text.h"

/* Python takes double quotes only where single ones would need escapes. */
static char quote_for(bool has_single, bool has_double)
{
    return has_single && !has_double ? '"' : '\'';
}

static uint32_t unit_at(const unsigned char *units, size_t i, unsigned width)
{
    uint32_t c = 0;

    memcpy(&c, units + i * width, width);
    return c;
}

/* Narrow builds before 3.3 keep pairs of surrogates; later ones never do. */
static bool is_high(uint32_t c)
{
    return c >= 0xd800 && c < 0xdc00;
}

static bool is_low(uint32_t c)
{
    return c >= 0xdc00 && c < 0xe000;
}

static void write_units(struct pst_show *value, const unsigned char *units, size_t count,
                        unsigned width, bool bytes)
{
    bool has_single = false, has_double = false;
    char code[8];

    for (size_t i = 0; i < count; i++) {
        uint32_t c = unit_at(units, i, width);
        has_single |= c == '\'';
        has_double |= c == '"';
    }
    char quote[2] = {quote_for(has_single, has_double), 0};
    pst_show_ascii(value, quote);
    for (size_t i = 0; i < count; i++) {
        uint32_t c = unit_at(units, i, width);
        if (width == 2 && is_high(c) && i + 1 < count && is_low(unit_at(units, i + 1, 2)))
            c = 0x10000 + ((c & 0x3ff) << 10) + (unit_at(units, ++i, 2) & 0x3ff);
        if (bytes && c >= 0x80) {
            (void)snprintf(code, sizeof(code), "\\x%02x", (unsigned)c & 0xff);
            pst_show_ascii(value, code);
        } else {
            pst_show_char(value, c, quote[0]);
        }
    }
    pst_show_ascii(value, quote);
}

/* One unit more than there is room for, so that the end is seen to be missing. */
static size_t shown(struct pst_show *value, uint64_t length)
{
    size_t room = value->options->chars - value->chars + 1;

    if (value->chars > value->options->chars)
        return 0;
    return length < room ? (size_t)length : room;
}

/* Before 3.3 the units lie behind a pointer; the build tells their width. */
static bool wide_units(struct pst_show *value, uint64_t address, struct pst_show_units *ret)
{
    const struct pst_layout *l = value->layout;

    ret->length = pst_show_word(value, address + l->object.text_length);
    ret->data = pst_show_word(value, address + l->object.text_legacy);
    ret->width = l->text_width;
    if (ret->width != 2 && ret->width != 4)
        value->failed = true;
    return !value->failed && !value->full;
}

bool pst_show_units(struct pst_show *value, uint64_t address, struct pst_show_units *ret)
{
    const struct pst_layout *l = value->layout;
    struct pst_text_shape shape;

    if (l->text_kind == PST_TEXT_WIDE)
        return wide_units(value, address, ret);
    const unsigned char *head = pst_show_read(value, address, l->object.text_ascii);
    if (!head)
        return false;
    ret->length = pst_word(head, l->object.text_length);
    if (l->text_kind == PST_TEXT_BYTES) {
        ret->data = address + l->object.bytes_data;
        ret->width = 1;
        return true;
    }
    if (pst_text_shape(l, head, &shape) < 0) {
        value->failed = true;
        return false;
    }
    ret->width = shape.width;
    ret->data =
        shape.data ? address + shape.data : pst_show_word(value, address + l->object.text_legacy);
    return !value->failed;
}

static void write_text(struct pst_show *value, const struct pst_show_units *text, bool bytes)
{
    size_t count = shown(value, text->length);
    const unsigned char *units = pst_show_read(value, text->data, count * text->width);

    if (units)
        write_units(value, units, count, text->width, bytes);
}

void pst_show_str(struct pst_show *value, uint64_t address)
{
    struct pst_show_units text;

    if (pst_show_units(value, address, &text))
        write_text(value, &text, value->layout->text_kind == PST_TEXT_BYTES);
}

void pst_show_unicode(struct pst_show *value, uint64_t address)
{
    struct pst_show_units text;

    if (!wide_units(value, address, &text))
        return;
    pst_show_ascii(value, "u");
    write_text(value, &text, false);
}

void pst_show_bytes(struct pst_show *value, uint64_t address)
{
    const struct pst_layout *l = value->layout;
    uint64_t length = pst_show_word(value, address + l->object.bytes_size);
    size_t count = shown(value, length);
    const unsigned char *raw = pst_show_read(value, address + l->object.bytes_data, count);

    if (!raw)
        return;
    pst_show_ascii(value, "b");
    write_units(value, raw, count, 1, true);
}
