/* The option parser: walks argv once by a table. Refuses abbreviations, missing and superfluous
 * values; says each refusal in one line that names the option. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/str.h"
#include "config/value.h"
#include "options.h"

struct parse {
    const struct pst_option *table;
    char *args;
    struct pst_error *error;
};

static int refuse(struct parse *parse, const struct pst_option *option, const char *why,
                  const char *remedy)
{
    char where[80];
    (void)snprintf(where, sizeof where, "--%s", option->name);
    return pst_error_set(parse->error, PST_EXIT_USAGE, where, remedy, "%s", why);
}

static void add_pid(struct pst_option_pids *pids, pid_t pid)
{
    for (size_t i = 0; i < pids->count; i++)
        if (pids->items[i] == pid)
            return;
    pids->items[pids->count++] = pid;
}

static int add_pids(struct parse *parse, const struct pst_option *option, const char *value)
{
    struct pst_option_pids *pids = (void *)(parse->args + option->offset);
    struct pst_str rest = pst_str(value), part;

    if (rest.len == 0 || pst_str_ends(rest, PST_STR(",")))
        return refuse(parse, option, "a process id is missing", NULL);
    while (pst_str_next(&rest, ',', &part)) {
        bool hex = pst_str_starts(part, PST_STR("0x")) || pst_str_starts(part, PST_STR("0X"));
        struct pst_str digits = hex ? (struct pst_str){part.ptr + 2, part.len - 2} : part;
        uint64_t pid;
        char why[128];

        if (part.len == 0)
            return refuse(parse, option, "a process id is missing", NULL);
        if (pst_str_u64(digits, hex ? 16 : 10, INT_MAX, &pid) < 0 || pid == 0) {
            (void)snprintf(why, sizeof why, "%.*s is not a process id",
                           (int)(part.len < 60 ? part.len : 60), part.ptr);
            return refuse(parse, option, why, "give a number such as 1234");
        }
        if (pids->count == PST_MAX_OPTION_VALUES)
            return refuse(parse, option, "given too often", NULL);
        add_pid(pids, (pid_t)pid);
    }
    return 0;
}

static int check_choice(struct parse *parse, const struct pst_option *option, const char *value)
{
    struct pst_str rest = pst_str(option->choices), choice;
    char why[160], remedy[200];

    while (pst_str_next(&rest, '|', &choice))
        if (pst_str_eq(choice, pst_str(value)))
            return 0;
    (void)snprintf(why, sizeof why, "%.60s is not one of its values", value);
    (void)snprintf(remedy, sizeof remedy, "give one of %s", option->choices);
    return refuse(parse, option, why, remedy);
}

static int set_number(struct parse *parse, const struct pst_option *option, const char *value)
{
    char why[160];
    uint64_t number;
    uint64_t max = option->max ? option->max : UINT64_MAX;
    int rc = pst_str_u64(pst_str(value), 10, max, &number);

    if (rc == -ERANGE || (rc == 0 && number < option->min)) {
        (void)snprintf(why, sizeof why, "%.40s is outside %llu to %llu", value,
                       (unsigned long long)option->min, (unsigned long long)max);
        return refuse(parse, option, why, NULL);
    }
    if (rc < 0) {
        (void)snprintf(why, sizeof why, "%.60s is not a number", value);
        return refuse(parse, option, why, NULL);
    }
    memcpy(parse->args + option->offset, &number, sizeof number);
    return 0;
}

static int set_duration(struct parse *parse, const struct pst_option *option, const char *value)
{
    char why[160];
    uint64_t ns = UINT64_MAX;
    bool endless = option->max == UINT64_MAX && strcmp(value, "unlimited") == 0;
    int rc = endless ? 0 : pst_value_duration(pst_str(value), &ns);

    if (rc < 0) {
        (void)snprintf(why, sizeof why, "%.60s is %s", value,
                       rc == -ERANGE ? "too long" : "not a duration");
        return refuse(parse, option, why, "write 30, 30s, 2m or 0.5");
    }
    memcpy(parse->args + option->offset, &ns, sizeof ns);
    return 0;
}

/* Stores one occurrence; value is NULL for flags and counts. */
static int store(struct parse *parse, const struct pst_option *option, const char *value)
{
    char *place = parse->args + option->offset;
    struct pst_option_strings *strings;
    bool any = option->kind == PST_OPTION_STRING || option->kind == PST_OPTION_STRINGS;
    int rc;

    if (value && !value[0] && (!any || option->choices))
        return refuse(parse, option,
                      option->kind == PST_OPTION_PIDS ? "a process id is missing"
                                                      : "its value is empty",
                      NULL);
    rc = option->choices && value ? check_choice(parse, option, value) : 0;
    if (rc < 0)
        return rc;
    if (option->set_offset != SIZE_MAX)
        *(bool *)(parse->args + option->set_offset) = true;
    switch (option->kind) {
    case PST_OPTION_END:
        return -EINVAL;
    case PST_OPTION_FLAG:
        *(bool *)place = true;
        return 0;
    case PST_OPTION_COUNT:
        (*(unsigned *)(void *)place)++;
        return 0;
    case PST_OPTION_PATH:
    case PST_OPTION_STRING:
        memcpy(place, &value, sizeof value);
        return 0;
    case PST_OPTION_STRINGS:
        strings = (void *)place;
        if (strings->count == PST_MAX_OPTION_VALUES)
            return refuse(parse, option, "given too often", NULL);
        strings->items[strings->count++] = value;
        return 0;
    case PST_OPTION_PIDS:
        return add_pids(parse, option, value);
    case PST_OPTION_NUMBER:
        return set_number(parse, option, value);
    case PST_OPTION_DURATION:
        return set_duration(parse, option, value);
    }
    return -EINVAL;
}

static const struct pst_option *find_long(const struct pst_option *table, struct pst_str name)
{
    for (; table->kind != PST_OPTION_END; table++)
        if (pst_str_eq(pst_str(table->name), name))
            return table;
    return NULL;
}

static const struct pst_option *find_letter(const struct pst_option *table, char letter)
{
    for (; table->kind != PST_OPTION_END; table++)
        if (table->letter == letter)
            return table;
    return NULL;
}

/* An unknown long option that only one name starts with was probably meant: say so, since
 * abbreviations are refused. */
static const struct pst_option *nearest(const struct pst_option *table, struct pst_str name)
{
    const struct pst_option *found = NULL;
    unsigned best = 3;

    for (; table->kind != PST_OPTION_END; table++) {
        unsigned distance;
        if (table->hidden)
            continue;
        if (name.len > 1 && pst_str_starts(pst_str(table->name), name))
            return table;
        distance = pst_value_distance(pst_str(table->name), name);
        if (distance < best) {
            best = distance;
            found = table;
        }
    }
    return found;
}

static int unknown_option(struct parse *parse, struct pst_str word, struct pst_str name)
{
    const struct pst_option *meant = nearest(parse->table, name);
    char where[80], remedy[120] = "--help lists the options";

    (void)snprintf(where, sizeof where, "%.*s", (int)(word.len < 60 ? word.len : 60), word.ptr);
    if (meant)
        (void)snprintf(remedy, sizeof remedy, "did you mean --%s?", meant->name);
    return pst_error_set(parse->error, PST_EXIT_USAGE, where, remedy, "no such option");
}

static bool takes_value(const struct pst_option *option)
{
    return option->kind != PST_OPTION_FLAG && option->kind != PST_OPTION_COUNT;
}

/* --name, --name=value or --name value; *index moves past a value taken from the next word. */
static int parse_long(struct parse *parse, int argc, char **argv, int *index)
{
    struct pst_str word = pst_str(argv[*index]);
    struct pst_str body = {word.ptr + 2, word.len - 2};
    size_t equals = pst_str_find(body, '=');
    struct pst_str name = {body.ptr, equals};
    const struct pst_option *option;

    if (pst_str_eq(name, PST_STR("help")) && equals == body.len)
        return PST_OPTIONS_HELP;
    option = find_long(parse->table, name);
    if (!option)
        return unknown_option(parse, (struct pst_str){word.ptr, equals + 2}, name);
    if (!takes_value(option)) {
        if (equals != body.len)
            return refuse(parse, option, "takes no value", NULL);
        return store(parse, option, NULL);
    }
    if (equals != body.len)
        return store(parse, option, body.ptr + equals + 1);
    if (*index + 1 >= argc)
        return refuse(parse, option, "its value is missing", NULL);
    return store(parse, option, argv[++*index]);
}

/* -abc, -r100, -r 100, -r=100 is the value "=100" as everywhere else. */
static int parse_letters(struct parse *parse, int argc, char **argv, int *index)
{
    const char *word = argv[*index];

    for (const char *at = word + 1; *at; at++) {
        const struct pst_option *option = find_letter(parse->table, *at);
        int rc;

        if (!option && *at == 'h')
            return PST_OPTIONS_HELP;
        if (!option) {
            char shown[3] = {'-', *at, 0};
            return unknown_option(parse, pst_str(shown), (struct pst_str){at, 1});
        }
        if (!takes_value(option)) {
            rc = store(parse, option, NULL);
            if (rc < 0)
                return rc;
            continue;
        }
        if (at[1])
            return store(parse, option, at + 1);
        if (*index + 1 >= argc)
            return refuse(parse, option, "its value is missing", NULL);
        return store(parse, option, argv[++*index]);
    }
    return 0;
}

/* Moves argv[from..to) to the front at `front`, keeping both orders. */
static void rotate(char **argv, int front, int from, int to)
{
    for (int i = from; i < to; i++) {
        char *moved = argv[i];
        memmove(&argv[front + 1], &argv[front], sizeof *argv * (size_t)(i - front));
        argv[front++] = moved;
    }
}

int pst_options_parse(const struct pst_option *table, unsigned flags, int argc, char **argv,
                      void *args, int *ret_rest, struct pst_error *error)
{
    struct parse parse = {.table = table, .args = args, .error = error};
    int words = 1; /* argv[words..index) are words seen so far */

    for (int index = 1; index < argc; index++) {
        const char *word = argv[index];
        int start = index, rc;

        if (word[0] != '-' || word[1] == 0) {
            if (!(flags & PST_OPTIONS_STOP_AT_WORD))
                continue;
            *ret_rest = index;
            return 0;
        }
        if (strcmp(word, "--") == 0) {
            rotate(argv, words, start, start + 1);
            *ret_rest = words + 1;
            return 0;
        }
        rc = word[1] == '-' ? parse_long(&parse, argc, argv, &index)
                            : parse_letters(&parse, argc, argv, &index);
        if (rc != 0)
            return rc;
        rotate(argv, words, start, index + 1);
        words += index + 1 - start;
    }
    *ret_rest = words;
    return 0;
}
