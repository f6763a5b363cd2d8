/* Completion scripts for bash, zsh and fish, printed from the command and option tables. */
#include <string.h>

#include "commands_internal.h"

const struct pst_option pst_options_completions[] = {PST_OPT_END};

/* Words that may follow a command besides options. */
static const char *words_of(const struct pst_command *command)
{
    if (strcmp(command->name, "config") == 0)
        return "check show schema";
    if (strcmp(command->name, "completions") == 0)
        return "bash zsh fish";
    return "";
}

static bool takes_file(const struct pst_option *option)
{
    return option->kind == PST_OPTION_PATH;
}

static bool takes_pid(const struct pst_option *option)
{
    return option->kind == PST_OPTION_PIDS ||
           (option->argument && strcmp(option->argument, "PID") == 0);
}

/* Choices with blanks instead of bars. */
static void put_choices(const char *choices)
{
    for (; *choices; choices++)
        (void)putchar(*choices == '|' ? ' ' : *choices);
}

static void bash_values(const struct pst_command *command)
{
    for (const struct pst_option *row = command->options; row->kind != PST_OPTION_END; row++) {
        if (row->hidden || !row->argument)
            continue;
        (void)printf("    %s:--%s", command->name, row->name);
        if (row->letter)
            (void)printf("|%s:-%c", command->name, row->letter);
        (void)fputs(") ", stdout);
        if (row->choices) {
            (void)fputs("COMPREPLY=($(compgen -W '", stdout);
            put_choices(row->choices);
            (void)fputs("' -- \"$cur\"))", stdout);
        } else if (takes_file(row)) {
            (void)fputs("COMPREPLY=($(compgen -f -- \"$cur\"))", stdout);
        } else if (takes_pid(row)) {
            (void)fputs("COMPREPLY=($(compgen -W \"$(cd /proc && echo [0-9]*)\" -- \"$cur\"))",
                        stdout);
        } else {
            (void)fputs("COMPREPLY=()", stdout);
        }
        (void)fputs("; return ;;\n", stdout);
    }
}

static void put_options(const struct pst_command *command)
{
    for (const struct pst_option *row = command->options; row->kind != PST_OPTION_END; row++)
        if (!row->hidden)
            (void)printf(" --%s", row->name);
    (void)fputs(" --help", stdout);
}

static void put_command_names(void)
{
    for (const struct pst_command *row = pst_command_table; row->name; row++)
        (void)printf("%s%s", row == pst_command_table ? "" : " ", row->name);
}

static void bash(void)
{
    (void)fputs("# bash completion of pystrobe\n"
                "_pystrobe() {\n"
                "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
                "  local cmd=${COMP_WORDS[1]-}\n"
                "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                "    COMPREPLY=($(compgen -W '",
                stdout);
    put_command_names();
    (void)fputs(" --help --version' -- \"$cur\")); return\n  fi\n"
                "  case \"$cmd:$prev\" in\n",
                stdout);
    for (const struct pst_command *row = pst_command_table; row->name; row++)
        bash_values(row);
    (void)fputs("  esac\n  case \"$cmd\" in\n", stdout);
    for (const struct pst_command *row = pst_command_table; row->name; row++) {
        (void)printf("    %s) COMPREPLY=($(compgen -W '%s", row->name, words_of(row));
        if (strcmp(row->name, "help") == 0)
            put_command_names();
        put_options(row);
        (void)fputs("' -- \"$cur\")) ;;\n", stdout);
    }
    (void)fputs("  esac\n"
                "  [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- \"$cur\"))\n"
                "}\n"
                "complete -o filenames -F _pystrobe pystrobe\n",
                stdout);
}

/* Text inside '...' of a shell; zsh also reads [ ] : in its specifications. */
static void put_quoted(const char *text, bool zsh)
{
    for (; *text; text++) {
        if (*text == '\'')
            (void)fputs("'\\''", stdout);
        else if (zsh && strchr("[]:\\", *text))
            (void)printf("\\%c", *text);
        else
            (void)putchar(*text);
    }
}

static void zsh_option(const struct pst_option *row)
{
    const char *action = takes_file(row) ? "_files" : takes_pid(row) ? "_pids" : " ";

    for (int form = row->letter ? 0 : 1; form < 2; form++) {
        const char *many = row->kind == PST_OPTION_STRINGS || row->kind == PST_OPTION_PIDS ||
                                   row->kind == PST_OPTION_COUNT
                               ? "*"
                               : "";
        if (form == 0)
            (void)printf("        '%s-%c[", many, row->letter);
        else
            (void)printf("        '%s--%s[", many, row->name);
        put_quoted(row->help, true);
        (void)putchar(']');
        if (row->argument) {
            (void)putchar(':');
            put_quoted(row->argument, true);
            (void)putchar(':');
            if (row->choices) {
                (void)putchar('(');
                put_choices(row->choices);
                (void)putchar(')');
            } else {
                (void)fputs(action, stdout);
            }
        }
        (void)fputs("' \\\n", stdout);
    }
}

static void zsh(void)
{
    (void)fputs("#compdef pystrobe\n"
                "# zsh completion of pystrobe\n"
                "_pystrobe() {\n"
                "  local -a commands\n"
                "  commands=(\n",
                stdout);
    for (const struct pst_command *row = pst_command_table; row->name; row++) {
        (void)printf("    '%s:", row->name);
        put_quoted(row->summary, true);
        (void)fputs("'\n", stdout);
    }
    (void)fputs("  )\n"
                "  if (( CURRENT == 2 )); then\n"
                "    _describe command commands\n    return\n  fi\n"
                "  shift words\n  (( CURRENT-- ))\n"
                "  case $words[1] in\n",
                stdout);
    for (const struct pst_command *row = pst_command_table; row->name; row++) {
        (void)printf("    %s)\n      _arguments -s \\\n", row->name);
        for (const struct pst_option *option = row->options; option->kind != PST_OPTION_END;
             option++)
            if (!option->hidden)
                zsh_option(option);
        (void)fputs("        '(- *)'{-h,--help}'[explain the command]' \\\n", stdout);
        if (words_of(row)[0])
            (void)printf("        '1:what:(%s)' \\\n", words_of(row));
        if (strcmp(row->name, "help") == 0) {
            (void)fputs("        '1:command:(", stdout);
            put_command_names();
            (void)fputs(")' \\\n", stdout);
        }
        (void)fputs("        '*:file:_files'\n      ;;\n", stdout);
    }
    (void)fputs("  esac\n}\n_pystrobe \"$@\"\n", stdout);
}

static void fish_option(const struct pst_command *command, const struct pst_option *row)
{
    (void)printf("complete -c pystrobe -n '__fish_seen_subcommand_from %s' -l %s", command->name,
                 row->name);
    if (row->letter)
        (void)printf(" -s %c", row->letter);
    if (row->argument)
        (void)fputs(takes_file(row) ? " -r -F" : " -x", stdout);
    if (row->choices) {
        (void)fputs(" -a '", stdout);
        put_choices(row->choices);
        (void)putchar('\'');
    } else if (takes_pid(row)) {
        (void)fputs(" -a '(__fish_complete_pids)'", stdout);
    }
    (void)fputs(" -d '", stdout);
    for (const char *at = row->help; *at; at++)
        (void)printf("%s%c", *at == '\'' || *at == '\\' ? "\\" : "", *at);
    (void)fputs("'\n", stdout);
}

static void fish(void)
{
    (void)fputs("# fish completion of pystrobe\n", stdout);
    for (const struct pst_command *row = pst_command_table; row->name; row++) {
        (void)printf("complete -c pystrobe -f -n __fish_use_subcommand -a %s -d '%s'\n", row->name,
                     row->summary);
        for (const struct pst_option *option = row->options; option->kind != PST_OPTION_END;
             option++)
            if (!option->hidden)
                fish_option(row, option);
        if (words_of(row)[0])
            (void)printf("complete -c pystrobe -f -n '__fish_seen_subcommand_from %s' -a '%s'\n",
                         row->name, words_of(row));
    }
}

int pst_cmd_completions(int argc, char **argv)
{
    struct pst_error error;
    struct {
        int unused;
    } args = {0};
    int rest, code = pst_command_options("completions", 0, argc, argv, &args, &rest);

    if (code >= 0)
        return code;
    if (rest + 1 == argc && strcmp(argv[rest], "bash") == 0)
        bash();
    else if (rest + 1 == argc && strcmp(argv[rest], "zsh") == 0)
        zsh();
    else if (rest + 1 == argc && strcmp(argv[rest], "fish") == 0)
        fish();
    else {
        (void)pst_error_set(&error, PST_EXIT_USAGE, "completions", "one of bash, zsh, fish",
                            "the name of a shell is missing or unknown");
        pst_error_print(stderr, &error);
        return PST_EXIT_USAGE;
    }
    return PST_EXIT_OK;
}
