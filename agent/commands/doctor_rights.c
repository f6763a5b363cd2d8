/* What the kernel lets this process read, line by line, and which recipe for a sidecar fits. */
#include <stdio.h>
#include <string.h>

#include "doctor.h"

static void report_yama(struct pst_report *report, const struct pst_rights *rights)
{
    static const char *const meanings[] = {
        "0: processes of the same user can be read",
        "1: without CAP_SYS_PTRACE only descendants can be read",
        "2: only with CAP_SYS_PTRACE can others be read",
        "3: no process can be read, until the next boot",
    };

    if (rights->yama < 0 || rights->yama > 3)
        pst_report(report, PST_CHECK_OK, "yama", NULL, "not there: the kernel's own rules hold");
    else if (rights->yama == 3)
        pst_report(report, PST_CHECK_DENIED, "yama", "boot with kernel.yama.ptrace_scope below 3",
                   "%s", meanings[3]);
    else if (rights->ptrace_capability || rights->yama == 0)
        pst_report(report, PST_CHECK_OK, "yama", NULL, "%s", meanings[rights->yama]);
    else if (rights->yama == 1)
        pst_report(report, PST_CHECK_NOTE, "yama",
                   "start the program as `pystrobe agent -- PROGRAM`, or grant CAP_SYS_PTRACE",
                   "%s", meanings[1]);
    else
        pst_report(report, PST_CHECK_DENIED, "yama", "grant CAP_SYS_PTRACE", "%s", meanings[2]);
}

static void report_seccomp(struct pst_report *report, const struct pst_rights *rights)
{
    if (rights->read_error != 0)
        pst_report(report, PST_CHECK_DENIED, "seccomp",
                   "allow process_vm_readv in the container's seccomp profile",
                   "process_vm_readv is refused: %s", strerror(rights->read_error));
    else if (rights->reads_by_file)
        pst_report(
            report, PST_CHECK_NOTE, "seccomp",
            "for less CPU a sample allow process_vm_readv in the container's seccomp profile",
            "a filter refuses process_vm_readv; /proc/PID/mem is read instead");
    else
        pst_report(report, PST_CHECK_OK, "seccomp", NULL, "%s; process_vm_readv works",
                   rights->seccomp == 2   ? "a filter is in force"
                   : rights->seccomp == 0 ? "no filter"
                                          : "state unknown");
}

static void report_namespaces(struct pst_report *report, const struct pst_rights *rights)
{
    if (rights->hidden)
        pst_report(report, PST_CHECK_NOTE, "proc",
                   "mount it with gid= of a group of this user, run as root, or grant "
                   "CAP_SYS_PTRACE",
                   "mounted with hidepid: processes of other users than %u are not listed",
                   rights->uid);
    if (rights->initial_pid_namespace && !rights->hidden)
        pst_report(report, PST_CHECK_OK, "pid namespace", NULL,
                   "the host's: every process is seen");
    else if (!rights->initial_pid_namespace)
        pst_report(report, PST_CHECK_NOTE, "pid namespace",
                   "for the whole machine run with hostPID or --pid=host",
                   "a container's: only its processes are seen");
    if (rights->initial_user_namespace)
        pst_report(report, PST_CHECK_OK, "user namespace", NULL, "the host's");
    else
        pst_report(report, PST_CHECK_NOTE, "user namespace",
                   "for other processes run in the host's user namespace",
                   "not the host's: capabilities hold for processes inside it alone");
}

/* The recipes of deploy/kubernetes, which are those of every container. */
static void report_recipe(struct pst_report *report, const struct pst_rights *rights)
{
    if (rights->read_error != 0 || rights->yama == 3)
        pst_report(report, PST_CHECK_NOTE, "sidecar", NULL,
                   "no recipe fits while reads are refused altogether");
    else if (rights->ptrace_capability)
        pst_report(report, PST_CHECK_OK, "sidecar", NULL,
                   "recipe (a) fits: uid 0 with CAP_SYS_PTRACE, all else dropped");
    else if (rights->yama == 2)
        pst_report(report, PST_CHECK_NOTE, "sidecar", "run it as uid 0 and add SYS_PTRACE",
                   "recipe (a) alone fits yama 2, and CAP_SYS_PTRACE is missing");
    else if (rights->yama == 1)
        pst_report(report, PST_CHECK_NOTE, "sidecar",
                   "start the application as `pystrobe agent -- PROGRAM`",
                   "recipe (c) fits: the container's entry point, without capabilities; (a) asks "
                   "for CAP_SYS_PTRACE, (b) for yama 0");
    else
        pst_report(report, PST_CHECK_OK, "sidecar", NULL,
                   "recipe (b) fits: the application's uid %u, where that holds no capability; so "
                   "does (c), the container's entry point",
                   rights->uid);
}

void pst_rights_report(struct pst_report *report, const struct pst_rights *rights)
{
    if (rights->ptrace_capability)
        pst_report(report, PST_CHECK_OK, "capabilities", NULL, "CAP_SYS_PTRACE is held, uid %u",
                   rights->uid);
    else
        pst_report(report, PST_CHECK_NOTE, "capabilities",
                   "for others run as root, or grant CAP_SYS_PTRACE",
                   "no CAP_SYS_PTRACE: at most processes of uid %u can be read", rights->uid);
    report_yama(report, rights);
    report_seccomp(report, rights);
    if (rights->profile[0] == 0)
        pst_report(report, PST_CHECK_OK, "lsm", NULL, "no label on this process");
    else if (strncmp(rights->profile, "unconfined", 10) == 0)
        pst_report(report, PST_CHECK_OK, "lsm", NULL, "%s", rights->profile);
    else
        pst_report(report, PST_CHECK_NOTE, "lsm",
                   "when reads are refused although the rest is ok, its policy must allow ptrace",
                   "confined as %s", rights->profile);
    report_namespaces(report, rights);
    report_recipe(report, rights);
}
