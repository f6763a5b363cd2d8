/* Reads a pattern in RE2's syntax and writes one with the same meaning for PCRE2. Everything that
 * only PCRE2 knows is refused here; what is left of its own errors (sizes, unknown properties)
 * comes when it compiles. */
#include <errno.h>
#include <stdio.h>

#include "regex_internal.h"

enum { MAX_DEPTH = 200, MAX_REPEAT = 1000 };

static void done(struct pst_re2 *re2, bool repeatable)
{
    re2->repeatable = repeatable;
    re2->repeated = false;
}

static bool is_name(struct pst_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!(c == '_' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z')))
            return false;
    }
    return name.len > 0;
}

static void open_group(struct pst_re2 *re2, struct pst_str name)
{
    struct pst_regex_names *names = re2->names;

    if (names->count == PST_REGEX_GROUPS) {
        pst_re2_fail(re2, re2->at, "has too many groups");
        return;
    }
    names->names[names->count++] = name;
    pst_re2_put(re2, "(");
}

/* At the name of (?P<name> or (?<name>. */
static void named_group(struct pst_re2 *re2)
{
    struct pst_str rest = pst_re2_rest(re2);
    struct pst_str name = {rest.ptr, pst_str_find(rest, '>')};

    if (name.len == rest.len || !is_name(name)) {
        pst_re2_fail(re2, re2->at, "has an invalid group name");
        return;
    }
    open_group(re2, name);
    re2->at += name.len + 1;
}

/* (?i) (?s-m:...): the letters mean the same to PCRE2. True when a group was opened. */
static bool flags(struct pst_re2 *re2)
{
    size_t from = re2->at;
    bool minus = false, letter = false;

    for (re2->at += 2; re2->at < re2->pattern.len; re2->at++) {
        char c = re2->pattern.ptr[re2->at], text[2] = {c, '\0'};
        if (c == ':' || c == ')') {
            if (minus && !letter)
                break;
            pst_re2_put(re2, text);
            re2->at++;
            return c == ':';
        }
        if (c == '-' ? minus : !strchr("imsU", c))
            break;
        letter = c != '-';
        minus = minus || c == '-';
        if (re2->at == from + 2)
            pst_re2_put(re2, "(?");
        pst_re2_put(re2, text);
    }
    pst_re2_fail(re2, from, "has a group that RE2 does not know");
    return false;
}

static bool special_group(struct pst_re2 *re2)
{
    struct pst_str rest = pst_re2_rest(re2);
    static const struct pst_str around[] = {{"(?=", 3}, {"(?!", 3}, {"(?<=", 4}, {"(?<!", 4}};

    for (size_t i = 0; i < sizeof(around) / sizeof(around[0]); i++)
        if (pst_str_starts(rest, around[i])) {
            pst_re2_fail(re2, re2->at, "looks around, which RE2 does not know");
            return false;
        }
    if (pst_str_starts(rest, PST_STR("(?P<")) || pst_str_starts(rest, PST_STR("(?<"))) {
        re2->at += rest.ptr[2] == 'P' ? 4 : 3;
        named_group(re2);
        return true;
    }
    if (pst_str_starts(rest, PST_STR("(?)"))) { /* no flags */
        re2->at += 3;
        return false;
    }
    if (pst_str_starts(rest, PST_STR("(?:"))) {
        re2->at += 3;
        pst_re2_put(re2, "(?:");
        return true;
    }
    return flags(re2);
}

static void group(struct pst_re2 *re2)
{
    bool opened = true;

    if (pst_re2_is(re2, 1, '?')) {
        opened = special_group(re2);
    } else {
        open_group(re2, (struct pst_str){"", 0});
        re2->at++;
    }
    if (opened && ++re2->depth > MAX_DEPTH)
        pst_re2_fail(re2, re2->at, "nests too deeply");
    done(re2, false);
}

static bool number(struct pst_re2 *re2, size_t *at, unsigned *ret)
{
    const char *p = re2->pattern.ptr;
    size_t from = *at, len = re2->pattern.len;

    *ret = 0;
    while (*at < len && p[*at] >= '0' && p[*at] <= '9' && *ret < 100000)
        *ret = *ret * 10 + (unsigned)(p[(*at)++] - '0');
    return *at > from && !(*at - from > 1 && p[from] == '0');
}

/* {2} {2,} {2,3}; false: a brace like any other character. */
static bool counted(struct pst_re2 *re2, unsigned *ret_least, unsigned *ret_most, size_t *ret_end)
{
    size_t at = re2->at + 1, len = re2->pattern.len;
    const char *p = re2->pattern.ptr;

    if (!number(re2, &at, ret_least))
        return false;
    *ret_most = *ret_least;
    if (at < len && p[at] == ',') {
        at++;
        *ret_most = 0;
        if (at < len && p[at] != '}' && !number(re2, &at, ret_most))
            return false;
        if (at < len && p[at] == '}' && p[at - 1] == ',')
            *ret_most = UINT32_MAX;
    }
    *ret_end = at + 1;
    return at < len && p[at] == '}';
}

static void repeat(struct pst_re2 *re2, const char *text, size_t end)
{
    if (re2->repeated)
        pst_re2_fail(re2, re2->at, "repeats a repetition");
    else if (!re2->repeatable)
        pst_re2_fail(re2, re2->at, "repeats nothing");
    pst_re2_put(re2, text);
    re2->at = end;
    if (pst_re2_is(re2, 0, '?')) {
        pst_re2_put(re2, "?");
        re2->at++;
    }
    re2->repeated = true;
}

static void brace(struct pst_re2 *re2)
{
    unsigned least, most;
    size_t end;
    char text[40];

    if (!counted(re2, &least, &most, &end)) {
        re2->at++;
        pst_re2_put(re2, "\\{");
        done(re2, true);
        return;
    }
    if (least > MAX_REPEAT || (most != UINT32_MAX && (most > MAX_REPEAT || most < least)))
        pst_re2_fail(re2, re2->at, "has an invalid count of repetitions");
    if (most == UINT32_MAX)
        (void)snprintf(text, sizeof(text), "{%u,}", least);
    else
        (void)snprintf(text, sizeof(text), "{%u,%u}", least, most);
    repeat(re2, text, end);
}

static void quoted(struct pst_re2 *re2)
{
    uint32_t c;

    if (pst_str_starts(pst_re2_rest(re2), PST_STR("\\E"))) {
        re2->quoting = false;
        re2->at += 2;
    } else if (pst_re2_char(re2, &c)) {
        pst_re2_put_char(re2, c);
        done(re2, true);
    }
}

static void backslash(struct pst_re2 *re2)
{
    char next = re2->at + 1 < re2->pattern.len ? re2->pattern.ptr[re2->at + 1] : '\0';
    uint32_t c;

    if (next == 'Q') {
        re2->quoting = true;
        re2->at += 2;
        return;
    }
    if (next && strchr("AzbB", next)) {
        char text[12];
        (void)snprintf(text, sizeof(text), "(?:\\%c)", next);
        pst_re2_put(re2, text);
        re2->at += 2;
    } else if (!pst_re2_perl(re2, false) && pst_re2_escape(re2, &c)) {
        pst_re2_put_char(re2, c);
    }
    done(re2, true);
}

static void other(struct pst_re2 *re2)
{
    char c = re2->pattern.ptr[re2->at];
    uint32_t literal;

    if (c == '^' || c == '$' || c == '.') {
        pst_re2_put(re2, c == '^' ? "(?:^)" : c == '$' ? "(?:$)" : ".");
        re2->at++;
    } else if (pst_re2_char(re2, &literal)) {
        pst_re2_put_char(re2, literal);
    }
    done(re2, true);
}

static void close_group(struct pst_re2 *re2)
{
    if (re2->depth-- == 0)
        pst_re2_fail(re2, re2->at, "has a ) without its (");
    pst_re2_put(re2, ")");
    re2->at++;
    done(re2, true);
}

static void next(struct pst_re2 *re2)
{
    char c = re2->pattern.ptr[re2->at], text[2] = {c, '\0'};

    if (re2->quoting)
        quoted(re2);
    else if (c == '(')
        group(re2);
    else if (c == ')')
        close_group(re2);
    else if (c == '[') {
        pst_re2_class(re2);
        done(re2, true);
    } else if (c == '\\')
        backslash(re2);
    else if (c == '*' || c == '+' || c == '?')
        repeat(re2, text, re2->at + 1);
    else if (c == '{')
        brace(re2);
    else if (c == '|') {
        pst_re2_put(re2, "|");
        re2->at++;
        done(re2, false);
    } else
        other(re2);
}

int pst_re2_translate(struct pst_re2 *re2)
{
    re2->names->count = 1;
    re2->names->names[0] = (struct pst_str){"", 0};
    if (pst_utf8_valid_prefix(re2->pattern) < re2->pattern.len)
        pst_re2_fail(re2, pst_utf8_valid_prefix(re2->pattern), "is not UTF-8");
    while (re2->status == 0 && re2->at < re2->pattern.len)
        next(re2);
    if (re2->depth > 0)
        pst_re2_fail(re2, re2->pattern.len, "has no ) for its (");
    return re2->status;
}
