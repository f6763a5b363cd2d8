/* inotify on the folders of the files, and what stat says as the judge of a change: events only
 * say when to look. Folders, not files, since editors and Kubernetes replace files by rename. */
#include "config/watch.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "internal.h"

/* File times come from a clock that moves at the kernel's tick. */
#define CLOCK_GRAIN_NS (10 * (int64_t)PST_NS_PER_MS)

struct state {
    bool there;
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified, changed;
};

struct file {
    char *path;
    struct state seen;
};

struct pst_config_watch {
    int fd;
    struct file *files;
    size_t count;
};

static struct state look(const char *path)
{
    struct state state = {0};
    struct stat info;

    if (stat(path, &info) == 0) {
        state.there = true;
        state.device = info.st_dev;
        state.inode = info.st_ino;
        state.size = info.st_size;
        state.modified = info.st_mtim;
        state.changed = info.st_ctim;
    }
    return state;
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool same(const struct state *a, const struct state *b)
{
    return a->there == b->there && a->device == b->device && a->inode == b->inode &&
           a->size == b->size && same_time(a->modified, b->modified) &&
           same_time(a->changed, b->changed);
}

static void watch_folder(int fd, const char *path)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');
    int len = slash ? (int)(slash - path) : 1;

    (void)snprintf(folder, sizeof folder, "%.*s", len ? len : 1, slash ? path : ".");
    /* A folder that cannot be watched is looked at by stat alone. */
    (void)inotify_add_watch(fd, folder,
                            IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE |
                                IN_ATTRIB | IN_ONLYDIR);
}

static struct file *free_files(struct file *files, size_t count)
{
    for (size_t i = 0; files && i < count; i++)
        free(files[i].path);
    free(files);
    return NULL;
}

static int64_t written_ns(const struct state *state)
{
    return (int64_t)state->changed.tv_sec * (int64_t)PST_NS_PER_S + state->changed.tv_nsec;
}

static int note_files(const struct pst_config *config, int fd, struct file **ret)
{
    int64_t loaded_ns = ((const struct pst_snapshot *)(const void *)config)->loaded_ns;
    size_t count = config->files.count;
    struct file *files = calloc(count + 1, sizeof *files);

    if (!files)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        char real[PATH_MAX];
        files[i].path = pst_str_dup(pst_str(config->files.items[i]));
        if (!files[i].path) {
            (void)free_files(files, count);
            return -ENOMEM;
        }
        /* Watch first, look then: a change in between is not lost. */
        if (fd >= 0) {
            watch_folder(fd, files[i].path);
            if (realpath(files[i].path, real))
                watch_folder(fd, real);
        }
        files[i].seen = look(files[i].path);
        /* Changed after the load read it: what was read is unknown, so it counts as changed. But
         * not for as long as a clock that was set back has not come to the file's time again. */
        int64_t written = written_ns(&files[i].seen);
        if (written >= loaded_ns - CLOCK_GRAIN_NS && written <= (int64_t)pst_clock_realtime_ns())
            files[i].seen.size = -1;
    }
    *ret = files;
    return 0;
}

int pst_config_watch_new(const struct pst_config *config, struct pst_config_watch **ret)
{
    struct pst_config_watch *watch = calloc(1, sizeof *watch);
    int rc;

    if (!watch)
        return -ENOMEM;
    watch->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    rc = note_files(config, watch->fd, &watch->files);
    if (rc < 0) {
        (void)pst_config_watch_free(watch);
        return rc;
    }
    watch->count = config->files.count;
    *ret = watch;
    return 0;
}

struct pst_config_watch *pst_config_watch_free(struct pst_config_watch *watch)
{
    if (!watch)
        return NULL;
    if (watch->fd >= 0)
        (void)close(watch->fd);
    (void)free_files(watch->files, watch->count);
    free(watch);
    return NULL;
}

int pst_config_watch_fd(const struct pst_config_watch *watch)
{
    return watch->fd;
}

/* What the events say does not matter. Bounded: a folder that changes without pause must not hold
 * the caller here; what is left wakes it again. */
static void drain(int fd)
{
    char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));

    for (int round = 0; fd >= 0 && round < 64; round++)
        if (read(fd, events, sizeof events) <= 0)
            return;
}

bool pst_config_watch_changed(struct pst_config_watch *watch)
{
    bool changed = false;

    drain(watch->fd);
    for (size_t i = 0; i < watch->count; i++) {
        struct state now = look(watch->files[i].path);
        char real[PATH_MAX];

        if (same(&now, &watch->files[i].seen))
            continue;
        watch->files[i].seen = now;
        changed = true;
        /* A new folder behind a symbolic link (..data) has not been watched before. */
        if (watch->fd >= 0 && realpath(watch->files[i].path, real))
            watch_folder(watch->fd, real);
    }
    return changed;
}

int pst_config_watch_follow(struct pst_config_watch *watch, const struct pst_config *config)
{
    struct file *files;
    int rc = note_files(config, watch->fd, &files);

    if (rc < 0)
        return rc;
    (void)free_files(watch->files, watch->count);
    watch->files = files;
    watch->count = config->files.count;
    return 0;
}
