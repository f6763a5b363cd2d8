/* The table of commands: names, prefixes, pages. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "commands_internal.h"

static const char *find(const char *word)
{
    const struct pst_command *row = NULL;
    struct pst_error error;
    return pst_command_find(word, &row, &error) == 0 ? row->name : "none";
}

static void r_t_and_d_always_mean_record_top_and_dump(void **state)
{
    assert_string_equal(find("r"), "record");
    assert_string_equal(find("t"), "top");
    assert_string_equal(find("d"), "dump");
}

static void unique_prefixes_suffice(void **state)
{
    assert_string_equal(find("ag"), "agent");
    assert_string_equal(find("do"), "doctor");
    assert_string_equal(find("du"), "dump");
    assert_string_equal(find("conf"), "config");
    assert_string_equal(find("com"), "completions");
    assert_string_equal(find("p"), "ps");
    assert_string_equal(find("doctor"), "doctor");
}

static void others_say_what_was_meant(void **state)
{
    const struct pst_command *row;
    struct pst_error error;

    assert_int_equal(pst_command_find("con", &row, &error), -ENOTUNIQ);
    assert_string_equal(error.text, "con could mean convert, config");
    assert_int_equal(pst_command_find("dcotor", &row, &error), -ENOENT);
    assert_string_equal(error.remedy, "did you mean doctor?");
    assert_int_equal(pst_command_find("nothing", &row, &error), -ENOENT);
    assert_int_equal(pst_command_find("", &row, &error), -ENOENT);
    assert_int_equal(error.code, PST_EXIT_USAGE);
}

static void tables_of_options_have_no_doubles(void **state)
{
    for (const struct pst_command *command = pst_command_table; command->name; command++)
        for (const struct pst_option *row = command->options; row->kind != PST_OPTION_END; row++) {
            bool value = row->kind != PST_OPTION_FLAG && row->kind != PST_OPTION_COUNT;
            assert_true((row->argument != NULL) == value);
            assert_true(row->hidden || (row->help && row->help[0]));
            assert_string_not_equal(row->name, "help");
            assert_int_not_equal(row->letter, 'h');
            for (const struct pst_option *rest = row + 1; rest->kind != PST_OPTION_END; rest++) {
                assert_string_not_equal(row->name, rest->name);
                assert_true(row->letter == 0 || row->letter != rest->letter);
            }
        }
}

static char *page_of(void (*print)(FILE *))
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    print(out);
    (void)fclose(out);
    return text;
}

static void newcomers_see_five_commands_with_an_example_each(void **state)
{
    char *text = page_of(pst_help_newcomer);
    int examples = 0;

    for (const char *at = text; (at = strstr(at, "$ pystrobe ")) != NULL; at++)
        examples++;
    assert_int_equal(examples, 5);
    free(text);
}

static void help_lists_every_command(void **state)
{
    char *text = page_of(pst_help_all);

    for (const struct pst_command *command = pst_command_table; command->name; command++) {
        char line[64];
        (void)snprintf(line, sizeof line, "\n  %-12s", command->name);
        assert_non_null(strstr(text, line));
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r_t_and_d_always_mean_record_top_and_dump),
        cmocka_unit_test(unique_prefixes_suffice),
        cmocka_unit_test(others_say_what_was_meant),
        cmocka_unit_test(tables_of_options_have_no_doubles),
        cmocka_unit_test(newcomers_see_five_commands_with_an_example_each),
        cmocka_unit_test(help_lists_every_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
