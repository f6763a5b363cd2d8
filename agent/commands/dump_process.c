/* One live process: is it there, has it an interpreter, what do its threads do. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "dump.h"
#include "labels/mask.h"
#include "scan/scan.h"
#include "session/packages.h"
#include "target/procfs.h"
#include "whom.h"

enum {
    TRIES = 50, /* a thread that changes its stack under every try gets so many chances */
    PAUSE_NS = 2000000,
    START_WAIT_MS = 1000, /* an interpreter that is about to come up */
    VALUES_WAIT_S = 20,   /* all variables of one process */
};

static int fail(pid_t pid, const char *text, const char *remedy)
{
    char line[256];

    (void)snprintf(line, sizeof(line), "process %d %s", (int)pid, text);
    return pst_whom_fail("dump", PST_EXIT_FAILED, remedy, line);
}

static int refuse(enum pst_verdict verdict, const struct pst_buf *sudo_line, pid_t pid)
{
    if (verdict == PST_V_DENIED)
        return pst_whom_refuse("dump", sudo_line, pid, -EPERM, verdict);
    if (verdict == PST_V_GONE)
        return fail(pid, "has ended", NULL);
    if (verdict == PST_V_NOT_READY)
        return fail(pid, "is starting: its interpreter is not up yet", "try again");
    return pst_whom_refuse("dump", sudo_line, pid, -EIO, verdict);
}

void pst_dump_command(pid_t pid, struct pst_buf *out)
{
    char text[4096];
    ssize_t len = pst_procfs_read(pid, "cmdline", text, sizeof(text));

    pst_buf_reset(out);
    if (len > 0)
        (void)pst_mask_arguments((struct pst_str){text, (size_t)len}, out);
}

/* --- the snapshot --- */

static bool whole(const struct pst_py_sample *sample)
{
    for (size_t i = 0; i < sample->thread_count; i++) {
        if (sample->threads[i].verdict != PST_V_OK || sample->threads[i].trimmed)
            return false;
    }
    return true;
}

static enum pst_verdict take(struct pst_dump *dump)
{
    enum pst_verdict verdict = PST_V_OK;

    for (int i = 0; i < TRIES; i++) {
        verdict = pst_python_sample(dump->python, NULL, NULL, &dump->sample);
        if (verdict == PST_V_GONE || verdict == PST_V_DENIED ||
            (verdict == PST_V_OK && whole(&dump->sample)))
            break;
        (void)nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    }
    return verdict;
}

static void free_variables(struct pst_dump *dump)
{
    for (size_t i = 0; dump->variables && i < dump->sample.frame_count; i++)
        pst_py_variables_done(&dump->variables[i]);
    free(dump->variables);
    dump->variables = NULL;
}

static void read_thread(struct pst_dump *dump, const struct pst_py_thread *thread,
                        const struct pst_py_value_options *options, uint64_t deadline_ns)
{
    for (uint32_t i = 0; i < thread->frame_count; i++) {
        size_t index = thread->first_frame + i;
        if (pst_clock_monotonic_ns() > deadline_ns)
            return;
        (void)pst_python_variables(dump->python, index, i == 0, options, &dump->variables[index]);
    }
}

/* Values that cannot be had cost their lines, not the stacks. */
static enum pst_verdict read_variables(struct pst_dump *dump)
{
    struct pst_redact *redact = pst_redact_new(&dump->args->redact);
    struct pst_py_value_options options = {
        .still = dump->args->blocking || !dump->live,
        .chars = (size_t)dump->args->locals * PST_VALUE_CHARS,
        .secret = pst_redact_name,
        .context = redact,
    };
    uint64_t deadline_ns = pst_clock_monotonic_ns() + VALUES_WAIT_S * PST_NS_PER_S;

    dump->variables = calloc(dump->sample.frame_count + 1, sizeof(*dump->variables));
    for (size_t i = 0; redact && dump->variables && i < dump->sample.thread_count; i++)
        read_thread(dump, &dump->sample.threads[i], &options, deadline_ns);
    bool done = redact && dump->variables;
    pst_redact_free(redact);
    if (done && pst_clock_monotonic_ns() > deadline_ns)
        (void)fprintf(stderr, "pystrobe: dump: too many variables: not all were read\n");
    return done ? PST_V_OK : PST_V_NO_MEMORY;
}

static enum pst_verdict read_held(struct pst_dump *dump, struct pst_memory *memory,
                                  const struct pst_dump_hold *hold)
{
    if (hold->hold && hold->hold(hold->context) != 0)
        return PST_V_STALLED;
    enum pst_verdict verdict = take(dump);
    if (verdict == PST_V_OK && dump->args->native) {
        dump->native = pst_dump_native_take(dump, memory);
        verdict = dump->native ? take(dump) : PST_V_NO_MEMORY;
    }
    if (verdict == PST_V_OK && dump->args->locals > 0)
        verdict = read_variables(dump);
    if (hold->let_go)
        hold->let_go(hold->context);
    return verdict;
}

static void list_tids(struct pst_dump *dump)
{
    if (dump->live && !dump->tids)
        dump->tids = pst_tids_new(dump->facts->pid, NULL);
    if (dump->tids)
        (void)pst_tids_refresh(dump->tids);
}

enum pst_verdict pst_dump_runtime(struct pst_dump *dump, struct pst_memory *memory,
                                  const struct pst_dump_hold *hold, int *ret_code)
{
    enum pst_verdict verdict = pst_python_attach(memory, &dump->facts->runtime, &dump->python);

    if (verdict != PST_V_OK)
        return verdict;
    if (dump->facts->second.hexversion)
        (void)pst_python_attach_second(dump->python, &dump->facts->second);
    pst_python_keep_places(dump->python);
    pst_python_name_classes(dump->python, dump->args->class_names);
    list_tids(dump);
    verdict = read_held(dump, memory, hold);
    if (verdict == PST_V_OK) {
        list_tids(dump);
        dump->packages = pst_packages_new(&dump->facts->pid, dump->live ? 1 : 0);
        *ret_code = PST_EXIT_OK;
        if (dump->args->json)
            *ret_code = pst_dump_json(stdout, dump);
        else
            pst_dump_text(stdout, dump);
        dump->packages = pst_packages_free(dump->packages);
    }
    free_variables(dump);
    pst_dump_native_free(dump->native);
    pst_tids_free(dump->tids);
    pst_python_free(dump->python);
    return verdict;
}

/* --- the process --- */

static enum pst_verdict read_process(struct pst_dump *dump, const struct pst_dump_hold *hold,
                                     int *ret_code)
{
    struct pst_procref ref;
    enum pst_verdict verdict = PST_V_NO_MEMORY;

    int error = pst_procref_open(dump->facts->pid, &ref);
    if (error < 0)
        return PST_V_GONE;
    if (ref.start_ticks != dump->facts->start_ticks) {
        pst_procref_done(&ref);
        return PST_V_GONE;
    }
    struct pst_memory *memory = pst_memory_new(&ref);
    if (memory) {
        pst_memory_watch(memory, hold->progress);
        verdict = pst_dump_runtime(dump, memory, hold, ret_code);
    }
    pst_memory_free(memory);
    pst_procref_done(&ref);
    return verdict;
}

static enum pst_verdict state_of(const struct pst_facts *facts)
{
    if (facts->state == PST_TARGET_GONE)
        return PST_V_GONE;
    if (facts->state != PST_TARGET_READY && pst_str_eq(facts->reason, PST_STR("eperm")))
        return PST_V_DENIED;
    if (facts->state != PST_TARGET_READY || facts->runtime.hexversion == 0)
        return PST_V_NOT_READY;
    return PST_V_OK;
}

/* 0 and *ret_verdict, or -errno: there is no Python to look at. */
static int look(const struct pst_dump_args *args, const struct pst_dump_process *process,
                const struct pst_dump_hold *hold, enum pst_verdict *ret_verdict, int *ret_code)
{
    struct pst_dump dump = {
        .args = args, .parent = process->child ? process->ppid : 0, .live = true};
    struct pst_scan_options options = {0};
    struct pst_scan *scan = pst_scan_new(&options);

    int error = scan ? pst_scan_one(scan, process->pid, &dump.facts) : -ENOMEM;
    if (error == 0) {
        *ret_verdict = state_of(dump.facts);
        if (*ret_verdict == PST_V_OK)
            *ret_verdict = read_process(&dump, hold, ret_code);
    }
    pst_scan_free(scan);
    return error;
}

/* What /proc says before anything of the process is read. 0, or an exit code after saying it. */
static int look_at_state(pid_t pid)
{
    struct pst_stat stat;

    if (pst_stat_read(pid, &stat) < 0)
        return PST_EXIT_OK; /* whatever is wrong will be said where it matters */
    if (stat.state == 'Z' || stat.state == 'X')
        return fail(pid, "has ended and waits for its parent to take notice (a zombie)", NULL);
    if (stat.flags & PST_PF_KTHREAD)
        return fail(pid, "is a thread of the kernel", NULL);
    if (stat.state == 'T')
        (void)fprintf(stderr, "pystrobe: dump: process %d is stopped by a signal\n", (int)pid);
    return PST_EXIT_OK;
}

int pst_dump_process(const struct pst_dump_args *args, const struct pst_buf *sudo_line,
                     const struct pst_dump_process *process, const struct pst_dump_hold *hold)
{
    uint64_t deadline_ns = pst_clock_monotonic_ns() + START_WAIT_MS * PST_NS_PER_MS;
    enum pst_verdict verdict = PST_V_OK;
    int code = process->child ? PST_EXIT_OK : look_at_state(process->pid);
    int error;

    if (code != PST_EXIT_OK)
        return code;
    for (;;) {
        error = look(args, process, hold, &verdict, &code);
        if (error < 0 || verdict != PST_V_NOT_READY || pst_clock_monotonic_ns() > deadline_ns)
            break;
        (void)nanosleep(&(struct timespec){.tv_nsec = 10 * PAUSE_NS}, NULL);
    }
    /* Descendants need not be Python, nor live on. */
    if (process->child && (error == -ENOENT || error == -ESRCH || verdict == PST_V_GONE))
        return PST_EXIT_OK;
    if (error < 0)
        return pst_whom_refuse("dump", sudo_line, process->pid, error, verdict);
    if (verdict == PST_V_STALLED)
        return PST_EXIT_FAILED; /* whoever holds has said why */
    return verdict == PST_V_OK ? code : refuse(verdict, sudo_line, process->pid);
}
