/* `pystrobe doctor`: what this machine lets pystrobe do, one line per check with the remedy. */
#include <jansson.h>
#include <stdarg.h>

#include "base/buf.h"
#include "commands_internal.h"
#include "doctor.h"
#include "load.h"

struct doctor_args {
    struct pst_config_args config;
    struct pst_option_pids pids;
    bool ready, json;
};

const struct pst_option pst_options_doctor[] = {
    PST_OPTS_CONFIG(struct doctor_args, config),
    PST_OPT(PIDS, struct doctor_args, pids, 'p', "pid", "PID",
            "also read this process and walk its stacks"),
    PST_OPT_FLAG(struct doctor_args, ready, 0, "ready",
                 "only ask a running agent whether it is ready: exit 0 or 1"),
    PST_OPT_FLAG(struct doctor_args, json, 'j', "json", "print JSON"),
    PST_OPT_END,
};

static void print_row(const char *verdict, const char *name, const struct pst_buf *text,
                      const struct pst_buf *remedy)
{
    (void)printf("%-7s %-14s %s%s%s\n", verdict, name, text->data ? text->data : "",
                 remedy->len ? "; " : "", remedy->len ? remedy->data : "");
    (void)fflush(stdout); /* the next check may take its time */
}

void pst_report(struct pst_report *report, enum pst_check verdict, const char *name,
                const char *remedy, const char *format, ...)
{
    static const char *const words[] = {"ok", "note", "FAILED", "DENIED"};
    struct pst_buf line __attribute__((cleanup(pst_buf_done)));
    struct pst_buf advice __attribute__((cleanup(pst_buf_done)));
    char text[1024];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    report->failed |= verdict == PST_CHECK_FAILED;
    report->denied |= verdict == PST_CHECK_DENIED;
    pst_buf_init(&line, 16 * sizeof text);
    pst_buf_init(&advice, 16 * sizeof text);
    (void)pst_buf_escaped(&line, pst_str(text));
    (void)pst_buf_escaped(&advice, pst_str(remedy ? remedy : ""));
    if (!report->rows)
        print_row(words[verdict], name, &line, &advice);
    else
        (void)json_array_append_new(report->rows,
                                    json_pack("{s:s, s:s, s:s, s:s?}", "check", name, "verdict",
                                              words[verdict], "text", line.data ? line.data : "",
                                              "remedy", advice.len ? advice.data : NULL));
}

/* 0 or the exit code. */
static int print_rows(struct pst_report *report)
{
    bool printed =
        report->rows && json_dumpf(report->rows, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII) == 0;

    json_decref(report->rows);
    return printed && putchar('\n') != EOF ? 0 : PST_EXIT_FAILED;
}

static void check_all(struct pst_report *report, const struct doctor_args *args,
                      const struct pst_config *config)
{
    struct pst_rights rights;

    pst_report(report, PST_CHECK_OK, "configuration", NULL, "%s",
               args->config.file ? args->config.file : "no file: defaults and environment");
    for (size_t i = 0; i < config->warnings.count; i++)
        pst_report(report, PST_CHECK_NOTE, "configuration", NULL, "%s", config->warnings.items[i]);
    pst_rights_read(&rights);
    pst_rights_report(report, &rights);
    if (args->pids.count == 0)
        pst_doctor_targets(report, &rights);
    for (size_t i = 0; i < args->pids.count; i++)
        pst_doctor_target(report, &rights, args->pids.items[i]);
    pst_doctor_outside(report, config);
}

static int usage(const char *remedy, const char *why, const char *word)
{
    struct pst_error error;

    (void)pst_error_set(&error, PST_EXIT_USAGE, "doctor", remedy, "%s%.60s", why, word);
    pst_error_print(stderr, &error);
    return PST_EXIT_USAGE;
}

int pst_cmd_doctor(int argc, char **argv)
{
    struct doctor_args args = {0};
    struct pst_report report = {0};
    struct pst_config *config;
    int rest, code = pst_command_options("doctor", 0, argc, argv, &args, &rest);

    if (code >= 0)
        return code;
    if (rest < argc)
        return usage("pystrobe doctor --pid PID", "takes no words: ", argv[rest]);
    if (args.ready && args.json)
        return usage("its exit code says it", "--ready is one line: not with --json", "");
    code = pst_command_config(&args.config, &config);
    if (code != PST_EXIT_OK)
        return code;
    if (args.ready) {
        code = pst_doctor_ready(config);
        (void)pst_config_unref(config);
        return code;
    }
    report.rows = args.json ? json_array() : NULL;
    check_all(&report, &args, config);
    (void)pst_config_unref(config);
    if (args.json && print_rows(&report) != 0)
        return PST_EXIT_FAILED;
    return report.denied ? PST_EXIT_DENIED : report.failed ? PST_EXIT_FAILED : PST_EXIT_OK;
}
