/* Masking works on the text as it stands, not on what some program would make of it: too much may
 * be hidden, too little should not. */
#include "labels/mask.h"

#include <strings.h>

#include "base/cleanup.h"

/* How far behind a secret word its '=' is looked for; without an end, "keykeykey..." would take
 * time that grows with the square of its length. */
enum { NAME_REST = 128 };

static const struct pst_str hidden = {"***", 3};
static const struct pst_str words[] = {
    {"password", 8}, {"passwd", 6}, {"passphrase", 10}, {"token", 5},
    {"secret", 6},   {"key", 3},    {"dsn", 3},         {"credential", 10},
};

static bool starts_word(struct pst_str text, size_t *ret_len)
{
    for (size_t i = 0; i < PST_ARRAY_SIZE(words); i++) {
        if (text.len >= words[i].len && strncasecmp(text.ptr, words[i].ptr, words[i].len) == 0) {
            *ret_len = words[i].len;
            return true;
        }
    }
    return false;
}

bool pst_mask_is_secret(struct pst_str name)
{
    size_t len;

    for (size_t i = 0; i < name.len; i++) {
        if (starts_word((struct pst_str){name.ptr + i, name.len - i}, &len))
            return true;
    }
    return false;
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
}

static bool is_quote(char c)
{
    return c == '"' || c == '\'';
}

/* Behind "://": where the authority ends, and its last '@' in *ret_at. False without one. */
static bool user_info(struct pst_str text, size_t from, size_t *ret_at)
{
    bool found = false;

    for (size_t i = from; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '/' || c == '?' || c == '#' || c == ' ' || is_quote(c))
            break;
        if (c == '@') {
            *ret_at = i;
            found = true;
        }
    }
    return found;
}

/* Behind a secret word: whether a value follows (NAME=, NAME: , "NAME": ), and where it begins. */
static bool value_follows(struct pst_str text, size_t *at)
{
    size_t i = *at, end = text.len - i > NAME_REST ? i + NAME_REST : text.len;

    while (i < end && is_name_char(text.ptr[i]))
        i++;
    while (i < end && (is_quote(text.ptr[i]) || text.ptr[i] == ' '))
        i++;
    if (i == text.len || (text.ptr[i] != '=' && text.ptr[i] != ':'))
        return false;
    for (i++; i < text.len && (is_quote(text.ptr[i]) || text.ptr[i] == ' '); i++)
        ;
    *at = i;
    return i < text.len;
}

static size_t value_end(struct pst_str text, size_t from)
{
    bool quoted = from > 0 && is_quote(text.ptr[from - 1]);

    for (size_t i = from; i < text.len; i++) {
        char c = text.ptr[i];
        if (quoted ? c == text.ptr[from - 1]
                   : (c == ' ' || c == ',' || c == ';' || c == '&' || c == ')' || is_quote(c)))
            return i;
    }
    return text.len;
}

/* What is to be hidden at i: [*from, *to). False: nothing begins here. */
static bool secret_at(struct pst_str text, size_t i, size_t *from, size_t *to)
{
    struct pst_str rest = {text.ptr + i, text.len - i};
    size_t len;

    if (pst_str_starts(rest, PST_STR("://"))) {
        *from = i + 3;
        return user_info(text, *from, to);
    }
    if (!starts_word(rest, &len))
        return false;
    *from = i + len;
    if (!value_follows(text, from))
        return false;
    *to = value_end(text, *from);
    return *to > *from;
}

int pst_mask_text(struct pst_str text, struct pst_buf *out)
{
    size_t shown = 0, from, to;
    int status = 0;

    for (size_t i = 0; i < text.len && status == 0;) {
        if (!secret_at(text, i, &from, &to)) {
            i++;
            continue;
        }
        status = pst_buf_append(out, text.ptr + shown, from - shown);
        if (status == 0)
            status = pst_buf_str(out, hidden);
        shown = i = to;
    }
    return status == 0 ? pst_buf_append(out, text.ptr + shown, text.len - shown) : status;
}

static int mask_argument(struct pst_str argument, struct pst_buf *out)
{
    size_t equals = pst_str_find(argument, '=');
    bool flag = argument.len > 0 && argument.ptr[0] == '-' && equals < argument.len;

    /* --password=two words */
    if (!flag || !pst_mask_is_secret((struct pst_str){argument.ptr, equals}))
        return pst_mask_text(argument, out);
    int status = pst_buf_append(out, argument.ptr, equals + 1);
    return status == 0 ? pst_buf_str(out, hidden) : status;
}

int pst_mask_arguments(struct pst_str argv, struct pst_buf *out)
{
    bool hide_next = false;
    int status = 0;

    for (size_t i = 0; argv.len > 0 && status == 0; i++) {
        size_t len = pst_str_find(argv, '\0');
        struct pst_str argument = {argv.ptr, len};
        size_t step = len < argv.len ? len + 1 : len;
        argv = (struct pst_str){argv.ptr + step, argv.len - step};
        bool flag = len > 0 && argument.ptr[0] == '-';
        if (i > 0)
            status = pst_buf_append(out, " ", 1);
        if (status == 0)
            status = hide_next && !flag ? pst_buf_str(out, hidden) : mask_argument(argument, out);
        hide_next = flag && pst_str_find(argument, '=') == len && pst_mask_is_secret(argument);
    }
    return status;
}
