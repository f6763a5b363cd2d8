/* The option parser: every way to write an option, every refusal. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "options.h"

struct args {
    bool json, quiet, quiet_given;
    unsigned verbose;
    const char *output;
    struct pst_option_strings labels;
    struct pst_option_pids pids;
    uint64_t rate, duration_ns;
    const char *mode;
};

static const struct pst_option table[] = {
    PST_OPT_FLAG(struct args, json, 'j', "json", "print JSON"),
    {.kind = PST_OPTION_FLAG,
     .letter = 'q',
     .name = "quiet",
     .offset = offsetof(struct args, quiet),
     .set_offset = offsetof(struct args, quiet_given),
     .help = "say less"},
    PST_OPT(COUNT, struct args, verbose, 'v', "verbose", NULL, "say more"),
    PST_OPT(STRING, struct args, output, 'o', "output", "FILE", "where to"),
    PST_OPT(STRINGS, struct args, labels, 0, "label", "TEXT", "labels"),
    PST_OPT(PIDS, struct args, pids, 'p', "pid", "PID", "processes"),
    {.kind = PST_OPTION_NUMBER,
     .letter = 'r',
     .name = "rate",
     .argument = "HZ",
     .offset = offsetof(struct args, rate),
     .set_offset = SIZE_MAX,
     .min = 1,
     .max = 10000,
     .help = "samples a second"},
    PST_OPT(DURATION, struct args, duration_ns, 'd', "duration", "TIME", "how long"),
    {.kind = PST_OPTION_STRING,
     .letter = 'm',
     .name = "mode",
     .argument = "MODE",
     .choices = "cpu|wall",
     .offset = offsetof(struct args, mode),
     .set_offset = SIZE_MAX,
     .help = "what to measure"},
    PST_OPT_END,
};

#define WORDS 16

/* Splits at blanks into writable words; argv[0] is the command. */
static int parse(const char *line, unsigned flags, struct args *args, char **argv, int *ret_argc,
                 int *ret_rest, struct pst_error *error)
{
    static char text[512];
    int argc = 0;

    (void)snprintf(text, sizeof text, "%s", line);
    argv[argc++] = (char *)"command";
    for (char *word = strtok(text, " "); word && argc < WORDS; word = strtok(NULL, " "))
        argv[argc++] = word;
    memset(args, 0, sizeof *args);
    memset(error, 0, sizeof *error);
    *ret_argc = argc;
    return pst_options_parse(table, flags, argc, argv, args, ret_rest, error);
}

static struct args good(const char *line, unsigned flags, const char *rest_expected)
{
    struct pst_error error;
    struct args args;
    char *argv[WORDS], rest_text[256] = "";
    int argc, rest = 0;
    int rc = parse(line, flags, &args, argv, &argc, &rest, &error);

    if (rc != 0)
        print_error("%s: %s: %s\n", line, error.where, error.text);
    assert_int_equal(rc, 0);
    for (int i = rest; i < argc; i++) {
        if (i > rest)
            (void)strcat(rest_text, " ");
        (void)strcat(rest_text, argv[i]);
    }
    assert_string_equal(rest_text, rest_expected);
    return args;
}

static void forms_of_one_option_mean_the_same(void **state)
{
    static const char *const lines[] = {"--output=x --rate=97", "--output x --rate 97",
                                        "-o x -r 97",           "-ox -r97",
                                        "-jox -vr97",           "-o y -o x --rate 1 --rate 97"};
    for (size_t i = 0; i < PST_ARRAY_SIZE(lines); i++) {
        struct args args = good(lines[i], 0, "");
        assert_string_equal(args.output, "x");
        assert_int_equal(args.rate, 97);
    }
}

static void flags_count_and_tell_that_they_were_given(void **state)
{
    struct args args = good("-vvj --verbose -q", 0, "");
    assert_int_equal(args.verbose, 3);
    assert_true(args.json && args.quiet && args.quiet_given);
    args = good("", 0, "");
    assert_false(args.json || args.quiet || args.quiet_given);
}

static void values_may_look_like_options(void **state)
{
    struct args args = good("-o -j --label --json --label=", 0, "");
    assert_string_equal(args.output, "-j");
    assert_false(args.json);
    assert_int_equal(args.labels.count, 2);
    assert_string_equal(args.labels.items[0], "--json");
    assert_string_equal(args.labels.items[1], "");
}

static void pids_are_decimal_hexadecimal_or_lists_and_each_is_one(void **state)
{
    struct args args = good("-p 1,0x10,1 --pid 7 -p9 -p 7", 0, "");
    assert_int_equal(args.pids.count, 4);
    assert_int_equal(args.pids.items[0], 1);
    assert_int_equal(args.pids.items[1], 16);
    assert_int_equal(args.pids.items[2], 7);
    assert_int_equal(args.pids.items[3], 9);
}

static void durations_have_units(void **state)
{
    assert_int_equal(good("-d 30", 0, "").duration_ns, 30000000000);
    assert_int_equal(good("-d2m", 0, "").duration_ns, 120000000000);
    assert_int_equal(good("--duration=0.5", 0, "").duration_ns, 500000000);
}

static void words_gather_behind_options(void **state)
{
    struct args args = good("a -j b -o x c", 0, "a b c");
    assert_true(args.json);
    assert_string_equal(args.output, "x");
    args = good("a -j -- -o x", 0, "a -o x");
    assert_true(args.json);
    assert_null(args.output);
    (void)good("-", 0, "-");
    (void)good("--", 0, "");
    (void)good("a -- b", 0, "a b");
}

static void the_first_word_can_end_options(void **state)
{
    struct args args = good("-j prog -o x", PST_OPTIONS_STOP_AT_WORD, "prog -o x");
    assert_true(args.json);
    assert_null(args.output);
    args = good("-j -- -prog", PST_OPTIONS_STOP_AT_WORD, "-prog");
    assert_true(args.json);
}

static void help_is_found_anywhere(void **state)
{
    static const char *const lines[] = {"--help", "-h", "-jh", "-o x --help --nonsense"};
    for (size_t i = 0; i < PST_ARRAY_SIZE(lines); i++) {
        struct pst_error error;
        struct args args;
        char *argv[WORDS];
        int argc, rest;
        assert_int_equal(parse(lines[i], 0, &args, argv, &argc, &rest, &error), PST_OPTIONS_HELP);
    }
    (void)good("-- --help", 0, "--help");
}

static void refusals_name_the_option(void **state)
{
    static const struct {
        const char *line, *where, *text, *remedy;
    } rows[] = {
        {"--jso", "--jso", "no such option", "did you mean --json?"},
        {"--outptu x", "--outptu", "no such option", "did you mean --output?"},
        {"--nonsense=1", "--nonsense", "no such option", "--help"},
        {"-x", "-x", "no such option", ""},
        {"-jx", "-x", "no such option", ""},
        {"--help=1", "--help", "no such option", ""},
        {"--json=1", "--json", "takes no value", ""},
        {"-o", "--output", "its value is missing", ""},
        {"-j --output", "--output", "its value is missing", ""},
        {"--rate x", "--rate", "x is not a number", ""},
        {"--rate -1", "--rate", "-1 is not a number", ""},
        {"--rate 0", "--rate", "0 is outside 1 to 10000", ""},
        {"--rate 10001", "--rate", "outside 1 to 10000", ""},
        {"-d soon", "--duration", "soon is not a duration", "30s"},
        {"-m gpu", "--mode", "gpu is not one of its values", "cpu|wall"},
        {"-p 0", "--pid", "0 is not a process id", ""},
        {"-p 1,", "--pid", "a process id is missing", ""},
        {"-p 1,,2", "--pid", "a process id is missing", ""},
        {"-p 99999999999", "--pid", "is not a process id", ""},
        {"--pid=", "--pid", "a process id is missing", ""},
    };
    for (size_t i = 0; i < PST_ARRAY_SIZE(rows); i++) {
        struct pst_error error;
        struct args args;
        char *argv[WORDS];
        int argc, rest;
        int rc = parse(rows[i].line, 0, &args, argv, &argc, &rest, &error);
        bool fits = rc == -EINVAL && error.code == PST_EXIT_USAGE &&
                    strcmp(error.where, rows[i].where) == 0 && strstr(error.text, rows[i].text) &&
                    strstr(error.remedy, rows[i].remedy);
        if (!fits)
            print_error("%s -> %d %s | %s | %s\n", rows[i].line, rc, error.where, error.text,
                        error.remedy);
        assert_true(fits);
    }
}

static void repeats_are_bounded(void **state)
{
    static char text[8 * PST_MAX_OPTION_VALUES + 8];
    size_t used = 0;
    char *argv[] = {(char *)"command", (char *)"-p", text, NULL};
    struct pst_error error;
    struct args args = {0};
    int rest;

    for (int i = 0; i <= PST_MAX_OPTION_VALUES; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%d", i ? "," : "", i + 1);
    assert_int_equal(pst_options_parse(table, 0, 3, argv, &args, &rest, &error), -EINVAL);
    assert_string_equal(error.text, "given too often");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_of_one_option_mean_the_same),
        cmocka_unit_test(flags_count_and_tell_that_they_were_given),
        cmocka_unit_test(values_may_look_like_options),
        cmocka_unit_test(pids_are_decimal_hexadecimal_or_lists_and_each_is_one),
        cmocka_unit_test(durations_have_units),
        cmocka_unit_test(words_gather_behind_options),
        cmocka_unit_test(the_first_word_can_end_options),
        cmocka_unit_test(help_is_found_anywhere),
        cmocka_unit_test(refusals_name_the_option),
        cmocka_unit_test(repeats_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
