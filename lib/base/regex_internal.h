/* Shared by the files that read RE2's syntax. */
#ifndef PST_BASE_REGEX_INTERNAL_H
#define PST_BASE_REGEX_INTERNAL_H

#include "base/regex.h"

/* Names of groups, by number; empty where a group has none. */
struct pst_regex_names {
    struct pst_str names[PST_REGEX_GROUPS]; /* views of the pattern */
    size_t count;                           /* groups, the whole match (0) included */
};

/* A pattern being read, and what PCRE2 shall read instead. */
struct pst_re2 {
    struct pst_str pattern;
    size_t at;
    struct pst_buf *out;
    struct pst_regex_names *names;
    int status;      /* first failure */
    const char *why; /* words for -EINVAL */
    size_t why_at;   /* the byte that they are about */
    unsigned depth;  /* open groups */
    bool repeatable; /* a repetition may follow */
    bool repeated;   /* the last thing was one */
    bool quoting;    /* inside \Q...\E */
};

/* regex_re2.c */
int pst_re2_translate(struct pst_re2 *re2);

/* regex_class.c: what stands in brackets and behind backslashes. The text is at the first byte. */
void pst_re2_class(struct pst_re2 *re2);
/* At a backslash: a perl class (\d \w ...) or property, put out when there is one. */
bool pst_re2_perl(struct pst_re2 *re2, bool in_class);
/* At a backslash: a single character. */
bool pst_re2_escape(struct pst_re2 *re2, uint32_t *ret);
/* The next character, UTF-8 decoded. */
bool pst_re2_char(struct pst_re2 *re2, uint32_t *ret);
void pst_re2_put_char(struct pst_re2 *re2, uint32_t c);
void pst_re2_put(struct pst_re2 *re2, const char *text);
void pst_re2_fail(struct pst_re2 *re2, size_t at, const char *why);

static inline struct pst_str pst_re2_rest(const struct pst_re2 *re2)
{
    return (struct pst_str){re2->pattern.ptr + re2->at, re2->pattern.len - re2->at};
}

static inline bool pst_re2_is(const struct pst_re2 *re2, size_t ahead, char c)
{
    return re2->at + ahead < re2->pattern.len && re2->pattern.ptr[re2->at + ahead] == c;
}

#endif
