/* Views of text that is not ours: pointer and length, no NUL assumption. */
#ifndef PST_BASE_STR_H
#define PST_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct pst_str {
    const char *ptr;
    size_t len;
};

#define PST_STR(literal) ((struct pst_str){(literal), sizeof(literal) - 1})

static inline struct pst_str pst_str(const char *text)
{
    return (struct pst_str){text, text ? strlen(text) : 0};
}

bool pst_str_eq(struct pst_str a, struct pst_str b);
bool pst_str_starts(struct pst_str text, struct pst_str prefix);
bool pst_str_ends(struct pst_str text, struct pst_str suffix);
/* Index of the first c, or len. */
size_t pst_str_find(struct pst_str text, char c);
/* Index of the last c, or len. */
size_t pst_str_rfind(struct pst_str text, char c);
/* The part before the next separator; *rest moves behind it. False when *rest is used up. */
bool pst_str_next(struct pst_str *rest, char separator, struct pst_str *ret_part);
struct pst_str pst_str_trim(struct pst_str text);
/* Text after the last '/'. */
struct pst_str pst_str_basename(struct pst_str path);
/* Whole text must be digits of the base (10 or 16, no sign, no prefix); -EINVAL else, -ERANGE above
 * max. */
int pst_str_u64(struct pst_str text, int base, uint64_t max, uint64_t *ret_value);
/* malloc'ed NUL-terminated copy (NULs inside are kept); NULL when out of memory. */
char *pst_str_dup(struct pst_str text);

/* Length of the longest valid UTF-8 prefix (no surrogates, no overlongs, <= U+10FFFF). */
size_t pst_utf8_valid_prefix(struct pst_str text);

#endif
