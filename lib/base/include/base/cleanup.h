/* Scope-bound release, so that early returns need no label: `pst_autofd int fd = open(...)`. */
#ifndef PST_BASE_CLEANUP_H
#define PST_BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

static inline void pst_cleanup_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

static inline void pst_cleanup_free(void *pointer)
{
    free(*(void **)pointer);
}

#define pst_autofd   __attribute__((cleanup(pst_cleanup_fd)))
#define pst_autofree __attribute__((cleanup(pst_cleanup_free)))
#define pst_auto(f)  __attribute__((cleanup(f)))

/* Hands ownership out of a cleanup variable. */
#define PST_STEAL(p)                                                                               \
    __extension__({                                                                                \
        __typeof__(p) pst_steal_tmp = (p);                                                         \
        (p) = NULL;                                                                                \
        pst_steal_tmp;                                                                             \
    })
static inline int pst_steal_fd(int *fd)
{
    int out = *fd;
    *fd = -1;
    return out;
}

#define PST_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
