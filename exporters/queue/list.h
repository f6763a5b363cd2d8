/* What the files of a queue share: queue.c keeps the list, spool.c its copy on disk. */
#ifndef PST_QUEUE_LIST_H
#define PST_QUEUE_LIST_H

#include <pthread.h>

#include "base/limits.h"
#include "disk.h"
#include "queue/queue.h"
#include "series.h"

struct pst_node {
    struct pst_queue_entry entry; /* first: what takers hold */
    struct pst_node *older, *newer;
    struct pst_item *item; /* NULL while it is on disk alone */
    size_t body_bytes;
    int64_t time_ns;      /* the item's */
    uint64_t series;      /* names the series; equal for two of them only by chance */
    int64_t pushed_ns;    /* CLOCK_MONOTONIC; below 0 when an earlier boot pushed it */
    int64_t row;          /* on disk; 0: not there */
    const char *reason;   /* once dropped */
    uint64_t held_ns;     /* its disk did not give it: not to be taken until then; 0: not held */
    uint64_t done_before; /* what had left the queue when it was released last */
    unsigned releases;
    unsigned strikes; /* releases since the one before which others left the queue */
    bool taken;
    bool writing; /* the spool's thread has it */
    bool gone;    /* left the queue meanwhile: the thread frees it */
};

struct pst_spool {
    pthread_t thread;
    pthread_cond_t wake, over;
    char *directory, *name;
    struct pst_disk *disk;      /* the thread's to open; others use it once ready */
    struct pst_node *unwritten; /* the oldest that is neither on disk nor being written */
    struct pst_node *buried;    /* left the queue, their rows not yet removed; by newer */
    uint64_t next_try_ns;       /* while the disk refuses */
    int64_t lost_row;           /* rows up to this one are known to have gone with their file */
    int error;
    bool ready, hurried, stopping, ended;
};

struct pst_queue {
    struct pst_queue_bounds bounds;
    struct pst_queue_owner owner;
    pthread_mutex_t lock; /* guards all below */
    struct pst_node *oldest, *newest;
    size_t items, bytes, memory_bytes;
    size_t taken, taken_bytes, held;
    uint64_t done;              /* items that left it by pst_queue_done */
    bool failing;               /* the last item that came back was released */
    struct pst_series_set busy; /* what was taken or is held */
    bool has_spool;
    struct pst_spool spool;
};

/* ---- queue.c, all under the lock ---- */
/* A node that does not belong to the list any more; frees it now or when its row is removed. */
void pst_list_discard(struct pst_queue *queue, struct pst_node *node);
/* Puts what an earlier process left before everything else. */
void pst_list_prepend(struct pst_queue *queue, struct pst_node *first, struct pst_node *last,
                      size_t items, size_t bytes);
/* The item's bytes are on disk: memory does without. */
void pst_list_unload(struct pst_queue *queue, struct pst_node *node);

/* ---- spool.c ---- */
int pst_spool_start(struct pst_queue *queue, const char *directory, const char *name);
/* Waits for the thread's end. False when it still works: nothing may be freed. */
bool pst_spool_stop(struct pst_queue *queue);
void pst_spool_done(struct pst_queue *queue, bool forget);

#endif
