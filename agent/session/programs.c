/* A list in the order of sight. */
#include "programs.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/limits.h"
#include "labels/mask.h"
#include "target/procfs.h"

struct program {
    pid_t pid, parent; /* parent: the nearest ancestor that was seen before it; 0: none */
    uint64_t id, start_ticks;
    char *command;
};

struct pst_programs {
    pthread_mutex_t lock;
    struct program *items;
    size_t count, cap;
};

struct pst_programs *pst_programs_new(void)
{
    struct pst_programs *programs = calloc(1, sizeof(*programs));

    if (programs)
        (void)pthread_mutex_init(&programs->lock, NULL);
    return programs;
}

struct pst_programs *pst_programs_free(struct pst_programs *programs)
{
    if (!programs)
        return NULL;
    for (size_t i = 0; i < programs->count; i++)
        free(programs->items[i].command);
    free(programs->items);
    (void)pthread_mutex_destroy(&programs->lock);
    free(programs);
    return NULL;
}

static bool reserve(struct pst_programs *programs)
{
    if (programs->count < programs->cap)
        return true;
    size_t cap = programs->cap ? 2 * programs->cap : 16;
    struct program *items =
        cap <= PST_MAX_PROGRAMS ? realloc(programs->items, cap * sizeof(*items)) : NULL;
    if (!items)
        return false;
    programs->items = items;
    programs->cap = cap;
    return true;
}

static const struct program *latest(const struct pst_programs *programs, pid_t pid)
{
    for (size_t i = programs->count; i > 0; i--)
        if (programs->items[i - 1].pid == pid)
            return &programs->items[i - 1];
    return NULL;
}

/* Between a Python and its Python may stand a shell. */
static pid_t find_parent(struct pst_programs *programs, pid_t pid)
{
    enum { GENERATIONS = 8 };
    struct pst_stat stat;

    for (int i = 0; i < GENERATIONS && pid > 1; i++) {
        (void)pthread_mutex_lock(&programs->lock);
        bool known = latest(programs, pid) != NULL;
        (void)pthread_mutex_unlock(&programs->lock);
        if (known)
            return pid;
        pid = pst_stat_read(pid, &stat) < 0 ? 0 : stat.ppid;
    }
    return 0;
}

void pst_programs_add(struct pst_programs *programs, const struct pst_facts *facts)
{
    enum { KEPT = 1024 };
    pid_t parent = find_parent(programs, facts->ppid);
    struct pst_buf command;

    pst_buf_init(&command, 2 * PST_MAX_CMDLINE_BYTES);
    (void)pst_mask_arguments(facts->argv, &command);
    struct pst_str text = pst_buf_view(&command);
    text.len = text.len > KEPT ? KEPT : text.len;
    (void)pthread_mutex_lock(&programs->lock);
    if (reserve(programs))
        programs->items[programs->count++] =
            (struct program){facts->pid, parent, facts->id, facts->start_ticks, pst_str_dup(text)};
    (void)pthread_mutex_unlock(&programs->lock);
    pst_buf_done(&command);
}

bool pst_programs_earlier(struct pst_programs *programs, const struct pst_facts *facts)
{
    bool found = false;

    (void)pthread_mutex_lock(&programs->lock);
    for (size_t i = 0; i < programs->count && !found; i++)
        found = programs->items[i].pid == facts->pid &&
                programs->items[i].start_ticks == facts->start_ticks &&
                programs->items[i].id != facts->id;
    (void)pthread_mutex_unlock(&programs->lock);
    return found;
}

bool pst_programs_command(struct pst_programs *programs, pid_t pid, struct pst_str *ret)
{
    (void)pthread_mutex_lock(&programs->lock);
    const struct program *found = latest(programs, pid);
    const char *command = found ? found->command : NULL;
    (void)pthread_mutex_unlock(&programs->lock);
    *ret = pst_str(command ? command : "");
    return command != NULL;
}

pid_t pst_programs_parent(struct pst_programs *programs, pid_t pid)
{
    (void)pthread_mutex_lock(&programs->lock);
    const struct program *found = latest(programs, pid);
    pid_t parent = found ? found->parent : 0;
    (void)pthread_mutex_unlock(&programs->lock);
    return parent;
}
