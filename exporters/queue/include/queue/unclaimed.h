/* Queue files that no exporter of the configuration has: it was removed while the agent was
 * stopped. What they hold waits for it for as long as it would have waited in use; then they go. */
#ifndef PST_QUEUE_UNCLAIMED_H
#define PST_QUEUE_UNCLAIMED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pst_unclaimed {
    const char *name; /* of the file, without its ending */
    size_t items, bytes;
    bool removed; /* nothing in it was young enough to be sent */
};
struct pst_unclaimed_owner {
    void *context;
    /* True: not to be touched. It may be another program's file. */
    bool (*claimed)(void *context, const char *name);
    void (*found)(void *context, const struct pst_unclaimed *file);
};

/* Looks through the folder; a file that another process uses is left alone and not told of. 0 for
 * max_age_ns: nothing becomes too old. Blocks on the disk. */
void pst_unclaimed_sweep(const char *directory, uint64_t max_age_ns,
                         const struct pst_unclaimed_owner *owner);

#endif
