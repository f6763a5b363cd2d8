/* The file of one queue: profiles as rows of a SQLite database, changed in small transactions. What
 * a transaction wrote is there after a kill; a power cut may take the last ones. Thread-safe; calls
 * block on the disk. */
#ifndef PST_QUEUE_DISK_H
#define PST_QUEUE_DISK_H

#include "profile/item.h"

struct pst_disk;

/* Opens or creates NAME.queue in the directory, which is created. A damaged file is begun anew; so
 * is one of a newer version of this program, which is kept as NAME.queue.newer. 0 or -errno: -EBUSY
 * another process uses it. */
int pst_disk_open(const char *directory, const char *name, struct pst_disk **ret);
struct pst_disk *pst_disk_close(struct pst_disk *disk);
/* Closes and removes the file. */
struct pst_disk *pst_disk_remove(struct pst_disk *disk);

struct pst_disk_row {
    int64_t row;
    int64_t pushed_ns; /* CLOCK_REALTIME */
    const struct pst_item
        *item; /* written: whole; listed: labels, mode, time and body_bytes alone */
};
/* All rows, oldest first, the item valid during the call; stops when the callback returns false. */
int pst_disk_list(struct pst_disk *disk,
                  bool (*each)(void *context, const struct pst_disk_row *row), void *context);

/* One transaction: removes rows, then adds some and fills their numbers. All or nothing. -ESTALE:
 * nothing was changed, but the file, which was damaged or taken away, was begun anew. */
int pst_disk_change(struct pst_disk *disk, const int64_t *removed, size_t removed_count,
                    struct pst_disk_row *added, size_t added_count);
/* Rows up to this one are not in the file: it was begun anew after them. */
int64_t pst_disk_lost_row(struct pst_disk *disk);
/* -ENOENT: no such row or not what was written. */
int pst_disk_load(struct pst_disk *disk, int64_t row, struct pst_item **ret);

#endif
