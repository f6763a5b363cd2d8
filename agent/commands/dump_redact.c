/* Names whose values are not shown: secrets by their usual names, and what the caller adds. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

#include "dump.h"

static const char usual[] = "password|passwd|secret|token|api_key|authorization|cookie";

enum { MATCH_LIMIT = 100000 };

struct pst_redact {
    pcre2_code *codes[PST_MAX_OPTION_VALUES + 1];
    size_t count;
    pcre2_match_data *match;
    pcre2_match_context *context;
};

struct pst_redact *pst_redact_free(struct pst_redact *redact)
{
    if (!redact)
        return NULL;
    for (size_t i = 0; i < redact->count; i++)
        pcre2_code_free(redact->codes[i]);
    pcre2_match_data_free(redact->match);
    pcre2_match_context_free(redact->context);
    free(redact);
    return NULL;
}

static bool add(struct pst_redact *redact, const char *pattern)
{
    struct pst_error error;
    char text[128];
    int number;
    PCRE2_SIZE offset;
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                      PCRE2_CASELESS | PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C, &number, &offset, NULL);

    if (code) {
        redact->codes[redact->count++] = code;
        return true;
    }
    (void)pcre2_get_error_message(number, (PCRE2_UCHAR *)text, sizeof(text));
    (void)pst_error_set(&error, PST_EXIT_USAGE, "--redact", NULL,
                        "%.60s is not a pattern: %s at its character %zu", pattern, text,
                        (size_t)offset + 1);
    pst_error_print(stderr, &error);
    return false;
}

struct pst_redact *pst_redact_new(const struct pst_option_strings *patterns)
{
    struct pst_redact *redact = calloc(1, sizeof(*redact));
    bool none = false, good = redact != NULL;

    if (!redact)
        return NULL;
    redact->match = pcre2_match_data_create(1, NULL);
    redact->context = pcre2_match_context_create(NULL);
    good = redact->match && redact->context;
    if (good)
        (void)pcre2_set_match_limit(redact->context, MATCH_LIMIT);
    for (size_t i = 0; i < patterns->count && good; i++) {
        if (strcmp(patterns->items[i], "none") == 0)
            none = true;
        else
            good = add(redact, patterns->items[i]);
    }
    if (good && !none)
        good = add(redact, usual);
    return good ? redact : pst_redact_free(redact);
}

/* A name for which a pattern does not come to an end is hidden: so it fails to the safe side. */
bool pst_redact_name(void *context, struct pst_str name)
{
    const struct pst_redact *redact = context;

    for (size_t i = 0; i < redact->count; i++) {
        int found = pcre2_match(redact->codes[i], (PCRE2_SPTR)name.ptr, name.len, 0, 0,
                                redact->match, redact->context);
        if (found != PCRE2_ERROR_NOMATCH)
            return true;
    }
    return false;
}
