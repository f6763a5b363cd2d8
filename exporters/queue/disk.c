/* Rows of a queue in SQLite. Bytes that come back are compared with their hash: the file may have
 * been changed by others or by a bad disk. */
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/db.h"
#include "base/limits.h"
#include "base/log.h"

enum { VERSION = 1, CACHE_KIB = 256, PATH_BYTES = 4400, LOCK_NAME_BYTES = 160 };

struct pst_disk {
    pthread_mutex_t lock;
    sqlite3 *db;
    sqlite3_stmt *insert, *remove, *load;
    int64_t last_row; /* that was given out or used; none is used twice */
    int64_t lost_row; /* rows up to this one were in a file that is no longer used */
    dev_t device;     /* of the file that is open */
    ino_t inode;
    int lock_fd;
    char directory[PATH_BYTES], lock_name[LOCK_NAME_BYTES], path[PATH_BYTES + LOCK_NAME_BYTES];
};

static const char create_sql[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " pushed_ns INTEGER NOT NULL, mode INTEGER NOT NULL, time_ns INTEGER NOT NULL,"
    " duration_ns INTEGER NOT NULL, samples INTEGER NOT NULL, value_ns INTEGER NOT NULL,"
    " labels BLOB NOT NULL, sha256 BLOB NOT NULL, body BLOB NOT NULL);"
    "PRAGMA application_id=1886614641; PRAGMA user_version=1; COMMIT;";

static int read_version(struct pst_disk *disk, int *ret)
{
    sqlite3_stmt *found = NULL;
    int code = sqlite3_prepare_v2(disk->db, "PRAGMA user_version", -1, &found, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(found);
    if (code == SQLITE_ROW)
        *ret = sqlite3_column_int(found, 0);
    (void)sqlite3_finalize(found);
    return pst_db_errno(code);
}

static int prepare(struct pst_disk *disk)
{
    const struct {
        sqlite3_stmt **statement;
        const char *sql;
    } all[] = {
        {&disk->insert, "INSERT INTO item (pushed_ns, mode, time_ns, duration_ns, samples,"
                        " value_ns, labels, sha256, body) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)"},
        {&disk->remove, "DELETE FROM item WHERE id = ?1"},
        {&disk->load, "SELECT mode, time_ns, duration_ns, samples, value_ns, labels, sha256, body"
                      " FROM item WHERE id = ?1"},
    };
    int code = SQLITE_OK;
    for (size_t i = 0; i < PST_ARRAY_SIZE(all) && code == SQLITE_OK; i++)
        code = sqlite3_prepare_v3(disk->db, all[i].sql, -1, SQLITE_PREPARE_PERSISTENT,
                                  all[i].statement, NULL);
    /* The table is of another shape. */
    return code == SQLITE_ERROR ? -EUCLEAN : pst_db_errno(code);
}

static void close_database(struct pst_disk *disk)
{
    (void)sqlite3_finalize(disk->insert);
    (void)sqlite3_finalize(disk->remove);
    (void)sqlite3_finalize(disk->load);
    disk->insert = disk->remove = disk->load = NULL;
    pst_db_close(&disk->db);
}

static int note_place(struct pst_disk *disk)
{
    struct stat st;
    if (stat(disk->path, &st) < 0)
        return -errno;
    disk->device = st.st_dev;
    disk->inode = st.st_ino;
    return 0;
}

static bool is_in_place(const struct pst_disk *disk)
{
    struct stat st;
    return stat(disk->path, &st) == 0 && st.st_dev == disk->device && st.st_ino == disk->inode;
}

/* -EPROTO: a newer version of this program wrote it. */
static int open_database(struct pst_disk *disk)
{
    int version = 0;
    int r = pst_db_open(disk->path, CACHE_KIB, false, &disk->db);
    if (r == 0)
        r = read_version(disk, &version);
    if (r == 0 && version > VERSION)
        r = -EPROTO;
    if (r == 0)
        r = pst_db_exec(disk->db, create_sql);
    if (r < 0 && disk->db)
        (void)pst_db_exec(disk->db, "ROLLBACK");
    if (r == 0)
        r = prepare(disk);
    if (r == 0)
        r = note_place(disk);
    if (r < 0)
        close_database(disk);
    return r;
}

enum fate { REMOVE, KEEP };

static void move_files(const struct pst_disk *disk, enum fate fate)
{
    static const char *const endings[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < PST_ARRAY_SIZE(endings); i++) {
        char path[sizeof(disk->path) + 8], kept[sizeof(disk->path) + 16];
        (void)snprintf(path, sizeof(path), "%s%s", disk->path, endings[i]);
        (void)snprintf(kept, sizeof(kept), "%s.newer%s", disk->path, endings[i]);
        (void)(fate == KEEP ? rename(path, kept) : unlink(path));
    }
}

static int claim(struct pst_disk *disk)
{
    pid_t holder = 0;
    if (disk->lock_fd >= 0)
        (void)close(disk->lock_fd);
    disk->lock_fd = -1;
    return pst_db_claim_directory(disk->directory, disk->lock_name, &disk->lock_fd, &holder);
}

/* Numbers of rows go on: who still names one of the old file's finds nothing. */
static int open_empty(struct pst_disk *disk, enum fate fate)
{
    char sql[96];
    close_database(disk);
    move_files(disk, fate);
    disk->lost_row = disk->last_row;
    int r = open_database(disk);
    (void)snprintf(sql, sizeof(sql), "INSERT INTO sqlite_sequence VALUES ('item', %lld)",
                   (long long)disk->last_row);
    return r < 0 ? r : pst_db_exec(disk->db, sql);
}

static int begin_anew(struct pst_disk *disk)
{
    pst_log_warn("queue_damaged", "the queue %s was damaged and is begun anew", disk->path);
    return open_empty(disk, REMOVE);
}

static int leave_to_newer(struct pst_disk *disk)
{
    pst_log_warn("queue_newer",
                 "the queue %s was written by a newer version: kept as %s.newer, begun anew",
                 disk->path, disk->path);
    return open_empty(disk, KEEP);
}

/* Where nothing is left of the file that was open. */
static int come_back(struct pst_disk *disk)
{
    int r = claim(disk);
    return r < 0 ? r : open_empty(disk, REMOVE);
}

int pst_disk_open(const char *directory, const char *name, struct pst_disk **ret)
{
    struct pst_disk *disk = calloc(1, sizeof(*disk));
    if (!disk)
        return -ENOMEM;
    disk->lock_fd = -1;
    (void)pthread_mutex_init(&disk->lock, NULL);
    (void)snprintf(disk->directory, sizeof(disk->directory), "%s", directory);
    (void)snprintf(disk->path, sizeof(disk->path), "%s/%.100s.queue", disk->directory, name);
    (void)snprintf(disk->lock_name, sizeof(disk->lock_name), "%.100s.lock", name);
    int r = claim(disk);
    if (r == 0)
        r = open_database(disk);
    if (r == -EUCLEAN)
        r = begin_anew(disk);
    if (r == -EPROTO)
        r = leave_to_newer(disk);
    if (r < 0) {
        (void)pst_disk_close(disk);
        return r;
    }
    *ret = disk;
    return 0;
}

struct pst_disk *pst_disk_close(struct pst_disk *disk)
{
    if (disk) {
        close_database(disk);
        if (disk->lock_fd >= 0)
            (void)close(disk->lock_fd);
        (void)pthread_mutex_destroy(&disk->lock);
        free(disk);
    }
    return NULL;
}

struct pst_disk *pst_disk_remove(struct pst_disk *disk)
{
    if (disk) {
        bool ours = is_in_place(disk);
        close_database(disk);
        if (ours)
            move_files(disk, REMOVE);
    }
    return pst_disk_close(disk);
}

/* ---- reading ---- */

static void free_labels(struct pst_labels **labels)
{
    pst_labels_free(*labels);
}

static int labels_of(sqlite3_stmt *row, int column, struct pst_labels **ret)
{
    const void *data = sqlite3_column_blob(row, column);
    int bytes = sqlite3_column_bytes(row, column);
    return pst_labels_decode(data ? data : "", bytes > 0 ? (size_t)bytes : 0, ret);
}

static bool valid_mode(int64_t mode)
{
    return mode >= 0 && mode < PST_MODE_COUNT;
}

static void note_row(struct pst_disk *disk, int64_t row)
{
    if (row > disk->last_row && row < INT64_MAX / 2)
        disk->last_row = row;
}

/* A row that makes no sense is passed over: it is not given out and goes with the file. */
static bool tell_row(sqlite3_stmt *found,
                     bool (*each)(void *context, const struct pst_disk_row *row), void *context)
{
    pst_auto(free_labels) struct pst_labels *labels = NULL;
    int64_t mode = sqlite3_column_int64(found, 2), bytes = sqlite3_column_int64(found, 5);
    if (!valid_mode(mode) || bytes < 0 || labels_of(found, 4, &labels) < 0)
        return true;
    struct pst_item item = {.labels = labels,
                            .mode = (enum pst_mode)mode,
                            .time_ns = sqlite3_column_int64(found, 3),
                            .body_bytes = (size_t)bytes};
    struct pst_disk_row row = {
        .row = sqlite3_column_int64(found, 0),
        .pushed_ns = sqlite3_column_int64(found, 1),
        .item = &item,
    };
    return each(context, &row);
}

int pst_disk_list(struct pst_disk *disk,
                  bool (*each)(void *context, const struct pst_disk_row *row), void *context)
{
    sqlite3_stmt *found = NULL;
    pthread_mutex_lock(&disk->lock);
    int code = sqlite3_prepare_v2(
        disk->db, "SELECT id, pushed_ns, mode, time_ns, labels, length(body) FROM item ORDER BY id",
        -1, &found, NULL);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(found);
        if (code == SQLITE_ROW)
            note_row(disk, sqlite3_column_int64(found, 0));
        if (code != SQLITE_ROW || !tell_row(found, each, context))
            break;
    }
    (void)sqlite3_finalize(found);
    int r = pst_db_errno(code);
    if (r == -EUCLEAN)
        r = begin_anew(disk);
    pthread_mutex_unlock(&disk->lock);
    return r;
}

static int item_of(sqlite3_stmt *found, struct pst_item **ret)
{
    pst_auto(free_labels) struct pst_labels *labels = NULL;
    struct pst_item *item = NULL;
    int64_t mode = sqlite3_column_int64(found, 0);
    if (!valid_mode(mode) || sqlite3_column_bytes(found, 6) != sizeof(item->sha256))
        return -ENOENT;
    int r = labels_of(found, 5, &labels);
    if (r < 0)
        return r == -ENOMEM ? r : -ENOENT;
    struct pst_profile_meta meta = {.mode = (enum pst_mode)mode,
                                    .time_ns = sqlite3_column_int64(found, 1),
                                    .duration_ns = sqlite3_column_int64(found, 2)};
    const void *body = sqlite3_column_blob(found, 7);
    int bytes = sqlite3_column_bytes(found, 7);
    r = pst_item_from_body(labels, &meta, sqlite3_column_int64(found, 3),
                           sqlite3_column_int64(found, 4), body ? body : "",
                           bytes > 0 ? (size_t)bytes : 0, &item);
    if (r < 0)
        return r;
    if (memcmp(item->sha256, sqlite3_column_blob(found, 6), sizeof(item->sha256)) != 0) {
        (void)pst_item_unref(item);
        return -ENOENT;
    }
    *ret = item;
    return 0;
}

int pst_disk_load(struct pst_disk *disk, int64_t row, struct pst_item **ret)
{
    pthread_mutex_lock(&disk->lock);
    if (!disk->db) { /* it could not be begun anew */
        pthread_mutex_unlock(&disk->lock);
        return -ENOENT;
    }
    (void)sqlite3_bind_int64(disk->load, 1, row);
    int code = sqlite3_step(disk->load);
    int r = code == SQLITE_ROW ? item_of(disk->load, ret) : pst_db_errno(code);
    if (code == SQLITE_DONE)
        r = -ENOENT;
    (void)sqlite3_reset(disk->load);
    pthread_mutex_unlock(&disk->lock);
    return r;
}

/* ---- writing ---- */

static int run(sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
    return pst_db_errno(code);
}

static int insert(struct pst_disk *disk, struct pst_disk_row *added)
{
    const struct pst_item *item = added->item;
    pst_auto(pst_buf_done) struct pst_buf labels;
    pst_buf_init(&labels, PST_MAX_DB_VALUE_BYTES);
    int r = pst_labels_encode(item->labels, &labels);
    if (r < 0)
        return r;
    const int64_t numbers[] = {added->pushed_ns,  (int64_t)item->mode, item->time_ns,
                               item->duration_ns, item->samples,       item->value_ns};
    for (size_t i = 0; i < PST_ARRAY_SIZE(numbers); i++)
        (void)sqlite3_bind_int64(disk->insert, (int)i + 1, numbers[i]);
    const char *text = labels.data ? labels.data : "";
    int code = sqlite3_bind_blob64(disk->insert, 7, text, labels.len, SQLITE_STATIC);
    if (code == SQLITE_OK)
        code =
            sqlite3_bind_blob64(disk->insert, 8, item->sha256, sizeof(item->sha256), SQLITE_STATIC);
    if (code == SQLITE_OK)
        code = sqlite3_bind_blob64(disk->insert, 9, item->body, item->body_bytes, SQLITE_STATIC);
    r = code == SQLITE_OK ? run(disk->insert) : pst_db_errno(code);
    added->row = sqlite3_last_insert_rowid(disk->db);
    note_row(disk, added->row);
    return r;
}

/* Under the lock. */
static int change(struct pst_disk *disk, const int64_t *removed, size_t removed_count,
                  struct pst_disk_row *added, size_t added_count)
{
    int r = pst_db_exec(disk->db, "BEGIN IMMEDIATE");
    for (size_t i = 0; i < removed_count && r == 0; i++) {
        (void)sqlite3_bind_int64(disk->remove, 1, removed[i]);
        r = run(disk->remove);
    }
    for (size_t i = 0; i < added_count && r == 0; i++)
        r = insert(disk, &added[i]);
    if (r == 0)
        r = pst_db_exec(disk->db, "COMMIT");
    if (r < 0)
        (void)pst_db_exec(disk->db, "ROLLBACK");
    else if (removed_count)
        (void)pst_db_exec(disk->db, "PRAGMA incremental_vacuum(512)");
    return r;
}

/* SQLite goes on with a file that has lost its name: what it holds can be written to another. */
static int copy_to_place(struct pst_disk *disk)
{
    sqlite3_stmt *copy = NULL;
    pst_autofd int fd = open(disk->path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    (void)sqlite3_limit(disk->db, SQLITE_LIMIT_ATTACHED, 1); /* which it does by attaching */
    int code = sqlite3_prepare_v2(disk->db, "VACUUM INTO ?1", -1, &copy, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_bind_text(copy, 1, disk->path, -1, SQLITE_STATIC);
    if (code == SQLITE_OK)
        code = sqlite3_step(copy);
    (void)sqlite3_finalize(copy);
    (void)sqlite3_limit(disk->db, SQLITE_LIMIT_ATTACHED, 0);
    return pst_db_errno(code);
}

/* Somebody removed the file, perhaps with its folder and its lock. */
static int put_back(struct pst_disk *disk)
{
    pst_log_warn("queue_gone", "the queue's file %s was taken away: it is written anew",
                 disk->path);
    int r = claim(disk);
    if (r < 0)
        return r;
    r = copy_to_place(disk);
    if (r == 0) {
        close_database(disk);
        return open_database(disk);
    }
    move_files(disk, REMOVE);
    return r == -EUCLEAN ? open_empty(disk, REMOVE) : r; /* until there is room, from the old one */
}

/* Under the lock. A file in the place of ours is left alone: the next start takes it up. */
static int be_there(struct pst_disk *disk)
{
    struct stat st;
    if (!disk->db)
        return come_back(disk);
    if (is_in_place(disk))
        return 0;
    if (stat(disk->path, &st) == 0)
        return -EEXIST;
    /* A folder that may not be looked into any more takes nothing from the open file. */
    return errno == ENOENT || errno == ENOTDIR ? put_back(disk) : 0;
}

int pst_disk_change(struct pst_disk *disk, const int64_t *removed, size_t removed_count,
                    struct pst_disk_row *added, size_t added_count)
{
    pthread_mutex_lock(&disk->lock);
    int64_t lost_row = disk->lost_row;
    int r = be_there(disk);
    bool anew = disk->lost_row != lost_row;
    if (r == 0 && !anew)
        r = change(disk, removed, removed_count, added, added_count);
    if (r == -EUCLEAN) {
        anew = true;
        r = begin_anew(disk);
    }
    pthread_mutex_unlock(&disk->lock);
    return r == 0 && anew ? -ESTALE : r;
}

int64_t pst_disk_lost_row(struct pst_disk *disk)
{
    pthread_mutex_lock(&disk->lock);
    int64_t row = disk->lost_row;
    pthread_mutex_unlock(&disk->lock);
    return row;
}
