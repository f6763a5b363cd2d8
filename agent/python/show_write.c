/* The text of a value, counted in characters, escaped as Python escapes. Never a control character,
 * whatever the target holds. */
#include <stdio.h>
#include <string.h>

#include "show.h"
#include "text.h"

enum { UTF8_MAX = 4, DOTS = 3 };

void pst_show_begin(struct pst_show *value)
{
    pst_buf_reset(&value->text);
    value->chars = 0;
    value->depth = 0;
    value->full = value->failed = false;
}

/* One character; escapes count as the characters that they are. */
static void put(struct pst_show *value, uint32_t c)
{
    if (value->full)
        return;
    /* One more than fits shows that something is missing. */
    if (value->chars > value->options->chars ||
        pst_text_encode((const unsigned char *)&c, 1, sizeof(c), &value->text) < 0) {
        value->full = true;
        return;
    }
    value->chars++;
}

void pst_show_ascii(struct pst_show *value, const char *text)
{
    for (; *text; text++)
        put(value, (unsigned char)*text);
}

/* What Python's repr escapes, as far as it can be told without the Unicode tables: controls,
 * separators, directions, private and surrogate code points. */
static bool is_printable(uint32_t c)
{
    static const struct {
        uint32_t first, last;
    } hidden[] = {{0x0, 0x1f},      {0x7f, 0xa0},       {0xad, 0xad},         {0x600, 0x605},
                  {0x61c, 0x61c},   {0x6dd, 0x6dd},     {0x70f, 0x70f},       {0x1680, 0x1680},
                  {0x180e, 0x180e}, {0x2000, 0x200f},   {0x2028, 0x202f},     {0x205f, 0x206f},
                  {0x3000, 0x3000}, {0xd800, 0xf8ff},   {0xfeff, 0xfeff},     {0xfff0, 0xfffb},
                  {0xfffe, 0xffff}, {0xe0000, 0xe0fff}, {0xf0000, 0xffffffff}};

    for (size_t i = 0; i < PST_ARRAY_SIZE(hidden); i++) {
        if (c >= hidden[i].first && c <= hidden[i].last)
            return false;
    }
    return true;
}

void pst_show_char(struct pst_show *value, uint32_t c, char quote)
{
    char text[16];

    if (quote && (c == (uint32_t)quote || c == '\\')) {
        put(value, '\\');
        put(value, c);
        return;
    }
    if (is_printable(c)) {
        put(value, c);
        return;
    }
    if (c == '\n' || c == '\r' || c == '\t')
        (void)snprintf(text, sizeof(text), "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
    else if (c < 0x100)
        (void)snprintf(text, sizeof(text), "\\x%02x", (unsigned)c);
    else if (c < 0x10000)
        (void)snprintf(text, sizeof(text), "\\u%04x", (unsigned)c);
    else
        (void)snprintf(text, sizeof(text), "\\U%08x", (unsigned)c);
    pst_show_ascii(value, text);
}

void pst_show_name(struct pst_show *value, const char *text)
{
    size_t len = strlen(text);
    size_t valid = pst_utf8_valid_prefix((struct pst_str){text, len});

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x80 || i >= valid) {
            pst_show_char(value, c, 0);
            continue;
        }
        if (value->chars <= value->options->chars && !value->full) {
            (void)pst_buf_append(&value->text, text + i, 1);
            value->chars += (c & 0xc0) != 0x80;
        }
    }
}

void pst_show_end(struct pst_show *value)
{
    size_t max = value->options->chars, kept = 0, at = 0;

    if (!value->full && value->chars <= max)
        return;
    while (at < value->text.len && kept + DOTS < max) {
        at++;
        while (at < value->text.len && ((unsigned char)value->text.data[at] & 0xc0) == 0x80)
            at++;
        kept++;
    }
    value->text.len = at;
    if (value->text.data)
        value->text.data[at] = 0;
    (void)pst_buf_puts(&value->text, "...");
}
