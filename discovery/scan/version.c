/* Which CPython: from the text that every version before 3.11 leaves in its data, or from names. */
#include <string.h>

#include "detect.h"

static bool take_number(struct pst_str *text, unsigned max, unsigned *ret)
{
    unsigned value = 0;
    size_t len = 0;

    while (len < text->len && len < 3 && text->ptr[len] >= '0' && text->ptr[len] <= '9')
        value = value * 10 + (unsigned)(text->ptr[len++] - '0');
    if (len == 0 || value > max)
        return false;
    *text = (struct pst_str){text->ptr + len, text->len - len};
    *ret = value;
    return true;
}

static bool take_char(struct pst_str *text, char c)
{
    if (text->len == 0 || text->ptr[0] != c)
        return false;
    *text = (struct pst_str){text->ptr + 1, text->len - 1};
    return true;
}

static bool take_level(struct pst_str *text, unsigned *level, unsigned *serial)
{
    static const struct {
        struct pst_str word;
        unsigned level;
    } levels[] = {{{"rc", 2}, 0xc0}, {{"a", 1}, 0xa0}, {{"b", 1}, 0xb0}, {{"c", 1}, 0xc0}};

    *level = 0xf0;
    *serial = 0;
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        if (!pst_str_starts(*text, levels[i].word))
            continue;
        *text = (struct pst_str){text->ptr + levels[i].word.len, text->len - levels[i].word.len};
        *level = levels[i].level;
        return take_number(text, 15, serial);
    }
    return true;
}

/* "+", or "+cinder": a build from between two releases, or somebody's own. */
static void skip_local_part(struct pst_str *text)
{
    if (!take_char(text, '+'))
        return;
    while (text->len > 0 && text->ptr[0] > ' ' && text->ptr[0] < 127)
        *text = (struct pst_str){text->ptr + 1, text->len - 1};
}

bool pst_version_parse(struct pst_str text, uint32_t *ret_hexversion)
{
    unsigned major, minor, micro, level, serial;

    if (!take_number(&text, 3, &major) || major < 2 || !take_char(&text, '.') ||
        !take_number(&text, 99, &minor) || !take_char(&text, '.') ||
        !take_number(&text, 255, &micro) || !take_level(&text, &level, &serial))
        return false;
    skip_local_part(&text);
    if (!take_char(&text, ' ') || text.len == 0 || (text.ptr[0] != '(' && text.ptr[0] != '|'))
        return false;
    *ret_hexversion = major << 24 | minor << 16 | micro << 8 | level | serial;
    return true;
}

bool pst_version_search(struct pst_str bytes, uint32_t *ret_hexversion)
{
    const char *end = bytes.ptr + bytes.len;

    for (const char *p = bytes.ptr; p < end; p++) {
        p = memchr(p, '.', (size_t)(end - p));
        if (!p)
            return false;
        const char *first = p - 1;
        if (p == bytes.ptr || (first != bytes.ptr && first[-1] != '\0'))
            continue;
        if (pst_version_parse((struct pst_str){first, (size_t)(end - first)}, ret_hexversion))
            return true;
    }
    return false;
}

bool pst_version_from_name(struct pst_str name, uint32_t *ret_hexversion)
{
    static const struct pst_str marker = {"python", 6};
    unsigned major, minor;

    for (size_t i = 0; i + marker.len < name.len; i++) {
        struct pst_str rest = {name.ptr + i, name.len - i};
        if (!pst_str_starts(rest, marker))
            continue;
        rest = (struct pst_str){rest.ptr + marker.len, rest.len - marker.len};
        if (take_number(&rest, 3, &major) && major >= 2 && take_char(&rest, '.') &&
            take_number(&rest, 99, &minor)) {
            *ret_hexversion = major << 24 | minor << 16 | 0xf0;
            return true;
        }
    }
    return false;
}
