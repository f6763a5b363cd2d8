/* fuzz: base */
/* Any bytes as a rule's regular expression, its replacement and the text that it meets, each ended
 * by a line break: what is accepted is matched within its bounds, its groups lie in the text. */
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/regex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_match(const struct pst_regex *regex, struct pst_str template, struct pst_str text)
{
    struct pst_regex_match match;
    struct pst_buf out;
    int matched = pst_regex_match(regex, text, &match);

    pst_buf_init(&out, PST_MAX_RULE_VALUE_BYTES);
    if (matched == 1) {
        if (match.count > PST_REGEX_GROUPS || match.groups[0].from != 0 ||
            match.groups[0].to != text.len)
            abort();
        for (size_t i = 0; i < match.count; i++)
            if (match.groups[i].from != SIZE_MAX &&
                (match.groups[i].from > match.groups[i].to || match.groups[i].to > text.len))
                abort();
        (void)pst_regex_expand(regex, template, text, &match, &out);
    }
    pst_buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pst_str text = {(const char *)data, size}, pattern = {"", 0}, template = {"", 0};
    struct pst_regex *regex;
    struct pst_buf out;
    char why[64];
    size_t at;

    (void)pst_str_next(&text, '\n', &pattern);
    (void)pst_str_next(&text, '\n', &template);
    if (pst_regex_new(pattern, &regex, why, sizeof(why), &at) == 0)
        check_match(regex, template, text);
    else if (at > pattern.len)
        abort();
    pst_regex_free(regex);
    pst_buf_init(&out, PST_MAX_RULE_VALUE_BYTES);
    (void)pst_regex_case(text, size & 1, &out);
    pst_buf_done(&out);
    return 0;
}
