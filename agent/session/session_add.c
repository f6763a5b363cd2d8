/* Which processes a session is about, and what stands in the way of reading them. */
#include <errno.h>

#include "base/clock.h"
#include "session_internal.h"
#include "target/procfs.h"

struct root *pst_session_root(struct pst_session *session, pid_t pid)
{
    for (size_t i = 0; i < session->root_count; i++)
        if (session->roots[i].pid == pid)
            return &session->roots[i];
    return NULL;
}

static int add_root(struct pst_session *session, pid_t pid, bool started)
{
    struct pst_stat stat;
    int status = pst_stat_read(pid, &stat);

    if (status < 0)
        return status;
    if (stat.state == 'Z' || stat.state == 'X')
        return -ESRCH;
    if (pst_session_root(session, pid))
        return 0;
    if (session->root_count == PST_MAX_OPTION_VALUES)
        return -ENOSPC;
    session->roots[session->root_count++] =
        (struct root){.pid = pid, .start_ticks = stat.start_ticks, .started = started};
    return 0;
}

int pst_session_add_started(struct pst_session *session, pid_t pid)
{
    return add_root(session, pid, true);
}

enum pst_verdict pst_session_probe(const struct pst_facts *facts, bool *ret_gil_off)
{
    struct pst_procref ref;
    struct pst_python *python = NULL;
    enum pst_verdict verdict = PST_V_NO_MEMORY;

    *ret_gil_off = false;
    if (facts->state == PST_TARGET_STARTING)
        return PST_V_OK;
    if (pst_procref_open(facts->pid, &ref) < 0)
        return PST_V_GONE;
    struct pst_memory *memory = pst_memory_new(&ref);
    if (memory)
        verdict = pst_python_attach(memory, &facts->runtime, &python);
    if (verdict == PST_V_OK)
        *ret_gil_off = pst_python_gil_off(python);
    pst_python_free(python);
    pst_memory_free(memory);
    pst_procref_done(&ref);
    return verdict == PST_V_NOT_READY || verdict == PST_V_FORKING ? PST_V_OK : verdict;
}

/* Nothing of the tree is a Python. */
static bool barren(struct pst_session *session, pid_t pid)
{
    const struct pst_facts *facts;
    pid_t member;

    if (!session->options.subprocesses)
        return true;
    pst_kin_look(session->kin, pid);
    while ((member = pst_kin_due(session->kin, pst_clock_monotonic_ns())))
        (void)pst_scan_one(session->scan, member, &facts);
    return pst_scan_count(session->scan) == 0;
}

int pst_session_add(struct pst_session *session, pid_t pid, enum pst_verdict *ret_verdict)
{
    const struct pst_facts *facts;
    bool gil_off;
    int status = add_root(session, pid, false);

    if (status == 0)
        status = pst_scan_one(session->scan, pid, &facts);
    if (status == -ENOENT)
        return barren(session, pid) ? -ENOENT : 0;
    if (status < 0)
        return status;
    if (facts->state == PST_TARGET_FAILED && pst_str_eq(facts->reason, PST_STR("eperm")))
        return -EPERM;
    *ret_verdict = pst_session_probe(facts, &gil_off);
    if (session->options.mode == PST_MODE_GIL && gil_off)
        return -ENOTSUP;
    return *ret_verdict == PST_V_OK       ? 0
           : *ret_verdict == PST_V_DENIED ? -EPERM
           : *ret_verdict == PST_V_GONE   ? -ESRCH
                                          : -EIO;
}
