/* Growable buffer with a maximum. */
#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void pst_buf_init(struct pst_buf *buf, size_t max_bytes)
{
    *buf = (struct pst_buf){.max = max_bytes};
}

void pst_buf_done(struct pst_buf *buf)
{
    free(buf->data);
    *buf = (struct pst_buf){.max = buf->max};
}

void pst_buf_reset(struct pst_buf *buf)
{
    buf->len = 0;
    if (buf->data)
        buf->data[0] = 0;
}

int pst_buf_reserve(struct pst_buf *buf, size_t more_bytes)
{
    size_t need;
    if (__builtin_add_overflow(buf->len, more_bytes, &need) || need > buf->max)
        return -EFBIG;
    if (buf->data && need + 1 <= buf->cap)
        return 0;
    size_t cap = buf->cap ? buf->cap : 64;
    while (cap < need + 1)
        cap = cap > SIZE_MAX / 2 ? need + 1 : cap * 2;
    if (cap > buf->max + 1)
        cap = buf->max + 1;
    char *data = realloc(buf->data, cap);
    if (!data)
        return -ENOMEM;
    buf->data = data;
    buf->cap = cap;
    data[buf->len] = 0;
    return 0;
}

int pst_buf_append(struct pst_buf *buf, const void *data, size_t len)
{
    int r = pst_buf_reserve(buf, len);
    if (r < 0)
        return r;
    if (len)
        memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    buf->data[buf->len] = 0;
    return 0;
}

int pst_buf_str(struct pst_buf *buf, struct pst_str text)
{
    return pst_buf_append(buf, text.ptr, text.len);
}

int pst_buf_puts(struct pst_buf *buf, const char *text)
{
    return pst_buf_append(buf, text, strlen(text));
}

int pst_buf_printf(struct pst_buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0)
        return -EINVAL;
    int r = pst_buf_reserve(buf, (size_t)len);
    if (r < 0)
        return r;
    va_start(args, format);
    (void)vsnprintf(buf->data + buf->len, (size_t)len + 1, format, args);
    va_end(args);
    buf->len += (size_t)len;
    return 0;
}

int pst_buf_utf8(struct pst_buf *buf, struct pst_str text)
{
    size_t start = buf->len;
    while (text.len) {
        size_t good = pst_utf8_valid_prefix(text);
        int r = pst_buf_append(buf, text.ptr, good);
        text.ptr += good;
        text.len -= good;
        if (r == 0 && text.len) {
            r = pst_buf_append(buf, "\xef\xbf\xbd", 3);
            text.ptr++;
            text.len--;
        }
        if (r < 0) {
            buf->len = start;
            if (buf->data)
                buf->data[start] = 0;
            return r;
        }
    }
    return 0;
}

static int escape_byte(struct pst_buf *buf, unsigned char c)
{
    if (c == '"' || c == '\\')
        return pst_buf_printf(buf, "\\%c", c);
    if (c == '\n')
        return pst_buf_puts(buf, "\\n");
    if (c < 0x20 || c == 0x7f || c >= 0x80)
        return pst_buf_printf(buf, "\\x%02x", c);
    return pst_buf_append(buf, &c, 1);
}

/* Marks that a terminal obeys without showing them: they reorder or hide what a person reads. 0: no
 * such mark. */
static unsigned direction_mark(const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text;

    if (len < 3 || p[0] < 0xe2 || p[0] > 0xef)
        return 0;
    unsigned c = (p[0] & 0xfu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
    bool hidden = (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
                  (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
    return hidden ? c : 0;
}

int pst_buf_escaped(struct pst_buf *buf, struct pst_str text)
{
    while (text.len) {
        size_t good = pst_utf8_valid_prefix(text);
        int r = 0;
        for (size_t i = 0; i < good && r == 0; i++) {
            unsigned char c = (unsigned char)text.ptr[i];
            /* C1 controls (U+0080..U+009F) move terminals as ESC does. */
            bool c1 = c == 0xc2 && i + 1 < good && (unsigned char)text.ptr[i + 1] < 0xa0;
            unsigned mark = direction_mark(text.ptr + i, good - i);
            if (c1) {
                r = pst_buf_printf(buf, "\\x%02x", (unsigned char)text.ptr[++i]);
            } else if (mark) {
                r = pst_buf_printf(buf, "\\u%04x", mark);
                i += 2;
            } else {
                r = c >= 0x80 ? pst_buf_append(buf, &c, 1) : escape_byte(buf, c);
            }
        }
        text.ptr += good;
        text.len -= good;
        if (r == 0 && text.len) {
            r = escape_byte(buf, (unsigned char)text.ptr[0]);
            text.ptr++;
            text.len--;
        }
        if (r < 0)
            return r;
    }
    return 0;
}

char *pst_buf_steal(struct pst_buf *buf, size_t *ret_len)
{
    if (!buf->data && pst_buf_reserve(buf, 0) < 0)
        return NULL;
    char *data = buf->data;
    if (ret_len)
        *ret_len = buf->len;
    *buf = (struct pst_buf){.max = buf->max};
    return data;
}
