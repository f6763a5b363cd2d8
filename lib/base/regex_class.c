/* Characters, escapes and classes of RE2's syntax. Where PCRE2 gives the same letters another
 * meaning (\v, \s, the scripts behind \p), it is told what RE2 means. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "regex_internal.h"

enum { LAST_CODE_POINT = 0x10ffff };

void pst_re2_fail(struct pst_re2 *re2, size_t at, const char *why)
{
    if (re2->status < 0)
        return;
    re2->status = -EINVAL;
    re2->why = why;
    re2->why_at = at;
}

void pst_re2_put(struct pst_re2 *re2, const char *text)
{
    int status = re2->status < 0 ? re2->status : pst_buf_puts(re2->out, text);

    if (status == -EFBIG)
        pst_re2_fail(re2, 0, "is too long");
    else if (status < 0 && re2->status == 0)
        re2->status = status;
}

static bool is_word(uint32_t c)
{
    return c < 128 && (c == '_' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z'));
}

/* By number where a letter could mean something to PCRE2. */
void pst_re2_put_char(struct pst_re2 *re2, uint32_t c)
{
    char text[16];

    (void)snprintf(text, sizeof(text), is_word(c) ? "%c" : "\\x{%x}", c);
    pst_re2_put(re2, text);
}

bool pst_re2_char(struct pst_re2 *re2, uint32_t *ret)
{
    struct pst_str rest = pst_re2_rest(re2);
    const unsigned char *p = (const unsigned char *)rest.ptr;

    if (rest.len == 0)
        return false;
    size_t size = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    uint32_t c = size == 1 ? p[0] : p[0] & (0x7fU >> size);
    if (size > rest.len) {
        pst_re2_fail(re2, re2->at, "is not UTF-8");
        return false;
    }
    for (size_t i = 1; i < size; i++)
        c = c << 6 | (p[i] & 0x3fU);
    re2->at += size;
    *ret = c;
    return true;
}

static int digit(char c, int base)
{
    int value = c >= '0' && c <= '9'                 ? c - '0'
                : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                     : 99;
    return value < base ? value : -1;
}

static bool octal(struct pst_re2 *re2, uint32_t *ret)
{
    *ret = 0;
    for (int i = 0; i < 3 && re2->at < re2->pattern.len; i++) {
        int value = digit(re2->pattern.ptr[re2->at], 8);
        if (value < 0)
            break;
        *ret = *ret * 8 + (uint32_t)value;
        re2->at++;
    }
    return true;
}

/* Behind \x: two digits, or any number of them in braces. */
static bool hexadecimal(struct pst_re2 *re2, size_t from, uint32_t *ret)
{
    bool braces = pst_re2_is(re2, 0, '{');
    size_t digits = 0;

    *ret = 0;
    re2->at += braces;
    while (re2->at < re2->pattern.len && (braces || digits < 2)) {
        int value = digit(re2->pattern.ptr[re2->at], 16);
        if (value < 0)
            break;
        *ret = *ret * 16 + (uint32_t)value;
        re2->at++;
        digits++;
        if (*ret > LAST_CODE_POINT)
            break;
    }
    bool surrogate = *ret >= 0xd800 && *ret < 0xe000;
    bool whole = braces ? digits > 0 && pst_re2_is(re2, 0, '}') : digits == 2;
    if (!whole || surrogate || *ret > LAST_CODE_POINT) {
        pst_re2_fail(re2, from, "has an invalid \\x escape");
        return false;
    }
    re2->at += braces;
    return true;
}

bool pst_re2_escape(struct pst_re2 *re2, uint32_t *ret)
{
    static const char names[] = "aftnrv", values[] = "\a\f\t\n\r\v";
    size_t from = re2->at++;

    if (re2->at == re2->pattern.len) {
        pst_re2_fail(re2, from, "ends with a backslash");
        return false;
    }
    char c = re2->pattern.ptr[re2->at];
    const char *name = c ? strchr(names, c) : NULL;
    if (c >= '1' && c <= '9' &&
        !(c < '8' && re2->at + 1 < re2->pattern.len &&
          digit(re2->pattern.ptr[re2->at + 1], 8) >= 0)) {
        pst_re2_fail(re2, from, "has a back-reference, which RE2 does not know");
        return false;
    }
    if (digit(c, 8) >= 0)
        return octal(re2, ret);
    re2->at++;
    if (c == 'x')
        return hexadecimal(re2, from, ret);
    *ret = name ? (unsigned char)values[name - names] : (unsigned char)c;
    if (name || ((unsigned char)c < 128 && !(is_word((unsigned char)c) && c != '_')))
        return true;
    pst_re2_fail(re2, from, "has an escape that RE2 does not know");
    return false;
}

/* \pL, \p{Greek}, \p{^Greek}: PCRE2 takes a script's name for its extensions. */
static void property(struct pst_re2 *re2, size_t from)
{
    char name[48] = "", text[80];
    bool negated = re2->pattern.ptr[re2->at + 1] == 'P';
    struct pst_str rest = {re2->pattern.ptr + re2->at + 2, re2->pattern.len - re2->at - 2};

    re2->at += 2;
    size_t len = pst_str_find(rest, '}');
    if (rest.len == 0 || (rest.ptr[0] == '{' && len == rest.len)) {
        pst_re2_fail(re2, from, "has an invalid \\p class");
        return;
    }
    re2->at += rest.ptr[0] == '{' ? len + 1 : 1;
    rest = rest.ptr[0] == '{' ? (struct pst_str){rest.ptr + 1, len - 1}
                              : (struct pst_str){rest.ptr, 1};
    if (rest.len > 0 && rest.ptr[0] == '^') {
        negated = !negated;
        rest = (struct pst_str){rest.ptr + 1, rest.len - 1};
    }
    for (size_t i = 0; i < rest.len; i++)
        if (!is_word((unsigned char)rest.ptr[i]))
            rest.len = 0;
    if (rest.len == 0 || rest.len >= sizeof(name)) {
        pst_re2_fail(re2, from, "has an invalid \\p class");
        return;
    }
    memcpy(name, rest.ptr, rest.len);
    bool category = rest.len <= 2 || pst_str_eq(rest, PST_STR("Any"));
    (void)snprintf(text, sizeof(text), "\\%c{%s%s}", negated ? 'P' : 'p',
                   category ? "" : "sc:", name);
    pst_re2_put(re2, text);
}

bool pst_re2_perl(struct pst_re2 *re2, bool in_class)
{
    /* RE2's \s has no vertical tab, and case folding reaches into its \d and \w. */
    static const struct {
        char name;
        const char *inside, *alone;
    } classes[] = {
        {'d', "0-9", "[0-9]"},
        {'D', "\\D", "[^0-9]"},
        {'s', "\\t\\n\\f\\r ", "[\\t\\n\\f\\r ]"},
        {'S', "\\S\\x{b}", "[^\\t\\n\\f\\r ]"},
        {'w', "0-9A-Za-z_", "[0-9A-Za-z_]"},
        {'W', "\\W", "[^0-9A-Za-z_]"},
    };

    if (pst_re2_is(re2, 1, 'p') || pst_re2_is(re2, 1, 'P')) {
        property(re2, re2->at);
        return true;
    }
    for (size_t i = 0; i < PST_ARRAY_SIZE(classes); i++) {
        if (!pst_re2_is(re2, 1, classes[i].name))
            continue;
        pst_re2_put(re2, in_class ? classes[i].inside : classes[i].alone);
        re2->at += 2;
        return true;
    }
    return false;
}

/* [:alpha:] and the like, inside brackets. */
static bool posix(struct pst_re2 *re2)
{
    static const char *const names[] = {"alnum", "alpha", "ascii", "blank", "cntrl",
                                        "digit", "graph", "lower", "print", "punct",
                                        "space", "upper", "word",  "xdigit"};
    struct pst_str rest = pst_re2_rest(re2);
    const char *end = memmem(rest.ptr + 2, rest.len - 2, ":]", 2);

    if (!end)
        return false;
    bool negated = rest.ptr[2] == '^';
    const char *from = rest.ptr + 2 + negated;
    struct pst_str name = {from, end > from ? (size_t)(end - from) : 0};
    for (size_t i = 0; i < PST_ARRAY_SIZE(names); i++) {
        char text[32];
        if (!pst_str_eq(name, pst_str(names[i])))
            continue;
        (void)snprintf(text, sizeof(text), "[:%s%s:]", negated ? "^" : "", names[i]);
        pst_re2_put(re2, text);
        re2->at += (size_t)(end - rest.ptr) + 2;
        return true;
    }
    pst_re2_fail(re2, re2->at, "has an unknown [:class:]");
    return true;
}

static bool class_char(struct pst_re2 *re2, uint32_t *ret)
{
    return pst_re2_is(re2, 0, '\\') ? pst_re2_escape(re2, ret) : pst_re2_char(re2, ret);
}

static void class_range(struct pst_re2 *re2)
{
    size_t from = re2->at;
    uint32_t low, high;

    if (!class_char(re2, &low))
        return;
    pst_re2_put_char(re2, low);
    if (!pst_re2_is(re2, 0, '-') || re2->at + 1 >= re2->pattern.len || pst_re2_is(re2, 1, ']'))
        return;
    re2->at++;
    if (!class_char(re2, &high))
        return;
    if (high < low)
        pst_re2_fail(re2, from, "has a range that runs backwards");
    pst_re2_put(re2, "-");
    pst_re2_put_char(re2, high);
}

void pst_re2_class(struct pst_re2 *re2)
{
    size_t from = re2->at++;
    bool first = true;

    pst_re2_put(re2, "[");
    if (pst_re2_is(re2, 0, '^')) {
        pst_re2_put(re2, "^");
        re2->at++;
    }
    while (re2->status == 0 && (first || !pst_re2_is(re2, 0, ']'))) {
        first = false;
        if (re2->at == re2->pattern.len) {
            pst_re2_fail(re2, from, "has no ] for its [");
            return;
        }
        if (pst_re2_is(re2, 0, '[') && pst_re2_is(re2, 1, ':') && posix(re2))
            continue;
        if (!(pst_re2_is(re2, 0, '\\') && pst_re2_perl(re2, true)))
            class_range(re2);
    }
    pst_re2_put(re2, "]");
    re2->at++;
}
