/* Each is one small file under /proc, read when something is to be explained. */
#include "state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "target/procfs.h"

/* The number behind a key of its status file. */
static bool status_number(pid_t pid, pid_t tid, const char *key, uint64_t *ret)
{
    char name[64], text[4096];

    (void)snprintf(name, sizeof(name), "task/%d/status", (int)tid);
    if (pst_procfs_read(pid, name, text, sizeof(text)) < 0)
        return false;
    const char *line = strstr(text, key);
    if (!line)
        return false;
    struct pst_str value = pst_str(line + strlen(key));
    value.len = pst_str_find(value, '\n');
    return pst_str_u64(pst_str_trim(value), 10, INT32_MAX, ret) == 0;
}

char pst_thread_state(pid_t pid, pid_t tid)
{
    char name[64], text[1024];
    struct pst_stat stat;

    (void)snprintf(name, sizeof(name), "task/%d/stat", (int)tid);
    ssize_t len = pst_procfs_read(pid, name, text, sizeof(text));
    return len > 0 && pst_stat_parse(text, (size_t)len, &stat) == 0 ? stat.state : 'X';
}

bool pst_thread_filtered(pid_t pid, pid_t tid)
{
    uint64_t mode;

    return !status_number(pid, tid, "\nSeccomp:", &mode) || mode != 0;
}

bool pst_thread_tracer(pid_t pid, pid_t tid, char *dst, size_t size)
{
    char comm[32], name[64];
    uint64_t tracer;

    if (!status_number(pid, tid, "\nTracerPid:", &tracer) || tracer == 0)
        return false;
    (void)snprintf(name, sizeof(name), "task/%" PRIu64 "/comm", tracer);
    dst[0] = 0;
    if (pst_procfs_read(getpid(), name, comm, sizeof(comm)) > 0)
        return true;
    ssize_t len = pst_procfs_read((pid_t)tracer, "comm", comm, sizeof(comm));
    while (len > 0 && comm[len - 1] == '\n')
        comm[--len] = 0;
    (void)snprintf(dst, size, "%s (%" PRIu64 ")", len > 0 ? comm : "process", tracer);
    return true;
}
