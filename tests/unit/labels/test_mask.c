/* What is shown of other people's command lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "labels/mask.h"

static void text_is(const char *text, const char *wanted)
{
    struct pst_buf out;
    pst_buf_init(&out, 65536);
    assert_int_equal(pst_mask_text(pst_str(text), &out), 0);
    assert_string_equal(out.data ? out.data : "", wanted);
    pst_buf_done(&out);
}

static void secrets_in_text_are_hidden(void **state)
{
    text_is("", "");
    text_is("nothing here", "nothing here");
    text_is("postgresql://shop:hunter2@db:5432/shop", "postgresql://***@db:5432/shop");
    text_is("a https://user@h/p b http://h/@x", "a https://***@h/p b http://h/@x");
    text_is("redis://:p@ss@h:6379/0", "redis://***@h:6379/0");
    text_is("DB_PASSWORD=hunter2", "DB_PASSWORD=***");
    text_is("host=db password=hunter2 user=x", "host=db password=*** user=x");
    text_is("Password: 'two words' x", "Password: '***' x");
    text_is("{\"api_token\": \"abc\", \"a\": 1}", "{\"api_token\": \"***\", \"a\": 1}");
    text_is("connect(secret_key='x', y=1)", "connect(secret_key='***', y=1)");
    text_is("SENTRY_DSN=https://key@sentry/1", "SENTRY_DSN=***");
    text_is("keyboard layout", "keyboard layout");
    text_is("token=", "token=");
    text_is("password", "password");
    text_is("://", "://");
}

static void arguments_are(const char *argv, size_t len, const char *wanted)
{
    struct pst_buf out;
    pst_buf_init(&out, 65536);
    assert_int_equal(pst_mask_arguments((struct pst_str){argv, len}, &out), 0);
    assert_string_equal(out.data ? out.data : "", wanted);
    pst_buf_done(&out);
}

static void secrets_in_arguments_are_hidden(void **state)
{
#define ARGUMENTS(argv, wanted) arguments_are(argv, sizeof(argv) - 1, wanted)
    ARGUMENTS("", "");
    ARGUMENTS("app\0--port\0"
              "80\0",
              "app --port 80");
    ARGUMENTS("app\0--password\0hunter2\0x\0", "app --password *** x");
    ARGUMENTS("app\0--password\0--verbose\0x\0", "app --password --verbose x");
    ARGUMENTS("app\0--api-key=two words\0", "app --api-key=***");
    ARGUMENTS("app\0-e\0TOKEN=abc\0--url\0http://u:p@h/\0", "app -e TOKEN=*** --url http://***@h/");
    ARGUMENTS("app\0--db-dsn\0x", "app --db-dsn ***");
}

static void names_of_secrets_are_told(void **state)
{
    assert_true(pst_mask_is_secret(PST_STR("bearer_token")));
    assert_true(pst_mask_is_secret(PST_STR("SECRET")));
    assert_true(pst_mask_is_secret(PST_STR("AWS_ACCESS_KEY_ID")));
    assert_false(pst_mask_is_secret(PST_STR("username")));
    assert_false(pst_mask_is_secret(PST_STR("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secrets_in_text_are_hidden),
        cmocka_unit_test(secrets_in_arguments_are_hidden),
        cmocka_unit_test(names_of_secrets_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
