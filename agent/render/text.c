/* Escaping and measuring of text on its way into files and terminals. */
#include "render/text.h"

#include <stdio.h>

uint32_t pst_text_next(struct pst_str *text)
{
    const uint8_t *p = (const uint8_t *)text->ptr;
    uint32_t c = p[0];
    size_t len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

    if (len > text->len)
        len = text->len;
    if (len > 1)
        c &= 0x7fu >> len;
    for (size_t i = 1; i < len; i++)
        c = c << 6 | (p[i] & 0x3fu);
    text->ptr += len;
    text->len -= len;
    return c;
}

static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

/* Marks that reorder or hide what a person reads. */
static bool is_direction_mark(uint32_t c)
{
    return (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

static const char *xml_entity(uint32_t c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        /* Not even an entity may name these in XML 1.0. */
        return is_control(c) || c == 0xfffe || c == 0xffff ? "\xef\xbf\xbd" : NULL;
    }
}

static const char *plain_substitute(uint32_t c)
{
    return is_control(c) || is_direction_mark(c) ? "?" : NULL;
}

static const char *folded_substitute(uint32_t c)
{
    return c == ';' ? "," : is_control(c) || c == 0x2028 || c == 0x2029 ? " " : NULL;
}

static int substituted(struct pst_buf *out, struct pst_str text,
                       const char *(*substitute)(uint32_t c))
{
    int rc = pst_buf_reserve(out, text.len);

    while (text.len && rc == 0) {
        struct pst_str at = text;
        const char *instead = substitute(pst_text_next(&text));

        rc = instead ? pst_buf_puts(out, instead)
                     : pst_buf_append(out, at.ptr, (size_t)(text.ptr - at.ptr));
    }
    return rc;
}

int pst_text_xml(struct pst_buf *out, struct pst_str text)
{
    return substituted(out, text, xml_entity);
}

int pst_text_plain(struct pst_buf *out, struct pst_str text)
{
    return substituted(out, text, plain_substitute);
}

int pst_text_folded(struct pst_buf *out, struct pst_str text)
{
    return substituted(out, text, folded_substitute);
}

int pst_text_json(struct pst_buf *out, struct pst_str text)
{
    int rc = pst_buf_puts(out, "\"");

    while (text.len && rc == 0) {
        struct pst_str at = text;
        uint32_t c = pst_text_next(&text);

        if (c == '"' || c == '\\')
            rc = pst_buf_printf(out, "\\%c", (char)c);
        /* A closing script tag must not appear where JSON is embedded in HTML. */
        else if (is_control(c) || c == 0x2028 || c == 0x2029 || c == '<')
            rc = pst_buf_printf(out, "\\u%04x", c);
        else
            rc = pst_buf_append(out, at.ptr, (size_t)(text.ptr - at.ptr));
    }
    return rc < 0 ? rc : pst_buf_puts(out, "\"");
}

static size_t columns_of(uint32_t c)
{
    if ((c >= 0x300 && c <= 0x36f) || (c >= 0x20d0 && c <= 0x20ff) || (c >= 0xfe00 && c <= 0xfe0f))
        return 0;
    return (c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) ||
                   (c >= 0xac00 && c <= 0xd7a3) || (c >= 0xf900 && c <= 0xfaff) ||
                   (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) ||
                   (c >= 0xffe0 && c <= 0xffe6) || (c >= 0x1f300 && c <= 0x1faff) ||
                   (c >= 0x20000 && c <= 0x3fffd)
               ? 2
               : 1;
}

size_t pst_text_columns(struct pst_str text)
{
    size_t columns = 0;

    while (text.len)
        columns += columns_of(pst_text_next(&text));
    return columns;
}

struct pst_str pst_text_head(struct pst_str text, size_t columns)
{
    struct pst_str rest = text;
    size_t used = 0;

    while (rest.len) {
        struct pst_str at = rest;

        used += columns_of(pst_text_next(&rest));
        if (used > columns)
            return (struct pst_str){text.ptr, (size_t)(at.ptr - text.ptr)};
    }
    return text;
}

struct pst_str pst_text_tail(struct pst_str text, size_t columns)
{
    size_t all = pst_text_columns(text);

    while (text.len && all > columns)
        all -= columns_of(pst_text_next(&text));
    return text;
}

int pst_text_duration(struct pst_buf *out, int64_t ns)
{
    static const struct {
        int64_t ns;
        const char *unit;
    } units[] = {{1000000000, "s"}, {1000000, "ms"}, {1000, "µs"}, {1, "ns"}};
    double value;
    size_t i = 0;

    if (ns >= 3600 * 1000000000LL)
        return pst_buf_printf(out, "%lld h %lld min", (long long)(ns / 3600000000000),
                              (long long)(ns / 60000000000 % 60));
    if (ns >= 120 * 1000000000LL)
        return pst_buf_printf(out, "%lld min %lld s", (long long)(ns / 60000000000),
                              (long long)(ns / 1000000000 % 60));
    while (i < 3 && (ns < 0 ? -ns : ns) < units[i].ns)
        i++;
    value = (double)ns / (double)units[i].ns;
    return pst_buf_printf(out, "%.*f %s",
                          i == 3 || value >= 100 ? 0
                          : value >= 10          ? 1
                                                 : 2,
                          value, units[i].unit);
}

int pst_text_count(struct pst_buf *out, int64_t count)
{
    char digits[32];
    int len = snprintf(digits, sizeof(digits), "%lld", (long long)count);
    int rc = 0;

    for (int i = 0; i < len && rc == 0; i++) {
        rc = pst_buf_append(out, &digits[i], 1);
        if (rc == 0 && digits[i] != '-' && (len - i - 1) % 3 == 0 && i < len - 1)
            rc = pst_buf_puts(out, ",");
    }
    return rc;
}
