/* Processes as the doctor sees them: by the same scan and the same walker as the agent's, so that
 * its verdict is that of a real read. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "doctor.h"
#include "python/python.h"
#include "scan/scan.h"

/* A stack that changes all the time needs more than one look. */
#define WALKS 20

static void report_denied(struct pst_report *report, const struct pst_rights *rights, pid_t pid)
{
    struct pst_refusal refusal;
    char name[32];

    (void)snprintf(name, sizeof name, "pid %d", (int)pid);
    pst_rights_explain(rights, "process_vm_readv", pid, &refusal);
    pst_report(report, PST_CHECK_DENIED, name, refusal.remedy, "%s", refusal.why);
}

static size_t count_whole(const struct pst_py_sample *sample, size_t *ret_frames)
{
    size_t whole = 0;

    *ret_frames = 0;
    for (size_t i = 0; i < sample->thread_count; i++) {
        whole += sample->threads[i].verdict == PST_V_OK;
        *ret_frames += sample->threads[i].frame_count;
    }
    return whole;
}

/* Best of some walks: all threads whole ends the search. */
static void walk(struct pst_report *report, struct pst_python *python, const char *name)
{
    struct pst_py_sample sample = {0};
    enum pst_verdict verdict = PST_V_OK;
    size_t whole = 0, frames = 0;

    for (int i = 0; i < WALKS; i++) {
        verdict = pst_python_sample(python, NULL, NULL, &sample);
        whole = verdict == PST_V_OK ? count_whole(&sample, &frames) : 0;
        if (verdict == PST_V_OK && whole == sample.thread_count)
            break;
        (void)nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    if (verdict != PST_V_OK)
        pst_report(report, PST_CHECK_FAILED, name, NULL, "its stacks cannot be walked: %s",
                   pst_verdict_meaning(verdict));
    else if (whole == 0 && sample.thread_count > 0)
        pst_report(report, PST_CHECK_FAILED, name, "try again; the stacks change all the time",
                   "no stack of %zu threads could be read whole", sample.thread_count);
    else
        pst_report(report, PST_CHECK_OK, name, NULL, "walked %zu of %zu threads, %zu frames", whole,
                   sample.thread_count, frames);
}

/* The caller frees what it got, also after a failure. */
static enum pst_verdict attach(const struct pst_facts *facts, struct pst_procref *ref,
                               struct pst_memory **memory, struct pst_python **python)
{
    if (pst_procref_open(facts->pid, ref) < 0)
        return PST_V_GONE;
    if (ref->start_ticks != facts->start_ticks)
        return PST_V_GONE;
    *memory = pst_memory_new(ref);
    return *memory ? pst_python_attach(*memory, &facts->runtime, python) : PST_V_NO_MEMORY;
}

static void read_runtime(struct pst_report *report, const struct pst_rights *rights,
                         const struct pst_facts *facts, const char *name)
{
    struct pst_procref ref = {.pidfd = -1};
    struct pst_memory *memory = NULL;
    struct pst_python *python = NULL;
    enum pst_verdict verdict = attach(facts, &ref, &memory, &python);
    char version[32];

    if (verdict == PST_V_DENIED)
        report_denied(report, rights, facts->pid);
    else if (verdict != PST_V_OK)
        pst_report(report, PST_CHECK_FAILED, name,
                   verdict == PST_V_NOT_READY ? "wait until its interpreter is up" : NULL,
                   "_PyRuntime cannot be read: %s", pst_verdict_meaning(verdict));
    else {
        pst_report(report, PST_CHECK_OK, name, NULL, "_PyRuntime read: CPython %s, %s build%s",
                   pst_version_text(pst_python_hexversion(python), version, sizeof version),
                   pst_build_word(facts->build),
                   pst_python_unverified(python) ? ", a version that is not verified" : "");
        walk(report, python, name);
    }
    pst_python_free(python);
    pst_memory_free(memory);
    pst_procref_done(&ref);
}

static void report_none(struct pst_report *report, const char *name, const char *other)
{
    const char *remedy = "`pystrobe ps` lists the Python processes";

    if (other)
        pst_report(report, PST_CHECK_FAILED, name, remedy, "%s is not CPython", other);
    else
        pst_report(report, PST_CHECK_FAILED, name, remedy, "not a CPython process");
}

void pst_doctor_target(struct pst_report *report, const struct pst_rights *rights, pid_t pid)
{
    struct pst_scan_options options = {0};
    struct pst_scan *scan = pst_scan_new(&options);
    const struct pst_facts *facts;
    char name[32];
    int rc = scan ? pst_scan_one(scan, pid, &facts) : -ENOMEM;

    (void)snprintf(name, sizeof name, "pid %d", (int)pid);
    if (rc == -EPERM || rc == -EACCES ||
        (rc == 0 && facts->state == PST_TARGET_FAILED &&
         pst_str_eq(facts->reason, PST_STR("eperm"))))
        report_denied(report, rights, pid);
    else if (rc == -ESRCH)
        pst_report(report, PST_CHECK_FAILED, name, "`pystrobe ps` lists the Python processes",
                   "no such process%s", rights->hidden ? ", or one that hidepid keeps hidden" : "");
    else if (rc == -ENOENT)
        report_none(report, name, pst_scan_other(pid));
    else if (rc < 0)
        pst_report(report, PST_CHECK_FAILED, name, NULL, "cannot be looked at: %s", strerror(-rc));
    else
        read_runtime(report, rights, facts, name);
    pst_scan_free(scan);
}

struct tally {
    size_t readable, denied, other;
    pid_t first_denied;
};

static void tally(struct tally *tally, const struct pst_facts *facts)
{
    struct pst_procref ref = {.pidfd = -1};
    struct pst_memory *memory = NULL;
    struct pst_python *python = NULL;
    enum pst_verdict verdict = PST_V_DENIED;

    if (!(facts->state == PST_TARGET_FAILED && pst_str_eq(facts->reason, PST_STR("eperm"))))
        verdict = attach(facts, &ref, &memory, &python);
    if (verdict == PST_V_OK)
        tally->readable++;
    else if (verdict == PST_V_DENIED) {
        tally->denied++;
        tally->first_denied = tally->first_denied ? tally->first_denied : facts->pid;
    } else {
        tally->other++;
    }
    pst_python_free(python);
    pst_memory_free(memory);
    pst_procref_done(&ref);
}

void pst_doctor_targets(struct pst_report *report, const struct pst_rights *rights)
{
    struct pst_scan_options options = {0};
    struct pst_scan *scan = pst_scan_new(&options);
    struct pst_scan_stats stats = {0};
    struct tally found = {0};
    const struct pst_facts *facts;
    size_t cursor = 0;
    int rc = scan ? pst_scan_run(scan) : -ENOMEM;

    while (rc == 0 && pst_scan_next(scan, &cursor, &facts))
        tally(&found, facts);
    if (scan)
        pst_scan_stats(scan, &stats);
    if (rc < 0)
        pst_report(report, PST_CHECK_FAILED, "processes", "mount /proc", "cannot be listed: %s",
                   strerror(-rc));
    else if (found.denied > 0 && found.readable == 0)
        report_denied(report, rights, found.first_denied);
    else
        pst_report(report, found.readable == 0 && stats.denied > 0 ? PST_CHECK_NOTE : PST_CHECK_OK,
                   "processes",
                   stats.denied > 0 && !rights->ptrace_capability
                       ? "to look into all run as root, or grant CAP_SYS_PTRACE"
                       : NULL,
                   "Python: %zu readable, %zu refused, %zu not up yet or not supported; processes "
                   "that could not be looked into: %llu",
                   found.readable, found.denied, found.other, (unsigned long long)stats.denied);
    pst_scan_free(scan);
}
