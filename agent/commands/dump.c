/* `pystrobe dump`: what was asked for. The work is in dump_*.c. */
#include "dump.h"

#include <stdlib.h>

#include "commands_internal.h"
#include "whom.h"

#define DUMP_FLAG(field, letter, name, help)                                                       \
    PST_OPT_FLAG(struct pst_dump_args, field, letter, name, help)
#define DUMP_HIDDEN(field_name, short_letter, long_name)                                           \
    {                                                                                              \
        .kind = PST_OPTION_FLAG, .letter = (short_letter), .hidden = true, .name = (long_name),    \
        .offset = offsetof(struct pst_dump_args, field_name), .set_offset = SIZE_MAX               \
    }

const struct pst_option pst_options_dump[] = {
    PST_OPT(PIDS, struct pst_dump_args, pids, 'p', "pid", "PID",
            "process to look at; several: 1,2"),
    PST_OPT(PATH, struct pst_dump_args, core, 'c', "core", "FILE",
            "look at a core file instead of a process"),
    DUMP_FLAG(subprocesses, 's', "subprocesses", "all descendants too"),
    PST_OPT(COUNT, struct pst_dump_args, locals, 'l', "locals", NULL,
            "variables with their values, 128 characters of each; -ll twice as many, and so on"),
    PST_OPT(STRINGS, struct pst_dump_args, redact, 0, "redact", "PATTERN",
            "also hide values whose names match this; none: hide no value at all"),
    DUMP_FLAG(json, 'j', "json", "print JSON"),
    DUMP_FLAG(full_filenames, 0, "full-filenames", "do not shorten file names"),
    DUMP_FLAG(class_names, 0, "class-names",
              "methods as CLASS.NAME on versions before 3.11 too, by the type of self or cls"),
    DUMP_FLAG(native, 'n', "native",
              "frames of C, C++ and Cython too; stops each thread of a process for a moment"),
    DUMP_FLAG(blocking, 0, "blocking",
              "stop the process while it is read, for an exact snapshot; says how long that took"),
    DUMP_HIDDEN(nonblocking, 0, "nonblocking"),
    PST_OPT_END,
};

static int usage(const char *remedy, const char *text)
{
    return pst_whom_fail("dump", PST_EXIT_USAGE, remedy, text);
}

/* 0, or an exit code after the error was printed. */
static int check(const struct pst_dump_args *args, bool words)
{
    if (words)
        return usage("pystrobe dump --pid PID", "takes no program");
    if (args->native && args->nonblocking)
        return usage(NULL, "--native has to stop the target: not with --nonblocking");
    if (args->native && args->blocking)
        return usage(NULL, "--native stops each thread by itself: not with --blocking");
    if (args->blocking && args->nonblocking)
        return usage(NULL, "--blocking and --nonblocking exclude each other");
    if (args->core && (args->pids.count > 0 || args->subprocesses || args->blocking))
        return usage("give --core FILE alone", "a core file has no process");
    if (!args->core && args->pids.count == 0)
        return pst_whom_ask("dump");
    if (args->locals > PST_MAX_VALUE_CHARS / PST_VALUE_CHARS)
        return usage("-l up to 512 times", "more characters than are kept of a value");
    return PST_EXIT_OK;
}

static int dump_processes(const struct pst_dump_args *args, int argc, char **argv)
{
    struct pst_dump_process *processes = NULL;
    struct pst_buf sudo_line;

    int count = pst_dump_kin(args, &processes);
    if (count < 0)
        return pst_whom_fail("dump", PST_EXIT_FAILED, NULL, "cannot list processes");
    pst_buf_init(&sudo_line, PST_MAX_CMDLINE_BYTES);
    pst_whom_sudo_line(argc, argv, &sudo_line);
    int code = pst_dump_apart(args, &sudo_line, processes, (size_t)count);
    pst_buf_done(&sudo_line);
    free(processes);
    return code;
}

int pst_cmd_dump(int argc, char **argv)
{
    struct pst_dump_args args = {0};
    int rest;
    int code = pst_command_options("dump", 0, argc, argv, &args, &rest);

    if (code >= 0)
        return code;
    code = check(&args, rest < argc);
    if (code != PST_EXIT_OK)
        return code;
    /* A pattern that cannot be is better told before anything is looked for. */
    struct pst_redact *redact = pst_redact_new(&args.redact);
    if (!redact)
        return PST_EXIT_USAGE;
    pst_redact_free(redact);
    code = args.core ? pst_dump_core(&args) : dump_processes(&args, argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout))
        return pst_whom_fail("dump", PST_EXIT_FAILED, NULL, "cannot write the stacks");
    return code;
}
