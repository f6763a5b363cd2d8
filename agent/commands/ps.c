/* `pystrobe ps`: one scan in this process, each runtime tried by attaching to it, printed as a
 * table, as JSON, or at length for one process. Reads targets only; needs no agent. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/limits.h"
#include "commands_internal.h"
#include "load.h"
#include "ps.h"
#include "python/python.h"
#include "scan/scan.h"
#include "target/procfs.h"
#include "target/rights.h"

struct ps_args {
    struct pst_config_args config;
    bool json;
    struct pst_option_pids why;
};

const struct pst_option pst_options_ps[] = {
    PST_OPTS_CONFIG(struct ps_args, config),
    PST_OPT_FLAG(struct ps_args, json, 0, "json", "print JSON"),
    PST_OPT(PIDS, struct ps_args, why, 0, "why", "PID",
            "say of one process what was found, what its labels are, and why"),
    PST_OPT_END,
};

static const uint64_t metadata_wait_ns = 3 * PST_NS_PER_S;

/* --- attaching --- */

static enum pst_verdict attach(const struct pst_facts *facts, struct pst_procref *ref,
                               struct pst_memory **memory, struct pst_python **python)
{
    if (pst_procref_open(facts->pid, ref) < 0 || ref->start_ticks != facts->start_ticks)
        return PST_V_GONE;
    *memory = pst_memory_new(ref);
    return *memory ? pst_python_attach(*memory, &facts->runtime, python) : PST_V_NO_MEMORY;
}

static void detach(struct pst_procref *ref, struct pst_memory *memory, struct pst_python *python)
{
    pst_python_free(python);
    pst_memory_free(memory);
    pst_procref_done(ref);
}

static enum pst_verdict try_attach(const struct pst_facts *facts, bool *ret_jit)
{
    struct pst_procref ref = {.pidfd = -1};
    struct pst_memory *memory = NULL;
    struct pst_python *python = NULL;
    struct pst_py_sample sample;

    enum pst_verdict verdict = attach(facts, &ref, &memory, &python);
    *ret_jit = verdict == PST_V_OK && pst_python_may_jit(python) &&
               pst_python_sample(python, NULL, NULL, &sample) == PST_V_OK && pst_python_jit(python);
    detach(&ref, memory, python);
    return verdict;
}

static int interpreter_environ(void *context, const struct pst_facts *facts, const char *name,
                               char *dst, size_t size)
{
    struct pst_procref ref = {.pidfd = -1};
    struct pst_memory *memory = NULL;
    struct pst_python *python = NULL;
    int status = -EIO;

    if (attach(facts, &ref, &memory, &python) == PST_V_OK)
        status = pst_python_environ(python, name, dst, size);
    detach(&ref, memory, python);
    return status;
}

static int interpreter_arguments(void *context, const struct pst_facts *facts, struct pst_buf *out)
{
    struct pst_procref ref = {.pidfd = -1};
    struct pst_memory *memory = NULL;
    struct pst_python *python = NULL;
    int status = -EIO;

    if (attach(facts, &ref, &memory, &python) == PST_V_OK)
        status = pst_python_arguments(python, out);
    detach(&ref, memory, python);
    return status;
}

/* --- rows --- */

static const struct pst_facts *find(void *context, uint64_t id)
{
    return pst_scan_get(context, id);
}

/* What the rows are made with. */
struct look {
    struct pst_scan *scan;
    struct pst_config *config;
    struct pst_rules *rules;
    struct pst_metadata *metadata;
    uint64_t until_ns; /* no longer is waited for what engines say */
};

static void judge(const struct look *look, struct pst_ps_row *row)
{
    const char *skipped = row->naming.dropped;

    if (!skipped)
        skipped = pst_naming_resting(look->config, row->facts, pst_clock_realtime_ns());
    if (skipped && row->facts->state == PST_TARGET_READY &&
        strcmp(row->state, pst_target_state_word(PST_TARGET_FAILED)) != 0) {
        row->state = "skipped";
        row->reason = skipped;
    }
}

static int row_make(const struct look *look, const struct pst_facts *facts, struct pst_ps_row *row)
{
    struct pst_engines engines;
    struct pst_label_lookup lookup = {find, look->scan, &engines};

    *row = (struct pst_ps_row){
        .facts = facts, .state = pst_target_state_word(facts->state), .reason = facts->reason.ptr};
    if (facts->state == PST_TARGET_READY) {
        enum pst_verdict verdict = try_attach(facts, &row->jit);
        row->reason = pst_verdict_word(verdict);
        if (verdict == PST_V_NOT_READY)
            row->state = pst_target_state_word(PST_TARGET_STARTING);
        else if (verdict != PST_V_OK)
            row->state = pst_target_state_word(PST_TARGET_FAILED);
    }
    pst_metadata_settle(look->metadata, facts, look->until_ns);
    (void)pst_metadata_get(look->metadata, facts, &engines);
    int status = pst_naming_make(look->config, look->rules, facts, &lookup, &row->naming);
    pst_engines_done(&engines);
    if (status == 0)
        judge(look, row);
    return status;
}

struct pst_str pst_ps_service(const struct pst_ps_row *row)
{
    return row->naming.after ? pst_labels_get(row->naming.after, "service_name")
                             : pst_meta_get(row->naming.before, "service_name");
}

const char *pst_ps_meaning(const char *word)
{
    static const struct {
        const char *word, *meaning;
    } skipped[] = {
#define PST_SKIP(id, word, meaning) {word, meaning},
#include "pipeline/skips.def"
#undef PST_SKIP
    };

    for (size_t i = 0; i < PST_ARRAY_SIZE(skipped); i++)
        if (strcmp(skipped[i].word, word) == 0)
            return skipped[i].meaning;
    for (int i = 0; i < PST_VERDICT_COUNT; i++) {
        if (strcmp(pst_verdict_word((enum pst_verdict)i), word) == 0)
            return pst_verdict_meaning((enum pst_verdict)i);
    }
    return "";
}

void pst_ps_build(const struct pst_ps_row *row, char *dst, size_t size)
{
    const struct pst_facts *facts = row->facts;
    char version[32];

    (void)snprintf(dst, size, "%s%s%s%s%s", pst_build_word(facts->build), row->jit ? ",JIT" : "",
                   facts->runtime.free_threaded ? ",free-threaded" : "",
                   facts->debug_build ? ",debug" : "",
                   pst_python_version_verified(&facts->runtime) ? "" : ",unverified");
    if (facts->second.hexversion)
        (void)snprintf(dst + strlen(dst), size - strlen(dst), ",and %s",
                       pst_version_text(facts->second.hexversion, version, sizeof(version)));
}

void pst_ps_put(struct pst_buf *out, struct pst_str text)
{
    if (text.len == 0)
        (void)pst_buf_puts(out, "-");
    else
        (void)pst_buf_escaped(out, text);
}

static void pad(struct pst_buf *out, size_t from, size_t width)
{
    do
        (void)pst_buf_puts(out, " ");
    while (out->len < from + width);
}

/* --- the table --- */

static void print_row(const struct pst_ps_row *row, size_t service_width)
{
    enum { ID_SHOWN = 12 };
    struct pst_buf out __attribute__((cleanup(pst_buf_done)));
    struct pst_str container = row->facts->container_id;
    char version[32], build[64];

    pst_buf_init(&out, PST_MAX_PROC_TEXT_BYTES);
    pst_ps_build(row, build, sizeof(build));
    (void)pst_buf_printf(&out, "%-8d %-10s %-10s ", (int)row->facts->pid,
                         pst_version_text(row->facts->runtime.hexversion, version, sizeof(version)),
                         build);
    size_t from = out.len;
    pst_ps_put(&out, pst_ps_service(row));
    pad(&out, from, service_width + 1);
    from = out.len;
    if (container.len > ID_SHOWN)
        container.len = ID_SHOWN;
    pst_ps_put(&out, container);
    pad(&out, from, ID_SHOWN + 1);
    (void)pst_buf_printf(&out, "%-9s %s\n", row->state, row->reason);
    (void)fwrite(out.data, 1, out.len, stdout);
}

static void print_table(const struct pst_ps_row *rows, size_t count)
{
    enum { WIDEST = 40 };
    size_t width = sizeof("SERVICE") - 1;

    for (size_t i = 0; i < count; i++) {
        size_t len = pst_ps_service(&rows[i]).len;
        width = len > width ? len : width;
    }
    width = width > WIDEST ? WIDEST : width;
    (void)printf("%-8s %-10s %-10s %-*s %-12s %-9s %s\n", "PID", "PYTHON", "BUILD", (int)width,
                 "SERVICE", "CONTAINER", "STATE", "REASON");
    for (size_t i = 0; i < count; i++)
        print_row(&rows[i], width);
}

/* --- failures --- */

static int denied(pid_t pid)
{
    char where[32], state[256];
    struct pst_error error;
    struct pst_refusal refusal;
    struct pst_rights rights;

    (void)snprintf(where, sizeof(where), pid ? "ps: process %d" : "ps", (int)pid);
    if (pid) {
        pst_rights_refusal("process_vm_readv", pid, &refusal);
        (void)pst_error_set(&error, PST_EXIT_DENIED, where, refusal.remedy, "%s", refusal.why);
    } else {
        pst_rights_read(&rights);
        pst_rights_state(&rights, state, sizeof(state));
        (void)pst_error_set(&error, PST_EXIT_DENIED, where,
                            "run as root, or give the binary CAP_SYS_PTRACE",
                            "process_vm_readv of every Python process is refused (%s)", state);
    }
    pst_error_print(stderr, &error);
    return PST_EXIT_DENIED;
}

static int failed(pid_t pid, const char *text)
{
    char where[32];
    struct pst_error error;

    (void)snprintf(where, sizeof(where), "ps: process %d", (int)pid);
    (void)pst_error_set(&error, PST_EXIT_FAILED, where, NULL, "%s", text);
    pst_error_print(stderr, &error);
    return PST_EXIT_FAILED;
}

/* --- the command --- */

static int why(const struct look *look, const struct ps_args *args)
{
    const struct pst_facts *facts;
    pid_t pid = args->why.items[0];
    struct pst_ps_row row;

    /* The whole table first: a worker is named by its parent. */
    (void)pst_scan_run(look->scan);
    int status = pst_scan_one(look->scan, pid, &facts);
    if (status == -EPERM)
        return denied(pid);
    if (status == -ENOENT) {
        const char *other = pst_scan_other(pid);
        char text[80] = "no file that it maps carries a CPython runtime";
        if (other)
            (void)snprintf(text, sizeof(text), "it runs %s: %s is not CPython", other, other);
        return failed(pid, text);
    }
    if (status < 0)
        return failed(pid, status == -ESRCH ? "there is no such process" : strerror(-status));
    if (row_make(look, facts, &row) < 0)
        return failed(pid, "out of memory");
    int code = PST_EXIT_OK;
    if (args->json)
        code = pst_ps_print_json(&row, 1, false);
    else
        pst_ps_print_why(&row);
    if (strcmp(row.reason, pst_verdict_word(PST_V_DENIED)) == 0)
        code = denied(pid);
    pst_naming_done(&row.naming);
    return code;
}

static int by_pid(const void *a, const void *b)
{
    pid_t x = ((const struct pst_ps_row *)a)->facts->pid,
          y = ((const struct pst_ps_row *)b)->facts->pid;

    return (x > y) - (x < y);
}

static int all(const struct look *look, const struct ps_args *args)
{
    const struct pst_facts *facts;
    struct pst_scan_stats stats;
    struct pst_rights rights;
    size_t cursor = 0, count = 0, refused = 0;
    int code = PST_EXIT_OK;

    int status = pst_scan_run(look->scan);
    pst_autofree struct pst_ps_row *rows = calloc(pst_scan_count(look->scan) + 1, sizeof(*rows));
    if (status < 0 || !rows)
        return failed(getpid(), status < 0 ? "/proc cannot be listed" : "out of memory");
    while (pst_scan_next(look->scan, &cursor, &facts)) {
        if (row_make(look, facts, &rows[count]) < 0)
            continue;
        refused += strcmp(rows[count].reason, pst_verdict_word(PST_V_DENIED)) == 0;
        count++;
    }
    qsort(rows, count, sizeof(*rows), by_pid);
    pst_scan_stats(look->scan, &stats);
    pst_rights_read(&rights);
    bool unprivileged = !rights.ptrace_capability;
    if (unprivileged && refused == count && refused + stats.denied > 0)
        code = denied(0);
    else if (args->json)
        code = pst_ps_print_json(rows, count, true);
    else
        print_table(rows, count);
    if (unprivileged && code == PST_EXIT_OK && stats.denied > 0)
        (void)fprintf(stderr,
                      "pystrobe: ps: %" PRIu64 " processes of other users could not be looked at\n",
                      stats.denied);
    if (rights.hidden)
        (void)fputs("pystrobe: ps: /proc is mounted with hidepid: processes of other users are not "
                    "listed; run as root, or grant CAP_SYS_PTRACE\n",
                    stderr);
    for (size_t i = 0; i < count; i++)
        pst_naming_done(&rows[i].naming);
    return code;
}

static int look_and_print(struct pst_scan *scan, const struct ps_args *args)
{
    struct look look = {.scan = scan};
    int code = pst_command_config(&args->config, &look.config);

    if (code != PST_EXIT_OK)
        return code;
    look.until_ns = pst_clock_monotonic_ns() + metadata_wait_ns;
    if (pst_rules_new(look.config, &look.rules) < 0 ||
        pst_metadata_new(look.config, &look.metadata) < 0)
        code = failed(getpid(), "out of memory");
    else
        code = args->why.count ? why(&look, args) : all(&look, args);
    pst_metadata_free(look.metadata, pst_clock_monotonic_ns() + metadata_wait_ns);
    pst_rules_free(look.rules);
    pst_config_unref(look.config);
    return code;
}

int pst_cmd_ps(int argc, char **argv)
{
    struct ps_args args = {0};
    int rest, code = pst_command_options("ps", 0, argc, argv, &args, &rest);
    struct rlimit files;

    if (code >= 0)
        return code;
    if (rest < argc || args.why.count > 1) {
        struct pst_error error;
        (void)pst_error_set(&error, PST_EXIT_USAGE, "ps", "pystrobe ps [--json] [--why PID]",
                            "too many words");
        pst_error_print(stderr, &error);
        return PST_EXIT_USAGE;
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) { /* one descriptor for each target */
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    struct pst_scan_options options = {.interpreter_environ = interpreter_environ,
                                       .interpreter_arguments = interpreter_arguments};
    struct pst_scan *scan = pst_scan_new(&options);
    if (!scan)
        return failed(getpid(), "out of memory");
    code = look_and_print(scan, &args);
    pst_scan_free(scan);
    return code;
}
