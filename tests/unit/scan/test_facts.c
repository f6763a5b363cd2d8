/* Facts as values, and versions in text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "detect.h"
#include "scan/facts.h"

static void versions_in_memory(void **state)
{
    static const struct {
        const char *text;
        uint32_t hexversion; /* 0: none */
    } rows[] = {
        {"3.8.18 (default, Aug 25 2023, 13:20:30) ", 0x030812f0},
        {"2.7.10 (default, x", 0x02070af0},
        {"3.6.3 |Anaconda, Inc.| (default", 0x030603f0},
        {"3.7.0rc1 (default", 0x030700c1},
        {"3.10.0b2 (x", 0x030a00b2},
        {"3.9.0a6+ (x", 0x030900a6},
        {"2.7.15+ (default", 0x02070ff0},
        {"2.7.10+dcba (default", 0x02070af0},
        {"2.8.5+cinder (default", 0x020805f0},
        {"1.7.0rc1 (default", 0},
        {"3.7 10 ", 0},
        {"3.7.10fooboo ", 0},
        {"3.7.10", 0},
        {"3.7.999 (x", 0},
        {"", 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t found = 0;
        if (!pst_version_parse(pst_str(rows[i].text), &found))
            found = 0;
        if (found != rows[i].hexversion)
            fail_msg("%s: %#x", rows[i].text, found);
    }
}

static void versions_among_bytes(void **state)
{
    uint32_t found;
    static const char bytes[] = "..\0x3.8.1 (\0\0.3.1\0"
                                "3.9.2 (default";
    assert_true(pst_version_search((struct pst_str){bytes, sizeof(bytes) - 1}, &found));
    assert_int_equal(found, 0x030902f0);
    assert_false(pst_version_search((struct pst_str){bytes, 12}, &found));
    assert_false(pst_version_search(PST_STR("."), &found));
    assert_false(pst_version_search(PST_STR(""), &found));
}

static void versions_in_names(void **state)
{
    uint32_t found;
    assert_true(pst_version_from_name(PST_STR("libpython3.8.so.1.0"), &found));
    assert_int_equal(found, 0x030800f0);
    assert_true(pst_version_from_name(PST_STR("libpython3.14t.so"), &found));
    assert_int_equal(found, 0x030e00f0);
    assert_true(pst_version_from_name(PST_STR("uwsgi_python311_python3.11"), &found));
    assert_int_equal(found, 0x030b00f0);
    assert_false(pst_version_from_name(PST_STR("libpython3-custom.so"), &found));
    assert_false(pst_version_from_name(PST_STR("python"), &found));
}

static void versions_for_people(void **state)
{
    char text[32];
    assert_string_equal(pst_version_text(0x030b07f0, text, sizeof(text)), "3.11.7");
    assert_string_equal(pst_version_text(0x030f00b2, text, sizeof(text)), "3.15.0b2");
    assert_string_equal(pst_version_text(0x030700c1, text, sizeof(text)), "3.7.0rc1");
    assert_string_equal(pst_version_text(0, text, sizeof(text)), "?");
}

static void a_copy_stands_alone(void **state)
{
    char argv[] = "python3\0-m\0app\0cut", env[] = "A=1";
    struct pst_facts facts = {.id = 7,
                              .pid = 42,
                              .comm = PST_STR("x"),
                              .argv = {argv, sizeof(argv) - 1},
                              .env = {env, sizeof(env) - 1}};
    struct pst_str item;
    struct pst_facts *copy = pst_facts_copy(&facts);
    memset(argv, 'z', sizeof(argv));
    memset(env, 'z', sizeof(env));
    assert_int_equal(copy->id, 7);
    assert_true(pst_facts_arg(copy, 2, &item) && pst_str_eq(item, PST_STR("app")));
    assert_true(pst_facts_arg(copy, 3, &item) && pst_str_eq(item, PST_STR("cut")));
    assert_false(pst_facts_arg(copy, 4, &item));
    assert_true(pst_facts_env(copy, "A", &item) && pst_str_eq(item, PST_STR("1")));
    assert_int_equal(copy->cwd.len, 0);
    pst_facts_free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_in_memory),  cmocka_unit_test(versions_among_bytes),
        cmocka_unit_test(versions_in_names),   cmocka_unit_test(versions_for_people),
        cmocka_unit_test(a_copy_stands_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
