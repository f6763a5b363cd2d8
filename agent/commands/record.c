/* `pystrobe record`: one recording to one file. Decides what was asked for, runs the session, says
 * what came of it. */
#include "record.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "commands_internal.h"
#include "record_name.h"
#include "scan/scan.h"
#include "whom.h"

#define RECORD_FLAG(field, letter, name, help)                                                     \
    PST_OPT_FLAG(struct pst_record_args, field, letter, name, help)

const struct pst_option pst_options_record[] = {
    PST_OPT(PIDS, struct pst_record_args, pids, 'p', "pid", "PID",
            "process to record; several: 1,2"),
    {.kind = PST_OPTION_DURATION,
     .letter = 'd',
     .name = "duration",
     .argument = "DURATION",
     .offset = offsetof(struct pst_record_args, duration_ns),
     .set_offset = offsetof(struct pst_record_args, has_duration),
     .max = UINT64_MAX,
     .help = "end after this long: 30, 30s, 2m, 0.5; without it, or unlimited, Ctrl-C ends"},
    {.kind = PST_OPTION_NUMBER,
     .letter = 'r',
     .name = "rate",
     .argument = "HZ",
     .offset = offsetof(struct pst_record_args, files.rate),
     .set_offset = SIZE_MAX,
     .min = 1,
     .max = 10000,
     .help = "samples per second (100)"},
    PST_OPT(PATH, struct pst_record_args, files.output, 'o', "output", "FILE",
            "file to write; - is standard output (PROGRAM-PID-TIME in the current folder)"),
    PST_OPT(STRING, struct pst_record_args, files.format, 'f', "format", "FORMAT",
            "flamegraph, html, speedscope, chrometrace, raw, pprof or otlp; without it the file's "
            "ending decides"),
    RECORD_FLAG(subprocesses, 's', "subprocesses", "all descendants too, later ones included"),
    {.kind = PST_OPTION_STRING,
     .name = "mode",
     .argument = "MODE",
     .choices = "cpu|wall|gil",
     .offset = offsetof(struct pst_record_args, files.mode),
     .set_offset = SIZE_MAX,
     .help = "time on a CPU, time passed, or time holding the GIL"},
    RECORD_FLAG(idle, 'i', "idle", "sleeping threads too: --mode wall"),
    RECORD_FLAG(gil, 'g', "gil", "only threads that hold the GIL: --mode gil"),
    PST_OPTS_FILTER(struct pst_record_args, files),
    PST_OPT(PATH, struct pst_record_args, diff, 0, "diff", "OLD",
            "draw what changed since this recording, and print the largest changes"),
    RECORD_FLAG(files.threads, 't', "threads", "a root frame for each thread"),
    RECORD_FLAG(files.functions, 'F', "function",
                "first line of the function instead of the current one"),
    RECORD_FLAG(files.no_lines, 0, "nolineno", "no line numbers in frames"),
    RECORD_FLAG(class_names, 0, "class-names",
                "methods as CLASS.NAME on versions before 3.11 too, by the type of self or cls"),
    RECORD_FLAG(files.full_filenames, 0, "full-filenames", "do not shorten file names"),
    RECORD_FLAG(files.flame, 0, "flame", "root at the bottom instead of the top"),
    {.kind = PST_OPTION_STRING,
     .name = "weights",
     .argument = "WHAT",
     .choices = "samples|time",
     .offset = offsetof(struct pst_record_args, files.weights),
     .set_offset = SIZE_MAX,
     .help = "what widths and raw numbers are: raw counts samples unless told, drawings time"},
    RECORD_FLAG(quiet, 'q', "quiet", "print errors only"),
    {.kind = PST_OPTION_FLAG,
     .name = "nonblocking",
     .hidden = true,
     .offset = offsetof(struct pst_record_args, nonblocking),
     .set_offset = SIZE_MAX},
    {.kind = PST_OPTION_FLAG,
     .letter = 'n',
     .name = "native",
     .help = "frames of C, C++ and Cython too; stops each thread for a moment per sample",
     .offset = offsetof(struct pst_record_args, native),
     .set_offset = SIZE_MAX},
    {.kind = PST_OPTION_FLAG,
     .name = "capture",
     .hidden = true,
     .offset = offsetof(struct pst_record_args, capture),
     .set_offset = SIZE_MAX},
    {.kind = PST_OPTION_FLAG,
     .name = "hideprogress",
     .hidden = true,
     .offset = offsetof(struct pst_record_args, hide_progress),
     .set_offset = SIZE_MAX},
    PST_OPT_END,
};

/* --- what was asked for --- */

static int check(const struct pst_record_args *args, enum pst_mode *ret_mode,
                 enum pst_format *ret_format)
{
    struct pst_file_args files = args->files;
    struct pst_profile *none;
    struct pst_error error;

    if (args->native && args->nonblocking)
        return pst_whom_fail("record", PST_EXIT_USAGE, NULL,
                             "--native has to stop the target: not with --nonblocking");
    if (pst_whom_mode(args->files.mode, args->idle, args->gil, ret_mode) < 0)
        return pst_whom_fail("record", PST_EXIT_USAGE, "give one of --mode, --idle and --gil",
                             "two modes that differ");
    if (args->has_duration && args->duration_ns == 0)
        return pst_whom_fail("record", PST_EXIT_USAGE, "without --duration, Ctrl-C ends",
                             "a recording of no duration");
    if (!files.output || strcmp(files.output, "-") == 0)
        files.output = "profile.svg"; /* no ending: a flamegraph */
    if (pst_files_format(&files, ret_format, &error) < 0 ||
        pst_files_filter(&files, NULL, &none, &error) < 0 ||
        (args->diff && pst_files_check_difference(*ret_format, &error) < 0)) {
        pst_error_print(stderr, &error);
        return error.code;
    }
    return PST_EXIT_OK;
}

/* What --diff compares with is read before anything starts. */
static int read_old(struct pst_record *record)
{
    char *path = (char *)record->args.diff;
    struct pst_file_args files = record->args.files;
    struct pst_error error;
    int rc;

    if (!path)
        return PST_EXIT_OK;
    files.mode = pst_mode_word(record->mode);
    rc = pst_files_read(&files, &path, 1, &record->old, &error);
    if (rc == 0 && pst_profile_meta(record->old).mode != record->mode)
        rc = pst_error_set(&error, PST_EXIT_USAGE, path, "give the --mode of that recording",
                           "holds %s time, this recording %s time",
                           pst_mode_word(pst_profile_meta(record->old).mode),
                           pst_mode_word(record->mode));
    if (rc == 0)
        return PST_EXIT_OK;
    pst_error_print(stderr, &error);
    return error.code;
}

/* --- processes that are there already --- */

static int add_pids(struct pst_record *record)
{
    const struct pst_option_pids *pids = &record->args.pids;

    for (size_t i = 0; i < pids->count; i++) {
        enum pst_verdict verdict = PST_V_OK;
        int status = pst_session_add(record->session, pids->items[i], &verdict);

        if (status < 0)
            return pst_whom_refuse("record", &record->sudo_line, pids->items[i], status, verdict);
    }
    return PST_EXIT_OK;
}

/* --- running --- */

/* The program's own name: argv[0] of what is started or runs. */
static struct pst_str program_name(const struct pst_record *record, struct pst_buf *text)
{
    const struct pst_facts *facts;
    struct pst_scan_options options = {0};
    struct pst_str name = PST_STR("");

    if (record->program_argv)
        return pst_str(record->program_argv[0]);
    struct pst_scan *scan = pst_scan_new(&options);
    if (scan && pst_scan_one(scan, record->args.pids.items[0], &facts) == 0 &&
        pst_facts_arg(facts, 0, &name) && pst_buf_str(text, name) == 0)
        name = pst_buf_view(text);
    pst_scan_free(scan);
    return name;
}

static int open_output(struct pst_record *record)
{
    struct pst_error error;
    struct pst_buf text;
    char *path;

    if (record->args.files.output) {
        path = strdup(record->args.files.output);
    } else {
        pst_buf_init(&text, PST_MAX_CMDLINE_BYTES);
        pid_t pid = record->program_argv ? record->program.launch.pid : record->args.pids.items[0];
        path = pst_record_name(program_name(record, &text), pid,
                               (int64_t)(pst_clock_realtime_ns() / PST_NS_PER_S), record->format);
        pst_buf_done(&text);
    }
    if (pst_output_open(path, &record->output, &error) == 0)
        return PST_EXIT_OK;
    pst_error_print(stderr, &error);
    return PST_EXIT_FAILED;
}

static int start_program(struct pst_record *record)
{
    int status = pst_session_add_started(record->session, record->program.launch.pid);

    if (status == 0)
        status = pst_launch_go(&record->program.launch);
    record->program.held = false;
    return status == 0 ? PST_EXIT_OK
                       : pst_whom_not_started("record", record->program_argv[0], status);
}

static void run(struct pst_record *record)
{
    enum { STEP_MS = 50 };
    uint64_t begin = pst_clock_monotonic_ns(), now = begin;
    uint64_t end = record->args.has_duration ? begin + record->args.duration_ns : UINT64_MAX;
    bool going = true;

    pst_record_say_start(record);
    while (going && now < end && !pst_record_interrupted(&record->program)) {
        uint64_t left_ms = (end - now) / PST_NS_PER_MS + 1;

        going = pst_session_step(record->session, left_ms < STEP_MS ? (int)left_ms : STEP_MS);
        pst_record_signals_take(&record->program, 0);
        now = pst_clock_monotonic_ns();
        pst_record_say_progress(record, now - begin);
    }
    record->ended = !going;
    pst_session_stop(record->session);
    record->elapsed_ns = pst_clock_monotonic_ns() - begin;
    pst_session_result(record->session, &record->result);
}

/* Everything between the options and the program's end. */
static int sample(struct pst_record *record)
{
    struct pst_session_options options = {
        .mode = record->mode,
        .hz = (double)record->args.files.rate,
        .subprocesses = record->args.subprocesses,
        .times =
            record->format == PST_FORMAT_SPEEDSCOPE || record->format == PST_FORMAT_CHROMETRACE,
        .native = record->args.native,
        .class_names = record->args.class_names,
    };
    struct rlimit files;
    int code;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) { /* some descriptors for each target */
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    record->session = pst_session_new(&options);
    if (!record->session)
        return pst_whom_fail("record", PST_EXIT_FAILED, NULL, "out of memory");
    code = record->program_argv ? PST_EXIT_OK : add_pids(record);
    if (code == PST_EXIT_OK)
        code = open_output(record);
    if (code == PST_EXIT_OK && record->program_argv)
        code = start_program(record);
    if (code != PST_EXIT_OK)
        return code;
    if (pst_session_start(record->session) < 0)
        return pst_whom_fail("record", PST_EXIT_FAILED, NULL, "cannot start a thread");
    run(record);
    return pst_record_finish(record);
}

static int record_all(struct pst_record *record)
{
    int status = pst_record_signals(&record->program, record->program_argv != NULL);

    if (status == 0 && record->program_argv)
        status = pst_record_program_hold(&record->program, record->program_argv,
                                         record->args.capture ? PST_CAPTURE_OUTPUT
                                                              : PST_CAPTURE_NOTHING);
    if (status < 0)
        return pst_whom_fail("record", PST_EXIT_FAILED, NULL, strerror(-status));
    int code = sample(record);
    pst_output_done(&record->output);
    pst_session_free(record->session);
    return pst_record_program_finish(&record->program, code);
}

int pst_cmd_record(int argc, char **argv)
{
    struct pst_record record = {.args.files.rate = 100, .output.fd = -1};
    int rest, code;

    pst_buf_init(&record.sudo_line, PST_MAX_CMDLINE_BYTES);
    pst_whom_sudo_line(argc, argv, &record.sudo_line);
    code = pst_command_options("record", PST_OPTIONS_STOP_AT_WORD, argc, argv, &record.args, &rest);
    if (record.args.duration_ns == UINT64_MAX)
        record.args.has_duration = false;
    if (code < 0)
        code =
            check(&record.args, &record.mode, &record.format) == PST_EXIT_OK ? -1 : PST_EXIT_USAGE;
    if (code < 0 && rest < argc && record.args.pids.count)
        code = pst_whom_fail("record", PST_EXIT_USAGE, NULL, "either --pid or a program, not both");
    if (code < 0 && rest == argc && !record.args.pids.count)
        code = pst_whom_ask("record");
    if (code < 0) {
        record.program_argv = rest < argc ? argv + rest : NULL;
        code = read_old(&record);
        code = code == PST_EXIT_OK ? record_all(&record) : code;
    }
    pst_profile_free(record.old);
    pst_profile_free(record.wanted);
    pst_buf_done(&record.sudo_line);
    return code;
}
