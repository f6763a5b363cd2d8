/* `pystrobe top`: where the time goes, live in the terminal. Decides what was asked for, takes the
 * terminal and gives it back. */
#include "top.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "commands_internal.h"
#include "render/frame.h"
#include "whom.h"

#define TOP_FLAG(field, letter, name, help)                                                        \
    PST_OPT_FLAG(struct pst_top_args, field, letter, name, help)

enum { SHORTEST_DELAY_MS = 100, LONGEST_DELAY_MS = 3600000 };

const struct pst_option pst_options_top[] = {
    PST_OPT(PIDS, struct pst_top_args, pids, 'p', "pid", "PID", "process to watch; several: 1,2"),
    {.kind = PST_OPTION_NUMBER,
     .letter = 'r',
     .name = "rate",
     .argument = "HZ",
     .offset = offsetof(struct pst_top_args, rate),
     .set_offset = SIZE_MAX,
     .min = 1,
     .max = 10000,
     .help = "samples per second (100)"},
    PST_OPT(DURATION, struct pst_top_args, delay_ns, 0, "delay", "DURATION",
            "length of an interval, after which the table changes (1.0)"),
    TOP_FLAG(subprocesses, 's', "subprocesses", "all descendants too, later ones included"),
    {.kind = PST_OPTION_STRING,
     .name = "mode",
     .argument = "MODE",
     .choices = "cpu|wall|gil",
     .offset = offsetof(struct pst_top_args, mode),
     .set_offset = SIZE_MAX,
     .help = "time on a CPU, time passed, or time holding the GIL"},
    TOP_FLAG(idle, 'i', "idle", "sleeping threads too: --mode wall"),
    TOP_FLAG(gil, 'g', "gil", "only threads that hold the GIL: --mode gil"),
    TOP_FLAG(full_filenames, 0, "full-filenames", "do not shorten file names"),
    TOP_FLAG(once, 0, "once", "print the table of one interval instead of taking the terminal"),
    TOP_FLAG(json, 'j', "json", "print it as JSON; with --once"),
    TOP_FLAG(class_names, 0, "class-names",
             "methods as CLASS.NAME on versions before 3.11 too, by the type of self or cls"),
    TOP_FLAG(native, 'n', "native",
             "frames of C, C++ and Cython too; stops each thread for a moment per sample"),
    {.kind = PST_OPTION_FLAG,
     .name = "nonblocking",
     .hidden = true,
     .offset = offsetof(struct pst_top_args, nonblocking),
     .set_offset = SIZE_MAX},
    PST_OPT_END,
};

static int fail(enum pst_exit code, const char *remedy, const char *text)
{
    return pst_whom_fail("top", code, remedy, text);
}

static int check(const struct pst_top_args *args, enum pst_mode *ret_mode)
{
    if (pst_whom_mode(args->mode, args->idle, args->gil, ret_mode) < 0)
        return fail(PST_EXIT_USAGE, "give one of --mode, --idle and --gil",
                    "two modes that differ");
    if (args->native && args->nonblocking)
        return fail(PST_EXIT_USAGE, NULL,
                    "--native has to stop the target: not with --nonblocking");
    if (args->delay_ns < SHORTEST_DELAY_MS * PST_NS_PER_MS ||
        args->delay_ns > LONGEST_DELAY_MS * PST_NS_PER_MS)
        return fail(PST_EXIT_USAGE, NULL, "--delay is outside 0.1 s to 1 h");
    if (args->json && !args->once)
        return fail(PST_EXIT_USAGE, "give --once --json", "--json is for one interval");
    if (!args->once && (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)))
        return fail(PST_EXIT_USAGE, "--once prints one table, --once --json for scripts",
                    "this is no terminal");
    return PST_EXIT_OK;
}

static bool command_of(const void *context, int64_t pid, struct pst_str *ret)
{
    enum { SHOWN = 300 };

    if (!pst_session_command(context, (pid_t)pid, ret))
        return false;
    ret->len = ret->len > SHOWN ? SHOWN : ret->len;
    ret->len = pst_utf8_valid_prefix(*ret);
    return ret->len > 0;
}

static int add_pids(struct pst_top_run *top, const struct pst_buf *sudo_line)
{
    for (size_t i = 0; i < top->args.pids.count; i++) {
        enum pst_verdict verdict = PST_V_OK;
        int status = pst_session_add(top->session, top->args.pids.items[i], &verdict);

        if (status < 0)
            return pst_whom_refuse("top", sudo_line, top->args.pids.items[i], status, verdict);
    }
    return PST_EXIT_OK;
}

/* Everything that can fail before the terminal is taken; the exit code. */
static int prepare(struct pst_top_run *top, const struct pst_buf *sudo_line)
{
    struct pst_session_options options = {
        .mode = top->mode,
        .more_modes = 1u << PST_MODE_CPU | 1u << PST_MODE_GIL,
        .hz = (double)top->args.rate,
        .subprocesses = top->args.subprocesses,
        .native = top->args.native,
        .class_names = top->args.class_names,
        .window_ns = top->args.delay_ns,
        .interval = pst_top_interval,
        .context = top,
    };

    top->session = pst_session_new(&options);
    top->packages = pst_packages_new(top->args.pids.items, top->args.pids.count);
    struct pst_frame_files files = {pst_packages_file, top->packages};
    if (top->session && top->packages)
        top->live = pst_live_new(top->args.full_filenames ? PST_FRAME_FULL_FILES : 0u, &files,
                                 command_of, top->session);
    if (!top->live)
        return fail(PST_EXIT_FAILED, NULL, "out of memory");
    return top->program_argv ? PST_EXIT_OK : add_pids(top, sudo_line);
}

static int start_program(struct pst_top_run *top)
{
    int status = pst_session_add_started(top->session, top->program.launch.pid);

    if (status == 0)
        status = pst_launch_go(&top->program.launch);
    top->program.held = false;
    return status;
}

/* The exit code; the terminal is as it was. */
static int show(struct pst_top_run *top)
{
    bool started;
    int status = 0;

    if (!top->args.once) {
        top->screen = pst_screen_new();
        if (!top->screen)
            return fail(PST_EXIT_USAGE, "--once prints one table",
                        "this terminal cannot be drawn on: is TERM right?");
    }
    if (top->program_argv)
        status = start_program(top);
    started = status == 0;
    if (started)
        status = pst_session_start(top->session);
    if (status == 0)
        top->args.once ? pst_top_once(top) : pst_top_watch(top);
    top->screen = pst_screen_free(top->screen);
    if (status == 0)
        return PST_EXIT_OK;
    return started ? fail(PST_EXIT_FAILED, NULL, "cannot start a thread")
                   : pst_whom_not_started("top", top->program_argv[0], status);
}

/* What came of it, said where it can be read. */
static int conclude(struct pst_top_run *top)
{
    struct pst_session_progress progress = pst_session_progress(top->session);

    if (progress.programs == 0)
        return fail(PST_EXIT_FAILED, NULL,
                    progress.refused != PST_V_OK ? pst_verdict_meaning(progress.refused)
                                                 : "no CPython process was seen");
    if (top->args.once && pst_top_print(top) < 0)
        return fail(PST_EXIT_FAILED, NULL, "the table cannot be printed");
    return PST_EXIT_OK;
}

static int top_all(struct pst_top_run *top, const struct pst_buf *sudo_line)
{
    int status = pst_record_signals(&top->program, top->program_argv != NULL), code;

    if (status == 0 && top->program_argv)
        status =
            pst_record_program_hold(&top->program, top->program_argv,
                                    top->args.once ? PST_CAPTURE_NOTHING : PST_CAPTURE_TERMINAL);
    if (status < 0)
        return fail(PST_EXIT_FAILED, NULL, strerror(-status));
    code = prepare(top, sudo_line);
    if (code == PST_EXIT_OK)
        code = show(top);
    if (code == PST_EXIT_OK)
        code = conclude(top);
    (void)fflush(stdout);
    pst_live_free(top->live);
    pst_packages_free(top->packages);
    pst_session_free(top->session);
    return pst_record_program_finish(&top->program, code);
}

int pst_cmd_top(int argc, char **argv)
{
    struct pst_top_run top = {.args = {.rate = 100, .delay_ns = PST_NS_PER_S}};
    struct pst_buf sudo_line;
    int rest, code;

    pst_buf_init(&sudo_line, PST_MAX_CMDLINE_BYTES);
    pst_whom_sudo_line(argc, argv, &sudo_line);
    pst_live_view_init(&top.view);
    code = pst_command_options("top", PST_OPTIONS_STOP_AT_WORD, argc, argv, &top.args, &rest);
    if (code < 0 && rest < argc && top.args.pids.count)
        code = fail(PST_EXIT_USAGE, NULL, "either --pid or a program, not both");
    if (code < 0 && rest == argc && !top.args.pids.count)
        code = pst_whom_ask("top");
    if (code < 0)
        code = check(&top.args, &top.mode) == PST_EXIT_OK ? -1 : PST_EXIT_USAGE;
    if (code < 0) {
        top.program_argv = rest < argc ? argv + rest : NULL;
        code = top_all(&top, &sudo_line);
    }
    pst_buf_done(&sudo_line);
    return code;
}
