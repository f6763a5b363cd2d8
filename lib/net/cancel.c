/* The flag that ends blocking calls of another thread: an eventfd, so that poll sees it. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "net/net.h"

struct pst_cancel {
    int fd;
    atomic_bool raised;
};

struct pst_cancel *pst_cancel_new(void)
{
    struct pst_cancel *cancel = calloc(1, sizeof(*cancel));
    if (!cancel)
        return NULL;
    cancel->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (cancel->fd < 0) {
        free(cancel);
        return NULL;
    }
    atomic_init(&cancel->raised, false);
    return cancel;
}

struct pst_cancel *pst_cancel_free(struct pst_cancel *cancel)
{
    if (cancel) {
        (void)close(cancel->fd);
        free(cancel);
    }
    return NULL;
}

void pst_cancel_raise(struct pst_cancel *cancel)
{
    atomic_store(&cancel->raised, true);
    uint64_t one = 1;
    /* Fails only when the counter is full, which is readable all the same. */
    (void)!write(cancel->fd, &one, sizeof(one));
}

bool pst_cancel_raised(const struct pst_cancel *cancel)
{
    return cancel && atomic_load(&cancel->raised);
}

int pst_cancel_fd(const struct pst_cancel *cancel)
{
    return cancel ? cancel->fd : -1;
}
