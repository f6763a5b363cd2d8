/* Which processes: those named, and with --subprocesses their descendants as one look at /proc
 * shows them, whatever they run. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "base/limits.h"
#include "dump.h"
#include "target/procfs.h"

struct list {
    struct pst_dump_process *items;
    size_t count, cap;
};

static int append(struct list *list, struct pst_dump_process process)
{
    if (list->count == PST_MAX_PROCESSES)
        return -ENOSPC;
    if (list->count == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 64;
        struct pst_dump_process *items = realloc(list->items, cap * sizeof(*items));
        if (!items)
            return -ENOMEM;
        list->items = items;
        list->cap = cap;
    }
    list->items[list->count++] = process;
    return 0;
}

static int list_all(struct list *all)
{
    DIR *proc = opendir("/proc");
    const struct dirent *entry;
    struct pst_stat stat;
    uint64_t pid;
    int error = 0;

    if (!proc)
        return -errno;
    while (error == 0 && (entry = readdir(proc))) {
        if (pst_str_u64(pst_str(entry->d_name), 10, INT_MAX, &pid) == 0 &&
            pst_stat_read((pid_t)pid, &stat) == 0)
            error = append(all, (struct pst_dump_process){(pid_t)pid, stat.ppid, true});
    }
    (void)closedir(proc);
    return error;
}

static bool has(const struct list *list, pid_t pid)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].pid == pid)
            return true;
    }
    return false;
}

/* Breadth first behind `first`; a process that is listed is not listed again. */
static int append_kin(struct list *list, const struct list *all, size_t first)
{
    int error = 0;

    for (size_t at = first; at < list->count && error == 0; at++) {
        pid_t parent = list->items[at].pid;
        for (size_t i = 0; i < all->count && error == 0; i++) {
            if (all->items[i].ppid == parent && !has(list, all->items[i].pid))
                error = append(list, all->items[i]);
        }
    }
    return error;
}

int pst_dump_kin(const struct pst_dump_args *args, struct pst_dump_process **ret)
{
    struct list list = {0}, all = {0};
    int error = args->subprocesses ? list_all(&all) : 0;

    for (size_t i = 0; i < args->pids.count && error == 0; i++) {
        size_t first = list.count;
        if (has(&list, args->pids.items[i]))
            continue;
        error = append(&list, (struct pst_dump_process){.pid = args->pids.items[i]});
        if (error == 0 && args->subprocesses)
            error = append_kin(&list, &all, first);
    }
    free(all.items);
    if (error < 0) {
        free(list.items);
        return error;
    }
    *ret = list.items;
    return (int)list.count;
}
