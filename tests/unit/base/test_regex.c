/* What one match may cost. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/regex.h"

static int match(const char *pattern, struct pst_str text)
{
    struct pst_regex *regex = NULL;
    char why[80];
    size_t at;

    assert_int_equal(pst_regex_new(pst_str(pattern), &regex, why, sizeof(why), &at), 0);
    int status = pst_regex_match(regex, text, NULL);
    pst_regex_free(regex);
    return status;
}

/* Each step looks at all that is left of the text: the bound on steps alone let it take seconds. */
static void few_steps_over_a_long_text_are_bounded_too(void **state)
{
    char *text = malloc(PST_MAX_RULE_VALUE_BYTES);

    assert_non_null(text);
    memset(text, 'a', PST_MAX_RULE_VALUE_BYTES);
    struct pst_str all = {text, PST_MAX_RULE_VALUE_BYTES}, quarter = {text, 8192};
    assert_int_equal(match(".*[a-z]*[0-9]", all), -E2BIG);
    assert_int_equal(match(".*[a-z]*[0-9]", quarter), 0);
    assert_int_equal(match(".*a{3}", all), 1);
    assert_int_equal(match("a*", all), 1);
    text[PST_MAX_RULE_VALUE_BYTES - 2000] = '!';
    assert_int_equal(match(".*!.*", all), 1);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_steps_over_a_long_text_are_bounded_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
