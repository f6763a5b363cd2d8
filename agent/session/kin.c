/* Walks /proc/PID/task/TID/children, breadth first. */
#include "kin.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "target/procfs.h"

enum {
    CHILDREN_TEXT_BYTES = 32768,
    CHILDREN = 4096, /* of one thread, in one look */
    LATEST_BACKOFF = 5,
};

static const uint64_t first_wait_ns = 20 * PST_NS_PER_MS;

struct member {
    pid_t pid;
    uint64_t start_ticks, next_ns;
    unsigned tries;
};

struct pst_kin {
    struct member members[PST_MAX_TARGETS];
    size_t count;
    char last[64]; /* the text that tells the newest process id */
    bool again;    /* an id is given out a moment before its process hangs in the tree */
    char text[CHILDREN_TEXT_BYTES];
    pid_t children[CHILDREN];
};

struct pst_kin *pst_kin_new(void)
{
    return calloc(1, sizeof(struct pst_kin));
}

struct pst_kin *pst_kin_free(struct pst_kin *kin)
{
    free(kin);
    return NULL;
}

size_t pst_kin_parse(struct pst_str text, pid_t *dst, size_t size)
{
    struct pst_str rest = text, word;
    size_t count = 0;
    uint64_t pid;

    while (count < size && pst_str_next(&rest, ' ', &word))
        if (pst_str_u64(pst_str_trim(word), 10, INT_MAX, &pid) == 0 && pid > 0)
            dst[count++] = (pid_t)pid;
    return count;
}

static void add(struct pst_kin *kin, pid_t pid)
{
    struct pst_stat stat;

    if (pst_stat_read(pid, &stat) < 0 || stat.state == 'Z' || stat.state == 'X')
        return;
    for (size_t i = 0; i < kin->count; i++)
        if (kin->members[i].pid == pid && kin->members[i].start_ticks == stat.start_ticks)
            return;
    if (kin->count < PST_MAX_TARGETS)
        kin->members[kin->count++] = (struct member){.pid = pid, .start_ticks = stat.start_ticks};
}

static void add_children(struct pst_kin *kin, pid_t pid, const char *tid)
{
    char name[64];
    ssize_t len;
    size_t count;

    (void)snprintf(name, sizeof(name), "task/%.20s/children", tid);
    len = pst_procfs_read(pid, name, kin->text, sizeof(kin->text));
    if (len <= 0)
        return;
    count = pst_kin_parse((struct pst_str){kin->text, (size_t)len}, kin->children, CHILDREN);
    for (size_t i = 0; i < count; i++)
        add(kin, kin->children[i]);
}

static void add_children_of(struct pst_kin *kin, pid_t pid)
{
    char path[64];
    const struct dirent *entry;
    int threads = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *folder = opendir(path);
    if (!folder)
        return;
    while ((entry = readdir(folder)) && threads++ < PST_MAX_THREADS + 2)
        if (entry->d_name[0] != '.')
            add_children(kin, pid, entry->d_name);
    (void)closedir(folder);
}

bool pst_kin_news(struct pst_kin *kin)
{
    char text[64];
    int len = 0;
    FILE *file = fopen("/proc/loadavg", "re");

    /* Its last field is the newest process id. */
    if (file) {
        len = fscanf(file, "%*s %*s %*s %*s %63s", text);
        (void)fclose(file);
    }
    if (len != 1)
        return true;
    bool news = !pst_str_eq(pst_str(text), pst_str(kin->last)), again = kin->again;
    kin->again = news;
    (void)snprintf(kin->last, sizeof(kin->last), "%s", text);
    return news || again;
}

static void forget_ended(struct pst_kin *kin)
{
    struct pst_stat stat;
    size_t kept = 0;

    for (size_t i = 0; i < kin->count; i++)
        if (pst_stat_read(kin->members[i].pid, &stat) == 0 && stat.state != 'Z' &&
            stat.start_ticks == kin->members[i].start_ticks)
            kin->members[kept++] = kin->members[i];
    kin->count = kept;
}

void pst_kin_look(struct pst_kin *kin, pid_t pid)
{
    forget_ended(kin);
    add_children_of(kin, pid);
    for (size_t i = 0; i < kin->count; i++)
        add_children_of(kin, kin->members[i].pid);
}

pid_t pst_kin_due(struct pst_kin *kin, uint64_t now_ns)
{
    for (size_t i = 0; i < kin->count; i++) {
        struct member *member = &kin->members[i];

        if (now_ns < member->next_ns)
            continue;
        member->next_ns = now_ns + (first_wait_ns << member->tries);
        member->tries += member->tries < LATEST_BACKOFF;
        return member->pid;
    }
    return 0;
}
