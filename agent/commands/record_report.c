/* The end of a recording: is there anything, where does it go, what is to be said of it. */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "record.h"
#include "record_name.h"
#include "session/packages.h"
#include "whom.h"

static bool on_terminal(const struct pst_record *record)
{
    return !record->args.quiet && isatty(STDERR_FILENO);
}

/* A file name as one piece of one line, whatever is in it. */
static void say_path(const struct pst_record *record)
{
    struct pst_buf name;

    pst_buf_init(&name, PST_MAX_CMDLINE_BYTES);
    (void)pst_buf_escaped(&name, pst_str(record->output.path));
    (void)fputs(name.data ? name.data : "", stderr);
    pst_buf_done(&name);
}

void pst_record_say_start(const struct pst_record *record)
{
    if (!on_terminal(record))
        return;
    (void)fprintf(stderr, "recording at %" PRIu64 " Hz", record->args.files.rate);
    if (record->args.has_duration)
        (void)fprintf(stderr, " for %.4g s; Ctrl-C ends it sooner",
                      (double)record->args.duration_ns / (double)PST_NS_PER_S);
    else
        (void)fprintf(stderr, "; %s",
                      record->program_argv ? "it ends with the program" : "Ctrl-C ends it");
    (void)fputs(" and writes ", stderr);
    say_path(record);
    (void)fputc('\n', stderr);
}

/* The same words while it runs and at the end. */
static void say_counts(uint64_t samples, double hz, uint64_t torn, uint64_t failed)
{
    (void)fprintf(stderr, "%" PRIu64 " samples, achieved %.4g Hz, %" PRIu64 " torn", samples, hz,
                  torn);
    if (failed > 0)
        (void)fprintf(stderr, ", %" PRIu64 " unreadable", failed);
}

void pst_record_say_progress(struct pst_record *record, uint64_t elapsed_ns)
{
    if (elapsed_ns - record->shown_ns < PST_NS_PER_S || record->args.hide_progress ||
        !on_terminal(record) || record->program_argv)
        return;
    struct pst_session_progress now = pst_session_progress(record->session);

    record->shown_ns = elapsed_ns;
    (void)fprintf(stderr, "\r%.0f s: ", (double)elapsed_ns / (double)PST_NS_PER_S);
    say_counts(now.samples, now.achieved_hz, now.torn, now.failed);
    (void)fputs("   ", stderr); /* over the rest of a longer line */
}

/* --- what there is --- */

/* Every sample stands under a bracket that says why it could not be read. */
static bool only_failures(const struct pst_profile *profile)
{
    struct pst_profile_sample sample;
    bool some = false;

    for (uint32_t i = 0; i < pst_profile_sample_count(profile); i++) {
        uint32_t function;
        int64_t line;

        pst_profile_sample(profile, i, &sample);
        if (sample.samples == 0)
            continue;
        pst_profile_location_at(profile, sample.locations[0], &function, &line);
        struct pst_str name =
            pst_profile_text(profile, pst_profile_function_at(profile, function)->name);
        if (!pst_str_eq(name, PST_STR("[torn]")) && !pst_str_eq(name, PST_STR("[unreadable]")))
            return false;
        some = true;
    }
    return some;
}

static const struct pst_profile *written(const struct pst_record *record)
{
    return record->wanted ? record->wanted : record->result.profile;
}

static int64_t samples_in(const struct pst_profile *profile)
{
    int64_t samples, value_ns;

    pst_profile_total(profile, &samples, &value_ns);
    return samples;
}

static int64_t samples_of(const struct pst_record *record)
{
    return samples_in(record->result.profile);
}

/* Why nothing could be read; NULL when there is no such reason. */
static const char *failure(const struct pst_record *record)
{
    const struct pst_session_result *result = &record->result;

    if (result->gil_of_free_threaded)
        return "this free-threaded Python runs without a GIL: use --mode cpu or --mode wall";
    if (result->runtimes == 0)
        return result->unrecorded ? "only descendants run CPython: add -s"
                                  : "no CPython process was seen";
    if (result->stalled && samples_of(record) == 0)
        return pst_verdict_meaning(PST_V_STALLED);
    if (result->ticks == 0 && result->verdict != PST_V_OK && result->verdict != PST_V_NOT_READY)
        return pst_verdict_meaning(result->verdict);
    bool tried = result->torn + result->failed > 0;
    if ((samples_of(record) == 0 && tried && result->failed + result->torn >= result->ticks) ||
        only_failures(result->profile))
        return pst_verdict_meaning(result->failure);
    return NULL;
}

static void nothing_sampled(const struct pst_record *record, char *text, size_t size)
{
    const char *what = record->mode == PST_MODE_CPU   ? "a running thread"
                       : record->mode == PST_MODE_GIL ? "a thread holding the GIL"
                                                      : "a thread of Python";

    if (record->result.ticks == 0) {
        (void)snprintf(text, size, "0 samples: %s before one was due",
                       record->ended ? "it ended"
                       : pst_session_progress(record->session).processes == 0
                           ? "its Python had ended"
                           : "the recording ended");
        return;
    }
    if (samples_of(record) > 0) {
        (void)snprintf(text, size,
                       "0 of %" PRId64 " samples are of the threads and stacks asked for",
                       samples_of(record));
        return;
    }
    (void)snprintf(text, size, "0 of %" PRIu64 " samples had %s", record->result.ticks, what);
    int64_t samples, used_ns;
    pst_profile_total(record->result.profile, &samples, &used_ns);
    /* [cpu not observed]: it ran between the looks, and waited for a CPU or slept at each. */
    if (record->mode == PST_MODE_CPU && (uint64_t)used_ns > record->elapsed_ns / 50) {
        (void)snprintf(text + strlen(text), size - strlen(text),
                       "; it used %.2g s of CPU between them: try a higher --rate, or --idle",
                       (double)used_ns / (double)PST_NS_PER_S);
        return;
    }
    if (record->args.pids.count == 1 && pst_whom_stopped(record->args.pids.items[0]))
        (void)snprintf(text + strlen(text), size - strlen(text),
                       "; the process is stopped by a signal");
    else if (record->mode != PST_MODE_WALL)
        (void)snprintf(text + strlen(text), size - strlen(text),
                       "; the process was idle: try --idle");
}

/* --- what is written and said --- */

static void make_title(const struct pst_record *record, struct pst_buf *title)
{
    struct pst_str command;
    pid_t pid = record->program_argv ? record->program.launch.pid : record->args.pids.items[0];

    (void)pst_buf_printf(title, "pystrobe · %s", pst_mode_word(record->mode));
    if (record->args.pids.count > 1)
        (void)pst_buf_printf(title, " · %zu processes", record->args.pids.count);
    else if (pst_session_command(record->session, pid, &command) && command.len > 0)
        (void)pst_buf_printf(title, " · %.*s", (int)(command.len < 200 ? command.len : 200),
                             command.ptr);
}

/* Long ones are cut: a root frame is a title, not a log. */
static bool command_of(const void *context, int64_t pid, struct pst_str *ret)
{
    enum { SHOWN = 200 };

    if (!pst_session_command(context, (pid_t)pid, ret))
        return false;
    ret->len = ret->len > SHOWN ? SHOWN : ret->len;
    return ret->len > 0;
}

static int64_t parent_of(const void *context, int64_t pid)
{
    return pst_session_parent(context, (pid_t)pid);
}

static int write_file(struct pst_record *record, const char *subtitle, struct pst_error *error)
{
    const struct pst_option_pids *pids = &record->args.pids;
    struct pst_packages *packages = pst_packages_new(pids->items, pids->count);
    struct pst_file_args files = record->args.files;
    struct pst_buf title;
    int status;

    pst_buf_init(&title, 4096);
    make_title(record, &title);
    files.title = title.data;
    files.subtitle = subtitle;
    files.processes = record->args.subprocesses || record->args.pids.count > 1;
    files.apart = !files.processes;
    files.files = (struct pst_frame_files){pst_packages_file, packages};
    files.command = command_of;
    files.parent = parent_of;
    files.command_context = record->session;
    if (!record->program_argv && !record->output.temporary)
        pst_record_signals_release();
    status = pst_files_write(&files, record->format, written(record), record->old, &record->output,
                             error);
    pst_buf_done(&title);
    pst_packages_free(packages);
    return status;
}

static void say_missing(const struct pst_native_stats *stats, enum pst_native_outcome outcome)
{
    if (stats->outcomes[outcome] == 0)
        return;
    (void)fprintf(stderr, "%" PRIu64 " samples without native frames: %s", stats->outcomes[outcome],
                  pst_native_outcome_meaning(outcome));
    if (outcome == PST_NATIVE_TRACED)
        (void)fprintf(stderr, ": %s", stats->tracer);
    (void)fputc('\n', stderr);
}

/* What stopping cost the program, and whose native frames are missing. */
static void say_native(const struct pst_native_stats *stats)
{
    if (stats->stops > 0)
        (void)fprintf(stderr,
                      "stopped threads %" PRIu64 " times: median %.0f µs running, %.0f µs "
                      "sleeping, longest %.1f ms\n",
                      stats->stops, (double)stats->running_ns / 1e3,
                      (double)stats->sleeping_ns / 1e3, (double)stats->longest_ns / 1e6);
    for (int i = PST_NATIVE_OK + 1; i < PST_NATIVE_OUTCOME_COUNT; i++)
        if (i != PST_NATIVE_GONE)
            say_missing(stats, (enum pst_native_outcome)i);
}

static void say_end(const struct pst_record *record, const char *nothing)
{
    const struct pst_session_result *result = &record->result;

    if (record->args.quiet)
        return;
    if (on_terminal(record) && record->shown_ns)
        (void)fputc('\n', stderr);
    (void)fputs("wrote ", stderr);
    say_path(record);
    (void)fputs(": ", stderr);
    say_counts((uint64_t)samples_in(written(record)), result->achieved_hz, result->torn,
               result->failed);
    (void)fprintf(stderr, ", %s\n", pst_record_how_to_open(record->format));
    if (nothing)
        (void)fprintf(stderr, "%s\n", nothing);
    if (record->args.native)
        say_native(&result->native);
    if (result->unrecorded > 0)
        (void)fprintf(stderr, "%zu Python child process%s not recorded: add -s\n",
                      result->unrecorded, result->unrecorded == 1 ? " was" : "es were");
    if (result->lost > 0)
        (void)fprintf(stderr,
                      "%" PRIu64 " parts did not fit into the profile: record for less "
                      "long\n",
                      result->lost);
    if (result->stalled)
        (void)fprintf(stderr, "ended early: %s\n", pst_verdict_meaning(PST_V_STALLED));
}

int pst_record_finish(struct pst_record *record)
{
    const char *why = failure(record);
    char nothing[160] = "", text[512];
    struct pst_error error;

    if (why) {
        (void)snprintf(text, sizeof(text), "nothing was recorded: %s", why);
        return pst_whom_fail("record",
                             record->result.gil_of_free_threaded ? PST_EXIT_USAGE : PST_EXIT_FAILED,
                             NULL, text);
    }
    if (pst_files_filter(&record->args.files, record->result.profile, &record->wanted, &error) <
        0) {
        pst_error_print(stderr, &error);
        return error.code;
    }
    if (samples_in(written(record)) == 0)
        nothing_sampled(record, nothing, sizeof(nothing));
    if (write_file(record, nothing[0] ? nothing : NULL, &error) < 0) {
        pst_error_print(stderr, &error);
        return error.code;
    }
    say_end(record, nothing[0] ? nothing : NULL);
    if (record->old && !record->args.quiet)
        (void)pst_files_print_changes(record->old, written(record), stderr);
    return PST_EXIT_OK;
}
