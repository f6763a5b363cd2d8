/* Threads of a process, listed with getdents over a kept-open /proc/PID/task; their status text is
 * read once, since neither id ever changes. */
#include "target/tids.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/str.h"
#include "target/procfs.h"

struct pst_tids {
    int dirfd;
    struct pst_tid *threads; /* by rising tid */
    struct pst_tid *spare;   /* the list being built */
    size_t count;
    uint32_t *by_own; /* indices into threads, by rising own_tid */
    size_t capacity;
};

struct pst_tids *pst_tids_new(pid_t pid, int *ret_error)
{
    char path[64];
    struct pst_tids *tids = calloc(1, sizeof(*tids));
    int error = -ENOMEM;

    if (tids) {
        (void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
        tids->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        error = tids->dirfd >= 0 ? 0 : errno == ENOENT ? -ESRCH : -errno;
        if (error < 0) {
            free(tids);
            tids = NULL;
        }
    }
    if (ret_error)
        *ret_error = error;
    return tids;
}

struct pst_tids *pst_tids_free(struct pst_tids *tids)
{
    if (tids) {
        (void)close(tids->dirfd);
        free(tids->threads);
        free(tids->spare);
        free(tids->by_own);
    }
    free(tids);
    return NULL;
}

static bool find_line(const char *text, size_t len, struct pst_str name, struct pst_str *ret)
{
    struct pst_str rest = {text, len}, line;

    while (pst_str_next(&rest, '\n', &line)) {
        if (pst_str_starts(line, name)) {
            *ret = (struct pst_str){line.ptr + name.len, line.len - name.len};
            return true;
        }
    }
    return false;
}

int pst_status_own_id(const char *text, size_t len, pid_t *ret)
{
    struct pst_str line;
    uint64_t value;

    /* "Name:" comes first and escapes newlines, so that no comm can forge a line. */
    if (!find_line(text, len, PST_STR("NSpid:"), &line))
        return -ENOENT;
    line = pst_str_trim(line);
    size_t tab = pst_str_rfind(line, '\t');
    if (tab < line.len)
        line = (struct pst_str){line.ptr + tab + 1, line.len - tab - 1};
    if (pst_str_u64(line, 10, INT32_MAX, &value) < 0)
        return -ENOENT;
    *ret = (pid_t)value;
    return 0;
}

int pst_status_uid(const char *text, size_t len, uid_t *ret)
{
    struct pst_str line, part;
    uint64_t value;

    if (!find_line(text, len, PST_STR("Uid:\t"), &line))
        return -ENOENT;
    /* real, effective, saved, file system */
    if (!pst_str_next(&line, '\t', &part) || !pst_str_next(&line, '\t', &part) ||
        pst_str_u64(part, 10, UINT32_MAX, &value) < 0)
        return -ENOENT;
    *ret = (uid_t)value;
    return 0;
}

static int read_at(int dirfd, pid_t tid, const char *name, char *dst, size_t size)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "%d/%s", (int)tid, name);
    pst_autofd int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? -ESRCH : -errno;
    return (int)pst_procfs_read_fd(fd, dst, size);
}

static int read_name(int dirfd, struct pst_tid *thread)
{
    char text[64];
    int len = read_at(dirfd, thread->tid, "comm", text, sizeof(text));

    if (len < 0)
        return len;
    while (len > 0 && text[len - 1] == '\n')
        len--;
    size_t kept = (size_t)len < sizeof(thread->name) ? (size_t)len : sizeof(thread->name) - 1;
    memset(thread->name, 0, sizeof(thread->name));
    memcpy(thread->name, text, kept);
    return 0;
}

static int read_thread(int dirfd, pid_t tid, struct pst_tid *ret)
{
    char text[4096];

    *ret = (struct pst_tid){.tid = tid};
    int len = read_at(dirfd, tid, "status", text, sizeof(text));
    if (len < 0)
        return len;
    if (pst_status_own_id(text, (size_t)len, &ret->own_tid) < 0)
        ret->own_tid = tid;
    return read_name(dirfd, ret);
}

static int grow(struct pst_tids *tids)
{
    size_t capacity = tids->capacity ? tids->capacity * 2 : 16;

    struct pst_tid *threads = reallocarray(tids->threads, capacity, sizeof(*threads));
    if (!threads)
        return -ENOMEM;
    tids->threads = threads;
    struct pst_tid *spare = reallocarray(tids->spare, capacity, sizeof(*spare));
    if (!spare)
        return -ENOMEM;
    tids->spare = spare;
    uint32_t *by_own = reallocarray(tids->by_own, capacity, sizeof(*by_own));
    if (!by_own)
        return -ENOMEM;
    tids->by_own = by_own;
    tids->capacity = capacity;
    return 0;
}

static int by_tid(const void *a, const void *b)
{
    pid_t x = ((const struct pst_tid *)a)->tid, y = ((const struct pst_tid *)b)->tid;

    return (x > y) - (x < y);
}

static int by_own(const void *a, const void *b, void *context)
{
    const struct pst_tids *tids = context;
    pid_t x = tids->threads[*(const uint32_t *)a].own_tid;
    pid_t y = tids->threads[*(const uint32_t *)b].own_tid;

    return (x > y) - (x < y);
}

/* Adds one listed thread to spare: copied from the list before, or read. */
static int take_tid(struct pst_tids *tids, pid_t tid, size_t *count)
{
    int status = 0;

    if (*count >= PST_MAX_THREADS)
        return 0;
    if (*count == tids->capacity)
        status = grow(tids);
    if (status < 0)
        return status;
    const struct pst_tid *known = pst_tids_by_tid(tids, tid);
    if (known)
        tids->spare[*count] = *known;
    else
        status = read_thread(tids->dirfd, tid, &tids->spare[*count]);
    if (status == 0)
        (*count)++;
    return status == -ESRCH ? 0 : status;
}

static int list_tids(struct pst_tids *tids, size_t *count)
{
    char buffer[8192] __attribute__((aligned(8)));

    if (lseek(tids->dirfd, 0, SEEK_SET) < 0)
        return -errno;
    for (;;) {
        long got = syscall(SYS_getdents64, tids->dirfd, buffer, sizeof(buffer));
        if (got < 0)
            return errno == ENOENT ? -ESRCH : -errno;
        if (got == 0)
            return 0;
        for (long at = 0; at < got;) {
            const struct dirent64 *entry = (const struct dirent64 *)(buffer + at);
            uint64_t tid;
            at += entry->d_reclen;
            if (pst_str_u64(pst_str(entry->d_name), 10, INT32_MAX, &tid) < 0)
                continue;
            int status = take_tid(tids, (pid_t)tid, count);
            if (status < 0)
                return status;
        }
    }
}

int pst_tids_refresh(struct pst_tids *tids)
{
    size_t count = 0;

    int status = list_tids(tids, &count);
    if (status < 0)
        return status;
    if (count == 0)
        return -ESRCH;
    struct pst_tid *threads = tids->spare;
    tids->spare = tids->threads;
    tids->threads = threads;
    tids->count = count;
    qsort(tids->threads, count, sizeof(*tids->threads), by_tid);
    for (size_t i = 0; i < count; i++)
        tids->by_own[i] = (uint32_t)i;
    qsort_r(tids->by_own, count, sizeof(*tids->by_own), by_own, tids);
    return 0;
}

const struct pst_tid *pst_tids_list(const struct pst_tids *tids, size_t *ret_count)
{
    *ret_count = tids->count;
    return tids->threads;
}

const struct pst_tid *pst_tids_by_tid(const struct pst_tids *tids, pid_t tid)
{
    struct pst_tid key = {.tid = tid};

    if (tids->count == 0)
        return NULL;
    return bsearch(&key, tids->threads, tids->count, sizeof(key), by_tid);
}

const struct pst_tid *pst_tids_by_own(const struct pst_tids *tids, pid_t own_tid)
{
    size_t low = 0, high = tids->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct pst_tid *thread = &tids->threads[tids->by_own[middle]];
        if (thread->own_tid == own_tid)
            return thread;
        if (thread->own_tid < own_tid)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

int pst_tids_dirfd(const struct pst_tids *tids)
{
    return tids->dirfd;
}

int pst_tids_rename(struct pst_tids *tids, pid_t tid)
{
    struct pst_tid *thread = (struct pst_tid *)(uintptr_t)pst_tids_by_tid(tids, tid);

    return thread ? read_name(tids->dirfd, thread) : -ESRCH;
}
