/* Command-line options from tables: one row per option gives parsing, help, documentation and
 * completions. Long options are never abbreviated; short ones cluster and take glued values
 * (-r100, -sp 12); `--name=VALUE` and `--name VALUE` are the same; `--` ends options. */
#ifndef PST_COMMANDS_OPTIONS_H
#define PST_COMMANDS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/limits.h"

enum pst_option_kind {
    PST_OPTION_END,     /* closes a table */
    PST_OPTION_FLAG,    /* bool: set to true */
    PST_OPTION_COUNT,   /* unsigned: one more for each */
    PST_OPTION_STRING,  /* const char *: the last one wins */
    PST_OPTION_PATH,    /* const char *: the same, not empty, of a file or folder */
    PST_OPTION_STRINGS, /* struct pst_option_strings: all of them */
    PST_OPTION_PIDS, /* struct pst_option_pids: decimal or 0x, commas allowed, repeatable, each once
                      */
    PST_OPTION_NUMBER,   /* uint64_t: decimal */
    PST_OPTION_DURATION, /* uint64_t nanoseconds: 30, 30s, 2m, 0.5, 1m30s */
};

struct pst_option_strings {
    const char *items[PST_MAX_OPTION_VALUES];
    size_t count;
};
struct pst_option_pids {
    pid_t items[PST_MAX_OPTION_VALUES];
    size_t count;
};

struct pst_option {
    enum pst_option_kind kind;
    char letter;          /* 0: none */
    bool hidden;          /* works, but is not shown */
    const char *name;     /* long name without dashes */
    const char *argument; /* FILE, PID, ...; NULL for flags */
    const char *choices;  /* "a|b|c": any other value is refused; NULL: free text */
    size_t offset;        /* of the destination in the command's struct */
    size_t set_offset;    /* of a bool that tells that it was given; SIZE_MAX: none */
    uint64_t min, max; /* NUMBER; 0,0: any. DURATION with a max of UINT64_MAX: "unlimited" is it */
    const char *help;  /* one line, starts small, no full stop */
};

/* Rows. `type` is the command's struct, `field` its member. */
#define PST_OPT(KIND, type, field, short_letter, long_name, argument_name, help_text)              \
    {                                                                                              \
        .kind = PST_OPTION_##KIND, .letter = (short_letter), .name = (long_name),                  \
        .argument = (argument_name), .offset = offsetof(type, field), .set_offset = SIZE_MAX,      \
        .help = (help_text)                                                                        \
    }
#define PST_OPT_FLAG(type, field, letter, name, help)                                              \
    PST_OPT(FLAG, type, field, letter, name, NULL, help)
#define PST_OPT_END                                                                                \
    {                                                                                              \
        .kind = PST_OPTION_END                                                                     \
    }

/* --config FILE and --set KEY=VALUE, for every command that loads the configuration. */
struct pst_config_args {
    const char *file; /* NULL: none */
    struct pst_option_strings set;
};
#define PST_OPTS_CONFIG(type, member)                                                              \
    PST_OPT(PATH, type, member.file, 'c', "config", "FILE", "configuration file (YAML)"),          \
        PST_OPT(STRINGS, type, member.set, 0, "set", "KEY=VALUE",                                  \
                "one setting, before file and environment: sampling.hz=97")

/* Stops at the first word that is no option: it starts PROGRAM. Otherwise options may stand
 * anywhere and words are gathered at the end of argv in their order. */
#define PST_OPTIONS_STOP_AT_WORD 1u

/* Outcome of a parse besides 0 and -EINVAL: --help was asked for. */
#define PST_OPTIONS_HELP 1

/* Fills args by the table. argv[0] is the command's name; *ret_rest is the index of the first word
 * that is no option (argc when none). A given `--` is skipped. 0, PST_OPTIONS_HELP, or -EINVAL with
 * the error filled. Values point into argv. */
int pst_options_parse(const struct pst_option *table, unsigned flags, int argc, char **argv,
                      void *args, int *ret_rest, struct pst_error *error);

/* What every command calls first: parses by the command's own table, prints help or the error.
 * -1: go on; otherwise the exit code to return. */
int pst_command_options(const char *command, unsigned flags, int argc, char **argv, void *args,
                        int *ret_rest);

#endif
