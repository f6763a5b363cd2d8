/* Finds the runtime as the commands do, and attaches to it. */
#include "attach.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/limits.h"
#include "scan/scan.h"

static bool find(struct attached *a)
{
    struct pst_scan_options options = {0};
    struct pst_scan *scan = pst_scan_new(&options);
    const struct pst_facts *facts;

    bool found = scan && pst_scan_one(scan, a->ref.pid, &facts) == 0;
    if (found)
        a->runtime = facts->runtime;
    pst_scan_free(scan);
    return found;
}

static void fail(pid_t pid, const char *what)
{
    fprintf(stderr, "attach to %d: %s\n", (int)pid, what);
    exit(1);
}

void attach(pid_t pid, struct attached *ret)
{
    enum pst_verdict verdict = PST_V_NO_RUNTIME;

    *ret = (struct attached){0};
    if (pst_procref_open(pid, &ret->ref) < 0 || !(ret->memory = pst_memory_new(&ret->ref)))
        fail(pid, "no such process");
    for (int i = 0; i < 100 && verdict != PST_V_OK; i++) {
        pst_memory_budget(ret->memory, SIZE_MAX / 2, SIZE_MAX / 2);
        if (find(ret))
            verdict = pst_python_attach(ret->memory, &ret->runtime, &ret->python);
        if (verdict != PST_V_OK)
            (void)nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    if (verdict != PST_V_OK)
        fail(pid, pst_verdict_meaning(verdict));
}

void detach(struct attached *attached)
{
    pst_python_free(attached->python);
    pst_memory_free(attached->memory);
    pst_procref_done(&attached->ref);
}
