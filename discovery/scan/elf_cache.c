/* Cache of what ELF files said. An entry of a file that carries no runtime is a key and a NULL;
 * the others are few. When the bound is met everything is forgotten: it is only a cache. */
#include "elf_cache.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/map.h"
#include "target/core.h"
#include "target/rootfs.h"

enum { ENTRIES_MAX = 32768 };

struct key {
    uint64_t device, inode, size;
    int64_t changed_ns, modified_ns; /* 0 with images known from memory only */
};

struct pst_elf_cache {
    struct pst_map *map; /* struct key -> struct pst_elf_python * */
    uint64_t read, cached;
};

struct pst_elf_cache *pst_elf_cache_new(void)
{
    struct pst_elf_cache *cache = calloc(1, sizeof(*cache));

    if (!cache)
        return NULL;
    cache->map = pst_map_new(sizeof(struct key), sizeof(struct pst_elf_python *), ENTRIES_MAX);
    return cache->map ? cache : pst_elf_cache_free(cache);
}

static void forget(struct pst_elf_cache *cache)
{
    const void *key;
    void *value;
    size_t cursor = 0;

    while (cache->map && pst_map_next(cache->map, &cursor, &key, &value))
        free(*(struct pst_elf_python **)value);
    if (cache->map)
        pst_map_clear(cache->map);
}

struct pst_elf_cache *pst_elf_cache_free(struct pst_elf_cache *cache)
{
    if (!cache)
        return NULL;
    forget(cache);
    pst_map_free(cache->map);
    free(cache);
    return NULL;
}

static int64_t nanoseconds(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static struct key key_of(const struct stat *st)
{
    return (struct key){st->st_dev, st->st_ino, (uint64_t)st->st_size, nanoseconds(st->st_ctim),
                        nanoseconds(st->st_mtim)};
}

/* Takes python over; NULL notes an image without a runtime. */
static int put(struct pst_elf_cache *cache, const struct key *key, struct pst_elf_python *python)
{
    void *value;

    int status = pst_map_put(cache->map, key, &value, NULL);
    if (status == -ENOSPC) {
        forget(cache);
        status = pst_map_put(cache->map, key, &value, NULL);
    }
    if (status < 0)
        free(python);
    else
        *(struct pst_elf_python **)value = python;
    return status;
}

static int keep(struct pst_elf_cache *cache, const struct key *key, const struct pst_elf *elf,
                struct pst_elf_python **ret)
{
    struct pst_elf_python *python = NULL;

    if (elf && pst_elf_has_python(elf)) {
        python = calloc(1, sizeof(*python));
        if (!python)
            return -ENOMEM;
        python->elf = *elf;
    }
    int status = put(cache, key, python);
    if (status < 0)
        return status;
    *ret = python;
    return python ? 0 : -ENOENT;
}

static bool lookup(struct pst_elf_cache *cache, const struct key *key, struct pst_elf_python **ret)
{
    struct pst_elf_python **value = pst_map_get(cache->map, key);

    if (!value)
        return false;
    cache->cached++;
    *ret = *value;
    return true;
}

/* -ENOEXEC and broken images carry no runtime; other errors say nothing about the image. */
static bool settled(int status)
{
    return status == 0 || status == -ENOEXEC || status == -EBADMSG;
}

static int from_file(struct pst_elf_cache *cache, int path_fd, const struct stat *st,
                     struct pst_elf_python **ret)
{
    struct key key = key_of(st);
    struct pst_elf elf;

    if (lookup(cache, &key, ret))
        return *ret ? 0 : -ENOENT;
    pst_autofd int fd = pst_rootfs_reopen(path_fd);
    if (fd < 0)
        return fd;
    cache->read++;
    struct pst_elf_source source = pst_elf_file(&fd, (uint64_t)st->st_size, PST_MAX_ELF_BYTES);
    int status = pst_elf_parse(&source, &elf);
    return settled(status) ? keep(cache, &key, status == 0 ? &elf : NULL, ret) : status;
}

struct loaded {
    struct pst_memory *memory;
    uint64_t start;
};

static int read_loaded(void *context, uint64_t offset, void *dst, size_t len)
{
    struct loaded *loaded = context;

    return pst_memory_read(loaded->memory, loaded->start + offset, dst, len);
}

/* The file cannot be opened (deleted, another uid's, another file system's name): what the loader
 * left in memory. The key then lacks times, so that an entry may be stale after an inode was used
 * again; the runtime is checked in memory in any case. */
static int from_memory(struct pst_elf_cache *cache, struct pst_memory *memory,
                       const struct pst_image *image, struct pst_elf_python **ret)
{
    struct key key = {((uint64_t)image->major << 32) | image->minor, image->inode, image->bytes, 0,
                      0};
    struct loaded loaded = {memory, image->start};
    struct pst_elf elf;

    if (lookup(cache, &key, ret))
        return *ret ? 0 : -ENOENT;
    cache->read++;
    pst_memory_budget(memory, PST_MAX_ELF_BYTES, PST_MAX_ELF_BYTES / 1024);
    struct pst_elf_source source = {read_loaded, &loaded, PST_MAX_IMAGE_BYTES, PST_MAX_ELF_BYTES};
    int status = pst_elf_parse_loaded(&source, image->start, &elf);
    return settled(status) ? keep(cache, &key, status == 0 ? &elf : NULL, ret) : status;
}

int pst_elf_cache_get(struct pst_elf_cache *cache, pid_t pid, struct pst_memory *memory,
                      const struct pst_image *image, struct pst_elf_python **ret)
{
    struct stat st;
    struct pst_core *core = pst_memory_core(memory);
    pst_autofd int fd =
        core ? pst_core_open_file(core, image->inode) : pst_rootfs_find(pid, image, &st);

    if (fd >= 0 && (!core || fstat(fd, &st) == 0)) {
        int status = from_file(cache, fd, &st, ret);
        if (status == 0 || status == -ENOENT)
            return status;
    }
    return from_memory(cache, memory, image, ret);
}

bool pst_elf_cache_knows_exe(struct pst_elf_cache *cache, pid_t pid)
{
    char path[64];
    struct stat st;
    struct pst_elf_python *python = NULL;

    (void)snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
    if (stat(path, &st) < 0)
        return false;
    struct key key = key_of(&st);
    return lookup(cache, &key, &python) && python;
}

void pst_elf_cache_stats(const struct pst_elf_cache *cache, uint64_t *ret_read,
                         uint64_t *ret_cached)
{
    *ret_read = cache->read;
    *ret_cached = cache->cached;
}
