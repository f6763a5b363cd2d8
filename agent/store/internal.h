/* What the files of the store share: the state, and who may touch which part of it. */
#ifndef PST_STORE_INTERNAL_H
#define PST_STORE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/db.h"
#include "base/limits.h"
#include "store/store.h"

/* Waiting items, oldest first; guarded by pst_store.lock. What the writer has taken and not yet
 * written still counts, so that there is room to put it back. */
struct pst_store_queue {
    struct pst_item *items[PST_MAX_STORE_QUEUE_ITEMS];
    size_t head, count, bytes;
    size_t taken, taken_bytes;
};
enum { PST_STORE_BATCH_ITEMS = 64 };
#define PST_STORE_LOCK_NAME "store.lock"

/* The writer thread's own: nobody else reads it. */
struct pst_store_writer {
    sqlite3 *db;
    sqlite3_stmt *insert_profile, *insert_series, *find_series;
    uint64_t next_try_ns;    /* monotonic: neither opened nor written before */
    uint64_t next_retain_ns; /* monotonic */
    uint64_t next_orphans_ns;
    uint64_t profiles;        /* rows, counted once at open */
    uint64_t unchecked_bytes; /* written since the bounds were last looked at */
    dev_t device;             /* of the file that was opened */
    ino_t inode;
};

struct pst_store {
    char *directory, *path;
    pthread_t thread;
    pthread_rwlock_t file; /* readers of the file share it; moving the file aside excludes them */
    atomic_bool suspect;   /* a reader met damage */

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t work, done;
    struct pst_store_queue queue;
    int lock_fd;            /* -1: not held yet */
    uint64_t put, finished; /* items ever queued; ever written or dropped */
    bool stopping, ended;
    uint64_t retention_ns, max_size_bytes;
    struct pst_store_stats stats;
    const char *degraded_word; /* counter's word for what is dropped while degraded */

    struct pst_store_writer writer;
};

/* schema.c: creates or checks tables; -EUCLEAN for a file that is not of this version. */
int pst_store_schema(sqlite3 *db);

/* write.c: the thread's body. */
void *pst_store_writer_main(void *store);

/* retain.c: deletes what is too old or too much and gives the room back to the file system. */
int pst_store_retain(struct pst_store *store, uint64_t retention_ns, uint64_t max_size_bytes);
/* Before a transaction: ends the store's growth while the disk still has room for its log. */
int pst_store_respect_disk(struct pst_store *store, uint64_t max_size_bytes);
/* The disk is full: unless pages are free already, the oldest profiles make room inside the file.
 */
void pst_store_make_room(struct pst_store *store);
/* Bytes on disk of the database with its log. */
uint64_t pst_store_disk_bytes(const char *path);

/* read.c: a read-only connection for one question; closed by pst_store_reader_close. */
int pst_store_reader_open(struct pst_store *store, sqlite3 **ret_db);
void pst_store_reader_close(struct pst_store *store, sqlite3 **db);
/* What a failing statement means; damage is handed to the writer. */
int pst_store_reader_errno(struct pst_store *store, int sqlite_code);

/* aside.c: renames the damaged file, keeps at most two such; *ret_kept is how many there are. */
int pst_store_move_aside(const char *directory, const char *path, uint64_t *ret_kept);
uint64_t pst_store_count_aside(const char *directory);

/* queue.c: lock held in each. push takes over the reference and drops what is oldest when full. */
void pst_store_queue_push(struct pst_store *store, struct pst_item *item);
size_t pst_store_queue_take(struct pst_store *store,
                            struct pst_item *ret_items[PST_STORE_BATCH_ITEMS]);
/* The taken items are done with (references dropped) or go back to the front. */
void pst_store_queue_finish(struct pst_store *store, struct pst_item **items, size_t count);
void pst_store_queue_return(struct pst_store *store, struct pst_item **items, size_t count);
void pst_store_queue_drop_all(struct pst_store *store, const char *reason);
/* Counts one lost profile; lock held. */
void pst_store_count_drop(struct pst_store *store, const char *reason);

#endif
