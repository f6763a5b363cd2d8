/* A bounded folder of profiles. The service's name is another program's word: it becomes a part of
 * a file name only after everything but a few harmless characters is gone. */
#include "folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/random.h"

#define SERVICE_BYTES 100
#define MAX_FILES     100000
#define SCAN_EVERY_NS (60 * PST_NS_PER_S)
#define SUFFIX        ".pb.gz"
#define TEMPORARY     ".pystrobe-writing"
#define TEMPORARY_NS  (3600 * (int64_t)PST_NS_PER_S) /* older ones are what a crash left */

struct pst_folder {
    int fd;
    uint64_t max_bytes, max_age_ns;
    uint64_t bytes;        /* of our files, as of the last scan and the writes since */
    uint64_t next_scan_ns; /* CLOCK_MONOTONIC */
    unsigned number;       /* of the last file */
    /* Others, of this agent or another, may write into the same folder. */
    char temporary[sizeof(TEMPORARY) + 17];
};

struct entry {
    char name[PST_FOLDER_NAME_BYTES];
    uint64_t bytes;
    int64_t written_ns; /* CLOCK_REALTIME */
};

struct entries {
    struct entry *items;
    size_t count, room;
    uint64_t bytes;
};

/* No dot or dash in front: neither hidden, nor a flag, nor a way up. */
static bool starts_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool harmless(char c)
{
    return starts_name(c) || c == '-' || c == '_' || c == '.';
}

void pst_folder_name(char *name, struct pst_str service, const char *mode, int64_t time_ns,
                     unsigned number)
{
    char clean[SERVICE_BYTES + 1];
    size_t len = 0, first = 0;
    while (first < service.len && !starts_name(service.ptr[first]))
        first++;
    for (size_t i = first; i < service.len && len < SERVICE_BYTES; i++, len++)
        clean[len] = harmless(service.ptr[i]) ? service.ptr[i] : '-';
    clean[len] = '\0';
    struct tm tm = {0};
    time_t seconds = (time_t)(time_ns / (int64_t)PST_NS_PER_S);
    if (!gmtime_r(&seconds, &tm) || tm.tm_year < 0 || tm.tm_year > 8099)
        memset(&tm, 0, sizeof(tm));
    (void)snprintf(name, PST_FOLDER_NAME_BYTES, "%s_%.8s_%04d%02d%02dT%02d%02d%02dZ_%u" SUFFIX,
                   len ? clean : "unknown", mode, tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
                   tm.tm_hour, tm.tm_min, tm.tm_sec, number);
}

/* From the end: number, time stamp, mode, then any service. */
bool pst_folder_owns(const char *name)
{
    struct pst_str text = pst_str(name);
    if (text.len >= PST_FOLDER_NAME_BYTES || !pst_str_ends(text, PST_STR(SUFFIX)))
        return false;
    text.len -= sizeof(SUFFIX) - 1;
    size_t at = pst_str_rfind(text, '_');
    uint64_t number = 0;
    if (at == text.len || pst_str_u64((struct pst_str){text.ptr + at + 1, text.len - at - 1}, 10,
                                      UINT32_MAX, &number) != 0)
        return false;
    text.len = at;
    at = pst_str_rfind(text, '_');
    if (at == text.len || text.len - at - 1 != 16 || text.ptr[at + 9] != 'T' ||
        text.ptr[text.len - 1] != 'Z')
        return false;
    text.len = at;
    at = pst_str_rfind(text, '_');
    if (at == text.len || at == 0)
        return false;
    struct pst_str mode = {text.ptr + at + 1, text.len - at - 1};
    return pst_str_eq(mode, PST_STR("cpu")) || pst_str_eq(mode, PST_STR("wall")) ||
           pst_str_eq(mode, PST_STR("gil"));
}

static int64_t written_ns(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * (int64_t)PST_NS_PER_S + (int64_t)st->st_mtim.tv_nsec;
}

static int add_entry(struct entries *entries, const char *name, const struct stat *st)
{
    if (entries->count == MAX_FILES)
        return 0;
    if (entries->count == entries->room) {
        size_t room = entries->room ? entries->room * 2 : 256;
        struct entry *items = realloc(entries->items, room * sizeof(*items));
        if (!items)
            return -ENOMEM;
        entries->items = items;
        entries->room = room;
    }
    struct entry *entry = &entries->items[entries->count++];
    (void)snprintf(entry->name, sizeof(entry->name), "%.*s", (int)sizeof(entry->name) - 1, name);
    entry->bytes = (uint64_t)st->st_size;
    entry->written_ns = written_ns(st);
    entries->bytes += entry->bytes;
    return 0;
}

static void close_dir(DIR **dir)
{
    if (*dir)
        (void)closedir(*dir);
}

static bool is_left_over(const char *name, const struct stat *st)
{
    return pst_str_starts(pst_str(name), PST_STR(TEMPORARY)) &&
           (int64_t)pst_clock_realtime_ns() - written_ns(st) > TEMPORARY_NS;
}

static int scan(struct pst_folder *folder, struct entries *entries)
{
    pst_autofd int fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    pst_auto(close_dir) DIR *dir = fdopendir(fd);
    if (!dir)
        return -errno;
    (void)pst_steal_fd(&fd);
    for (struct dirent *found = readdir(dir); found; found = readdir(dir)) {
        struct stat st;
        bool owned = pst_folder_owns(found->d_name);
        if ((!owned && found->d_name[0] != TEMPORARY[0]) ||
            fstatat(folder->fd, found->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISREG(st.st_mode))
            continue;
        if (!owned && is_left_over(found->d_name, &st))
            (void)unlinkat(folder->fd, found->d_name, 0);
        int r = owned ? add_entry(entries, found->d_name, &st) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

static int older_first(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    if (a->written_ns != b->written_ns)
        return a->written_ns < b->written_ns ? -1 : 1;
    return strcmp(a->name, b->name);
}

/* Removes what is too old and the oldest of what is too much; newest is never removed. A folder
 * over its bound goes down to 15/16 of it, so that not every write scans. */
static void enforce(struct pst_folder *folder, const char *newest)
{
    struct entries entries = {0};
    folder->next_scan_ns = pst_clock_monotonic_ns() + SCAN_EVERY_NS;
    if (scan(folder, &entries) == 0 && entries.count > 0) {
        int64_t now_ns = (int64_t)pst_clock_realtime_ns();
        uint64_t goal = folder->max_bytes;
        if (goal && entries.bytes > goal)
            goal -= goal / 16;
        qsort(entries.items, entries.count, sizeof(*entries.items), older_first);
        for (size_t i = 0; i < entries.count; i++) {
            const struct entry *entry = &entries.items[i];
            bool old = folder->max_age_ns && now_ns > entry->written_ns &&
                       (uint64_t)(now_ns - entry->written_ns) > folder->max_age_ns;
            bool much = goal && entries.bytes > goal;
            if (!old && !much)
                break;
            if (strcmp(entry->name, newest) != 0 && unlinkat(folder->fd, entry->name, 0) == 0)
                entries.bytes -= entry->bytes;
        }
        folder->bytes = entries.bytes;
    }
    free(entries.items);
}

int pst_folder_open(const char *path, uint64_t max_bytes, uint64_t max_age_ns,
                    struct pst_folder **ret)
{
    int r = pst_io_mkdir_p(path);
    if (r < 0)
        return r;
    struct pst_folder *folder = calloc(1, sizeof(*folder));
    if (!folder)
        return -ENOMEM;
    folder->max_bytes = max_bytes;
    folder->max_age_ns = max_age_ns;
    struct pst_random random = {pst_random_seed() ^ (uintptr_t)folder};
    (void)snprintf(folder->temporary, sizeof(folder->temporary), TEMPORARY "-%016llx",
                   (unsigned long long)pst_random_next(&random));
    folder->fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder->fd < 0) {
        r = -errno;
        free(folder);
        return r;
    }
    *ret = folder;
    return 0;
}

struct pst_folder *pst_folder_free(struct pst_folder *folder)
{
    if (folder) {
        (void)close(folder->fd);
        free(folder);
    }
    return NULL;
}

static int write_temporary(const struct pst_folder *folder, struct pst_str data)
{
    (void)unlinkat(folder->fd, folder->temporary, 0);
    pst_autofd int fd = openat(folder->fd, folder->temporary,
                               O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int r = pst_io_write_all(fd, data.ptr, data.len);
    if (r == 0 && fsync(fd) < 0)
        r = -errno;
    if (r < 0)
        (void)unlinkat(folder->fd, folder->temporary, 0);
    return r;
}

/* Never over an existing file. Some file systems know no RENAME_NOREPLACE: a link refuses as well.
 */
static int name_temporary(const struct pst_folder *folder, const char *name)
{
    if (renameat2(folder->fd, folder->temporary, folder->fd, name, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -errno;
    if (linkat(folder->fd, folder->temporary, folder->fd, name, 0) < 0)
        return -errno;
    (void)unlinkat(folder->fd, folder->temporary, 0);
    return 0;
}

/* Gives the temporary file its name, counting on past names that are taken. */
static int publish(struct pst_folder *folder, struct pst_str service, const char *mode,
                   int64_t time_ns, char *name)
{
    int r = -EEXIST;
    for (unsigned tries = 0; r == -EEXIST && tries < 10000; tries++) {
        pst_folder_name(name, service, mode, time_ns, ++folder->number);
        r = name_temporary(folder, name);
    }
    if (r < 0)
        (void)unlinkat(folder->fd, folder->temporary, 0);
    return r;
}

int pst_folder_write(struct pst_folder *folder, struct pst_str service, const char *mode,
                     int64_t time_ns, struct pst_str data)
{
    char name[PST_FOLDER_NAME_BYTES];
    int r = write_temporary(folder, data);
    if (r == 0)
        r = publish(folder, service, mode, time_ns, name);
    if (r < 0)
        return r;
    folder->bytes += data.len;
    bool over = folder->max_bytes && folder->bytes > folder->max_bytes;
    if (over || pst_clock_monotonic_ns() >= folder->next_scan_ns)
        enforce(folder, name);
    return 0;
}
