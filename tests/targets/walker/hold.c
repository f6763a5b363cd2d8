/* Stops a target's first thread with ptrace; a tracer of its own, one target at a time. */
#include "hold.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

bool hold_begin(pid_t pid)
{
    return ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0;
}

bool hold(pid_t pid)
{
    int status;

    if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0)
        return false;
    while (waitpid(pid, &status, __WALL) < 0) {
        if (errno != EINTR)
            return false;
    }
    return WIFSTOPPED(status);
}

void release(pid_t pid)
{
    (void)ptrace(PTRACE_CONT, pid, NULL, NULL);
}
