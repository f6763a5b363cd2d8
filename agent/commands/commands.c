/* The dispatcher: argv[1] chooses a row of commands.def, a hidden verb chooses a role. */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "commands_internal.h"
#include "config/config.h"
#include "config/value.h"
#include "man.h"

#define PST_COMMAND(id, alias_, rank_, synopsis_, summary_, example_)                              \
    {.name = #id,                                                                                  \
     .alias = (alias_),                                                                            \
     .synopsis = (synopsis_),                                                                      \
     .summary = (summary_),                                                                        \
     .example = (example_),                                                                        \
     .rank = (rank_),                                                                              \
     .run = pst_cmd_##id,                                                                          \
     .options = pst_options_##id},
const struct pst_command pst_command_table[] = {
#include "commands.def"
    {.name = NULL},
};
#undef PST_COMMAND

/* Names of all commands that start with word, "a, b", into text; their number. */
static int list_prefixed(struct pst_str word, char *text, size_t size,
                         const struct pst_command **last)
{
    int found = 0;
    size_t used = 0;

    text[0] = 0;
    for (const struct pst_command *row = pst_command_table; row->name; row++) {
        if (!pst_str_starts(pst_str(row->name), word))
            continue;
        int more = snprintf(text + used, size - used, "%s%s", found ? ", " : "", row->name);
        if (more > 0 && (size_t)more < size - used)
            used += (size_t)more;
        *last = row;
        found++;
    }
    return found;
}

static int unknown(struct pst_str word, struct pst_error *error)
{
    const struct pst_command *meant = NULL;
    unsigned best = word.len < 6 ? 2 : 3; /* of a short word, two letters are most of it */
    char remedy[120] = "`pystrobe --help` lists the commands";

    for (const struct pst_command *row = pst_command_table; row->name; row++) {
        unsigned distance = pst_value_distance(pst_str(row->name), word);
        if (distance < best) {
            best = distance;
            meant = row;
        }
    }
    if (meant)
        (void)snprintf(remedy, sizeof remedy, "did you mean %s?", meant->name);
    (void)pst_error_set(error, PST_EXIT_USAGE, NULL, remedy, "no such command: %.*s",
                        (int)(word.len < 80 ? word.len : 80), word.ptr);
    return -ENOENT;
}

int pst_command_find(const char *word, const struct pst_command **ret, struct pst_error *error)
{
    struct pst_str text = pst_str(word);
    const struct pst_command *last = NULL;
    char names[160];
    int found;

    for (const struct pst_command *row = pst_command_table; row->name; row++)
        if (pst_str_eq(pst_str(row->name), text) ||
            (row->alias[0] && pst_str_eq(pst_str(row->alias), text))) {
            *ret = row;
            return 0;
        }
    found = text.len ? list_prefixed(text, names, sizeof names, &last) : 0;
    if (found == 1) {
        *ret = last;
        return 0;
    }
    if (found == 0)
        return unknown(text, error);
    (void)pst_error_set(error, PST_EXIT_USAGE, NULL, NULL, "%.40s could mean %s", word, names);
    return -ENOTUNIQ;
}

int pst_command_options(const char *command, unsigned flags, int argc, char **argv, void *args,
                        int *ret_rest)
{
    const struct pst_command *row = pst_command_table;
    struct pst_error error;
    int rc;

    while (row->name && strcmp(row->name, command) != 0)
        row++;
    if (!row->name)
        return PST_EXIT_FAILED;
    rc = pst_options_parse(row->options, flags, argc, argv, args, ret_rest, &error);
    if (rc == 0)
        return -1;
    if (rc == PST_OPTIONS_HELP) {
        pst_help_command(stdout, row);
        return PST_EXIT_OK;
    }
    pst_error_print(stderr, &error);
    return PST_EXIT_USAGE;
}

static int print_docs(int argc, char **argv)
{
    struct pst_buf out;
    int rc = -EINVAL;

    pst_buf_init(&out, PST_MAX_CONFIG_BYTES);
    if (argc == 2 && strcmp(argv[1], "commands") == 0)
        rc = pst_help_docs(&out);
    else if (argc == 2 && strcmp(argv[1], "configuration") == 0)
        rc = pst_config_docs(&out);
    if (rc == 0)
        (void)fwrite(out.data, 1, out.len, stdout);
    pst_buf_done(&out);
    return rc == 0 && fflush(stdout) == 0 ? PST_EXIT_OK : PST_EXIT_FAILED;
}

/* Output that could not be written is a failure: a full disk behind `config show > file`. */
static int finish(int code)
{
    struct pst_error error;

    if ((fflush(stdout) == 0 && !ferror(stdout)) || code != PST_EXIT_OK)
        return code;
    (void)pst_error_set(&error, PST_EXIT_FAILED, NULL, NULL, "standard output cannot be written");
    pst_error_print(stderr, &error);
    return PST_EXIT_FAILED;
}

int pst_commands_run(int argc, char **argv)
{
    const struct pst_command *row;
    struct pst_error error;
    const char *word = argc > 1 ? argv[1] : NULL;

    if (!word) {
        pst_help_newcomer(stdout);
        return finish(PST_EXIT_OK);
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        pst_help_all(stdout);
        return finish(PST_EXIT_OK);
    }
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        (void)printf("pystrobe %s\n", PST_VERSION);
        return finish(PST_EXIT_OK);
    }
    if (strcmp(word, "__man") == 0 && argc == 4)
        return pst_man_write(argv[2], argv[3]);
    if (strcmp(word, "__docs") == 0)
        return print_docs(argc - 1, argv + 1);
    if (word[0] == '_' && word[1] == '_')
        return pst_role_main(word, argc - 1, argv + 1);
    if (word[0] == '-') {
        (void)pst_error_set(&error, PST_EXIT_USAGE, NULL, "options stand behind a command",
                            "no such option: %.60s", word);
        pst_error_print(stderr, &error);
        return PST_EXIT_USAGE;
    }
    if (pst_command_find(word, &row, &error) < 0) {
        pst_error_print(stderr, &error);
        return PST_EXIT_USAGE;
    }
    argv[1] = (char *)row->name;
    return finish(row->run(argc - 1, argv + 1));
}
