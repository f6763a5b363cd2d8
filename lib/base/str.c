/* Views of text: comparing, cutting, numbers. No allocation but pst_str_dup. */
#include "base/str.h"

#include <errno.h>
#include <stdlib.h>

bool pst_str_eq(struct pst_str a, struct pst_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool pst_str_starts(struct pst_str text, struct pst_str prefix)
{
    return text.len >= prefix.len &&
           (prefix.len == 0 || memcmp(text.ptr, prefix.ptr, prefix.len) == 0);
}

bool pst_str_ends(struct pst_str text, struct pst_str suffix)
{
    return text.len >= suffix.len && (suffix.len == 0 || memcmp(text.ptr + text.len - suffix.len,
                                                                suffix.ptr, suffix.len) == 0);
}

size_t pst_str_find(struct pst_str text, char c)
{
    const char *hit = text.len ? memchr(text.ptr, c, text.len) : NULL;
    return hit ? (size_t)(hit - text.ptr) : text.len;
}

size_t pst_str_rfind(struct pst_str text, char c)
{
    const char *hit = text.len ? memrchr(text.ptr, c, text.len) : NULL;
    return hit ? (size_t)(hit - text.ptr) : text.len;
}

bool pst_str_next(struct pst_str *rest, char separator, struct pst_str *ret_part)
{
    if (!rest->ptr)
        return false;
    size_t cut = pst_str_find(*rest, separator);
    *ret_part = (struct pst_str){rest->ptr, cut};
    if (cut == rest->len)
        *rest = (struct pst_str){NULL, 0};
    else
        *rest = (struct pst_str){rest->ptr + cut + 1, rest->len - cut - 1};
    return true;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

struct pst_str pst_str_trim(struct pst_str text)
{
    while (text.len && is_space(text.ptr[0])) {
        text.ptr++;
        text.len--;
    }
    while (text.len && is_space(text.ptr[text.len - 1]))
        text.len--;
    return text;
}

struct pst_str pst_str_basename(struct pst_str path)
{
    size_t slash = pst_str_rfind(path, '/');
    if (slash == path.len)
        return path;
    return (struct pst_str){path.ptr + slash + 1, path.len - slash - 1};
}

static int digit_of(char c, int base)
{
    int digit = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : 99;
    return digit < base ? digit : -1;
}

int pst_str_u64(struct pst_str text, int base, uint64_t max, uint64_t *ret_value)
{
    if (text.len == 0)
        return -EINVAL;
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        int digit = digit_of(text.ptr[i], base);
        if (digit < 0)
            return -EINVAL;
        if (__builtin_mul_overflow(value, (uint64_t)base, &value) ||
            __builtin_add_overflow(value, (uint64_t)digit, &value))
            return -ERANGE;
    }
    if (value > max)
        return -ERANGE;
    *ret_value = value;
    return 0;
}

char *pst_str_dup(struct pst_str text)
{
    char *copy = malloc(text.len + 1);
    if (!copy)
        return NULL;
    if (text.len)
        memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    return copy;
}

/* Length of the valid sequence at p, 0 when there is none. */
static size_t utf8_sequence(const unsigned char *p, size_t left)
{
    if (p[0] < 0x80)
        return 1;
    size_t need = p[0] >= 0xc2 && p[0] <= 0xdf   ? 2
                  : p[0] >= 0xe0 && p[0] <= 0xef ? 3
                  : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4
                                                 : 0;
    if (need == 0 || need > left)
        return 0;
    for (size_t i = 1; i < need; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    /* Overlongs, surrogates and what lies above U+10FFFF show in the second byte. */
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return need;
}

size_t pst_utf8_valid_prefix(struct pst_str text)
{
    size_t at = 0;
    while (at < text.len) {
        size_t step = utf8_sequence((const unsigned char *)text.ptr + at, text.len - at);
        if (step == 0)
            break;
        at += step;
    }
    return at;
}
