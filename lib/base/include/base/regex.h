/* Regular expressions as Prometheus means them: RE2's syntax and meaning, always matched against
 * the whole text, with bounds on the work of one match. What RE2 lacks (look-around, back-
 * references, atomic groups, possessive repetition) is refused. Constant once made: any number of
 * threads may match. */
#ifndef PST_BASE_REGEX_H
#define PST_BASE_REGEX_H

#include "base/buf.h"

struct pst_regex;

enum { PST_REGEX_GROUPS = 64 }; /* of one expression, the whole match included */

struct pst_regex_match {
    size_t count; /* groups of the expression + 1 */
    struct {
        size_t from, to; /* from == SIZE_MAX: took no part */
    } groups[PST_REGEX_GROUPS];
};

/* 0; -ENOMEM; -EINVAL with words in why and the byte that they are about in *ret_at. */
int pst_regex_new(struct pst_str pattern, struct pst_regex **ret, char *why, size_t why_size,
                  size_t *ret_at);
struct pst_regex *pst_regex_free(struct pst_regex *regex);

/* 1 the whole text matches, 0 it does not, -E2BIG past a bound of work, -ENOMEM. ret may be NULL.
 * Text that is not UTF-8 matches nothing. */
int pst_regex_match(const struct pst_regex *regex, struct pst_str text,
                    struct pst_regex_match *ret);

/* Appends the template with $1, ${1}, $name, ${name} put in from the match, $$ as a dollar sign;
 * names without a group are empty. 0, -ENOMEM, -EFBIG. */
int pst_regex_expand(const struct pst_regex *regex, struct pst_str template, struct pst_str text,
                     const struct pst_regex_match *match, struct pst_buf *out);

/* Appends the text in lower or upper case, letter by letter. 0, -ENOMEM, -EFBIG. */
int pst_regex_case(struct pst_str text, bool upper, struct pst_buf *out);

#endif
