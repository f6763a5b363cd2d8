/* A damaged database is renamed, never repaired in place and never a reason not to start: what it
 * held may still matter to somebody, but not more than going on. Called by the writer with the file
 * closed and readers shut out. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "internal.h"

enum { KEPT_FILES = 2, SEEN_FILES = 64, NAME_BYTES = 256, PATH_BYTES = 4400 };

static const char prefix[] = "store.db.corrupt-";

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Names of the damaged files (without their logs), oldest first since the name carries the time. */
static size_t list(const char *directory, char names[SEEN_FILES][NAME_BYTES])
{
    DIR *dir = opendir(directory);
    if (!dir)
        return 0;
    size_t count = 0;
    const struct dirent *entry;
    while (count < SEEN_FILES && (entry = readdir(dir))) {
        size_t len = strlen(entry->d_name);
        if (strncmp(entry->d_name, prefix, sizeof(prefix) - 1) != 0 || len >= NAME_BYTES)
            continue;
        if (len > 4 && strcmp(entry->d_name + len - 4, "-wal") == 0)
            continue;
        memcpy(names[count++], entry->d_name, len + 1);
    }
    (void)closedir(dir);
    qsort(names, count, NAME_BYTES, by_name);
    return count;
}

uint64_t pst_store_count_aside(const char *directory)
{
    char names[SEEN_FILES][NAME_BYTES];
    return list(directory, names);
}

static void remove_oldest(const char *directory)
{
    char names[SEEN_FILES][NAME_BYTES];
    size_t count = list(directory, names);
    for (size_t i = 0; i + KEPT_FILES < count; i++) {
        char path[PATH_BYTES];
        (void)snprintf(path, sizeof(path), "%s/%.*s", directory, NAME_BYTES - 1, names[i]);
        (void)unlink(path);
        (void)snprintf(path, sizeof(path), "%s/%.*s-wal", directory, NAME_BYTES - 1, names[i]);
        (void)unlink(path);
    }
}

int pst_store_move_aside(const char *directory, const char *path, uint64_t *ret_kept)
{
    uint64_t now_ns = pst_clock_realtime_ns();
    time_t seconds = (time_t)(now_ns / PST_NS_PER_S);
    struct tm tm;
    char stamp[32], target[PATH_BYTES], from[PATH_BYTES];
    if (!gmtime_r(&seconds, &tm) || strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%S", &tm) == 0)
        return -EINVAL;
    (void)snprintf(target, sizeof(target), "%s/%s%s.%03uZ", directory, prefix, stamp,
                   (unsigned)(now_ns % PST_NS_PER_S / PST_NS_PER_MS));
    if (rename(path, target) < 0 && errno != ENOENT)
        return -errno;
    /* The log belongs to the file that went: left here it would be taken for the new one's. */
    size_t len = strlen(target);
    (void)snprintf(target + len, sizeof(target) - len, "-wal");
    (void)snprintf(from, sizeof(from), "%s-wal", path);
    if (rename(from, target) < 0)
        (void)unlink(from);
    (void)snprintf(from, sizeof(from), "%s-shm", path);
    (void)unlink(from);
    remove_oldest(directory);
    *ret_kept = pst_store_count_aside(directory);
    return 0;
}
