/* PCRE2 behind RE2's syntax. Interpreted, never compiled
 * to machine code, so that no memory has to be executable. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "base/regex.h"

#include <errno.h>
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "regex_internal.h"

struct pst_regex {
    pcre2_code *code;
    pcre2_match_context *limits;
    char *pattern; /* the names are views of it */
    struct pst_regex_names names;
};

struct pst_regex *pst_regex_free(struct pst_regex *regex)
{
    if (!regex)
        return NULL;
    pcre2_code_free(regex->code);
    pcre2_match_context_free(regex->limits);
    free(regex->pattern);
    free(regex);
    return NULL;
}

static int compile(struct pst_regex *regex, struct pst_str translated, char *why, size_t why_size)
{
    uint32_t options = PCRE2_UTF | PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY | PCRE2_ALT_CIRCUMFLEX |
                       PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_NEVER_BACKSLASH_C;
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    PCRE2_SIZE at;
    int code;

    regex->limits = pcre2_match_context_create(NULL);
    if (!context || !regex->limits) {
        pcre2_compile_context_free(context);
        return -ENOMEM;
    }
    (void)pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    (void)pcre2_set_match_limit(regex->limits, PST_MAX_REGEX_STEPS);
    (void)pcre2_set_depth_limit(regex->limits, PST_MAX_REGEX_STEPS);
    (void)pcre2_set_heap_limit(regex->limits, PST_MAX_REGEX_HEAP_BYTES / 1024);
    regex->code =
        pcre2_compile((PCRE2_SPTR)translated.ptr, translated.len, options, &code, &at, context);
    pcre2_compile_context_free(context);
    if (regex->code)
        return 0;
    if (code == PCRE2_ERROR_HEAP_FAILED)
        return -ENOMEM;
    unsigned char text[160] = "";
    (void)pcre2_get_error_message(code, text, sizeof(text));
    (void)snprintf(why, why_size, "cannot be used: %s", (const char *)text);
    return -EINVAL;
}

int pst_regex_new(struct pst_str pattern, struct pst_regex **ret, char *why, size_t why_size,
                  size_t *ret_at)
{
    struct pst_buf translated __attribute__((cleanup(pst_buf_done)));
    struct pst_regex *regex = calloc(1, sizeof(*regex));
    int status = -ENOMEM;

    *ret_at = 0;
    pst_buf_init(&translated, 16 * PST_MAX_REGEX_BYTES);
    if (regex && (regex->pattern = pst_str_dup(pattern))) {
        struct pst_re2 re2 = {
            .pattern = {regex->pattern, pattern.len}, .out = &translated, .names = &regex->names};
        if (pattern.len > PST_MAX_REGEX_BYTES)
            pst_re2_fail(&re2, 0, "is too long");
        status = pst_re2_translate(&re2);
        if (status == -EINVAL)
            (void)snprintf(why, why_size, "%s", re2.why);
        *ret_at = re2.why_at;
    }
    if (status == 0)
        status = compile(regex, pst_buf_view(&translated), why, why_size);
    if (status < 0)
        regex = pst_regex_free(regex);
    *ret = regex;
    return status;
}

static void take(const struct pst_regex *regex, pcre2_match_data *data, int groups,
                 struct pst_regex_match *ret)
{
    const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(data);

    ret->count = regex->names.count;
    for (size_t i = 0; i < ret->count; i++) {
        bool set = i < (size_t)groups && ends[2 * i] != PCRE2_UNSET;
        ret->groups[i].from = set ? ends[2 * i] : SIZE_MAX;
        ret->groups[i].to = set ? ends[2 * i + 1] : SIZE_MAX;
    }
}

/* A step may look at all of the text without being counted anew, so that many steps over a long
 * text take seconds. */
static int match(const struct pst_regex *regex, struct pst_str text, pcre2_match_data *data)
{
    pcre2_match_context *limits = regex->limits, *fewer = NULL;

    if (text.len > PST_MAX_REGEX_WORK / PST_MAX_REGEX_STEPS) {
        limits = fewer = pcre2_match_context_copy(limits);
        if (!fewer)
            return PCRE2_ERROR_NOMEMORY;
        (void)pcre2_set_match_limit(fewer, (uint32_t)(PST_MAX_REGEX_WORK / text.len) + 1);
    }
    int groups = pcre2_match(regex->code, (PCRE2_SPTR)(text.ptr ? text.ptr : ""), text.len, 0, 0,
                             data, limits);
    pcre2_match_context_free(fewer);
    return groups;
}

int pst_regex_match(const struct pst_regex *regex, struct pst_str text, struct pst_regex_match *ret)
{
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(regex->code, NULL);

    if (!data)
        return -ENOMEM;
    int groups = match(regex, text, data);
    if (groups > 0 && ret)
        take(regex, data, groups, ret);
    pcre2_match_data_free(data);
    if (groups > 0)
        return 1;
    if (groups == PCRE2_ERROR_NOMEMORY)
        return -ENOMEM;
    return groups == PCRE2_ERROR_MATCHLIMIT || groups == PCRE2_ERROR_DEPTHLIMIT ||
                   groups == PCRE2_ERROR_HEAPLIMIT
               ? -E2BIG
               : 0;
}

/* The name behind a dollar sign; its length is 0 when none stands there. */
static size_t template_name(struct pst_str rest, struct pst_str *ret)
{
    bool braces = rest.len > 0 && rest.ptr[0] == '{';
    size_t i = braces;

    while (i < rest.len) {
        char c = rest.ptr[i];
        if (!(c == '_' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z')))
            break;
        i++;
    }
    *ret = (struct pst_str){rest.ptr + braces, i - braces};
    if (ret->len == 0 || (braces && (i == rest.len || rest.ptr[i] != '}')))
        return 0;
    return i + braces;
}

/* Of several groups of one name the first that took part. */
static size_t group_of(const struct pst_regex *regex, const struct pst_regex_match *match,
                       struct pst_str name)
{
    uint64_t group;
    bool padded = name.len > 1 && name.ptr[0] == '0';

    if (!padded && pst_str_u64(name, 10, UINT32_MAX, &group) == 0)
        return group < regex->names.count ? (size_t)group : SIZE_MAX;
    for (size_t i = 1; i < regex->names.count; i++)
        if (pst_str_eq(regex->names.names[i], name) && match->groups[i].from != SIZE_MAX)
            return i;
    return SIZE_MAX;
}

int pst_regex_expand(const struct pst_regex *regex, struct pst_str template, struct pst_str text,
                     const struct pst_regex_match *match, struct pst_buf *out)
{
    int status = 0;

    while (status == 0 && template.len > 0) {
        struct pst_str name;
        size_t dollar = pst_str_find(template, '$');
        status = pst_buf_append(out, template.ptr, dollar);
        if (status < 0 || dollar == template.len)
            break;
        template = (struct pst_str){template.ptr + dollar + 1, template.len - dollar - 1};
        size_t used = template_name(template, &name);
        if (used == 0) { /* $$, or a dollar sign that stands for itself */
            status = pst_buf_append(out, "$", 1);
            used = template.len > 0 && template.ptr[0] == '$';
        } else {
            size_t group = group_of(regex, match, name);
            if (group < match->count && match->groups[group].from < match->groups[group].to)
                status = pst_buf_append(out, text.ptr + match->groups[group].from,
                                        match->groups[group].to - match->groups[group].from);
        }
        template = (struct pst_str){template.ptr + used, template.len - used};
    }
    return status;
}
