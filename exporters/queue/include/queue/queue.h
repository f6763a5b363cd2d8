/* What waits for one exporter: bounded in bytes, items and age, oldest out first, every drop told
 * with its reason. One producer and several consumers; thread-safe. Push never blocks on anything
 * but memory.
 *
 * With a folder, what has waited for PST_QUEUE_WRITE_DELAY_NS is written to a file there by a
 * thread of the queue, so that it survives the process, and memory holds only a part of it. What a
 * consumer finishes sooner never meets the disk. A process that is killed loses what it was given
 * in that time and a write's length before, and may give out again what was finished then. While
 * the disk refuses, the queue is one in memory.
 *
 * Profiles of one series (labels and mode) reach consumers one after the other, in the order of
 * their push: while one is taken, and after it was released, no later one is given out. */
#ifndef PST_QUEUE_QUEUE_H
#define PST_QUEUE_QUEUE_H

#include "base/clock.h"
#include "exporters/progress.h"
#include "profile/item.h"

struct pst_queue;

struct pst_queue_bounds {
    size_t max_bytes; /* bodies plus PST_QUEUE_ITEM_BYTES each */
    size_t max_items;
    uint64_t max_age_ns;     /* since push; 0: any */
    size_t max_taken_bytes;  /* bodies with consumers at once, but always one item; 0: any */
    size_t max_memory_bytes; /* bodies in memory; 0: max_bytes */
};
#define PST_QUEUE_ITEM_BYTES     512
#define PST_QUEUE_WRITE_DELAY_NS (1 * PST_NS_PER_S)

struct pst_queue_drop {
    int64_t time_ns; /* the item's */
    size_t body_bytes;
    const char *reason; /* "queue_full", "expired", "too_large" (for the whole queue), "no_memory",
                         * "unreadable" (on disk), or what pst_queue_free was given */
};
struct pst_queue_owner {
    void *context;
    /* Called without the queue's lock, by the thread that caused it. */
    void (*dropped)(void *context, const struct pst_queue_drop *drop);
    /* From the queue's thread: what an earlier process left can be taken. NULL without a folder. */
    void (*loaded)(void *context);
    /* From the queue's thread: why the disk refuses, negative errno; 0 when it works again. */
    void (*disk)(void *context, int error);
};

/* directory and name: where its file lies; NULL: in memory alone. NULL when out of memory. Until
 * the file has been read nothing is given out. */
struct pst_queue *pst_queue_new(const struct pst_queue_bounds *bounds, const char *directory,
                                const char *name, const struct pst_queue_owner *owner);
/* New bounds for the bytes and the age; what is too much goes with the next push. */
void pst_queue_configure(struct pst_queue *queue, size_t max_bytes, uint64_t max_age_ns);
/* Writes what is not written, for at most PST_QUEUE_END_NS, and drops with the reason what does not
 * survive; with forget all of it, and the file. Consumers must be done. */
struct pst_queue *pst_queue_free(struct pst_queue *queue, const char *reason, bool forget);
#define PST_QUEUE_END_NS (400 * PST_NS_PER_MS)
/* The process ends soon: from now on everything is written at once. */
void pst_queue_hurry(struct pst_queue *queue);

/* References the item, or drops it. */
void pst_queue_push(struct pst_queue *queue, struct pst_item *item);

/* A taken item: it stays in the queue, safe from being dropped, until done or release. The entry
 * and its reference belong to the queue; the progress is the taker's to change. */
struct pst_queue_entry {
    const struct pst_item *item;
    struct pst_export_progress progress;
};
/* The oldest item whose series nobody has; while items are released, the one that was released
 * least often, and last of all one that was released again although others were done meanwhile.
 * Reads the disk when it is only there. False when there is none now: the queue is empty, all that
 * waits has to stay behind what others took, or the bytes that may be taken are used up. */
bool pst_queue_take(struct pst_queue *queue, struct pst_queue_entry **ret);
/* The taken item leaves the queue, delivered or given up: the caller counts it. */
void pst_queue_done(struct pst_queue *queue, struct pst_queue_entry *entry);
/* The taken item keeps its place and its progress. */
void pst_queue_release(struct pst_queue *queue, struct pst_queue_entry *entry);

struct pst_queue_stats {
    size_t items, bytes; /* the taken ones included */
    size_t taken;        /* items */
    size_t memory_bytes; /* bodies in memory */
};
struct pst_queue_stats pst_queue_stats(struct pst_queue *queue);

#endif
