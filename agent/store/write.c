/* The writer thread: the only one that changes the database. It opens the file, writes what is
 * queued in small transactions, keeps the bounds, and when the disk refuses it says why once, keeps
 * the queue and tries again every two seconds. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "internal.h"

enum {
    TRY_AGAIN_S = 2,
    RETAIN_EVERY_S = 1,
    CACHE_KIB = 1024,
};

struct refusal {
    int error;
    const char *word, *text;
};
static const struct refusal refusals[] = {
    {-ENOSPC, "disk_full", "the disk is full"},
    {-EROFS, "read_only", "the disk is read-only"},
    {-EACCES, "read_only", "no permission to write there"},
    {-EPERM, "read_only", "a file there belongs to somebody else or is no regular file"},
    {-EBUSY, "busy", "another process holds it"},
    {-EUCLEAN, "corrupt", "the database is damaged"},
    {-ENOMEM, "no_memory", "out of memory"},
    {-EIO, "io_error", "input/output error"},
};

static void degrade(struct pst_store *store, int error)
{
    const struct refusal *refusal = &refusals[PST_ARRAY_SIZE(refusals) - 1];
    for (size_t i = 0; i < PST_ARRAY_SIZE(refusals); i++)
        if (refusals[i].error == error)
            refusal = &refusals[i];
    store->writer.next_try_ns = pst_clock_monotonic_ns() + TRY_AGAIN_S * PST_NS_PER_S;
    (void)pthread_mutex_lock(&store->lock);
    bool news = store->degraded_word != refusal->word;
    store->degraded_word = refusal->word;
    store->stats.degraded = true;
    (void)snprintf(store->stats.reason, sizeof(store->stats.reason), "%s: %.96s", refusal->text,
                   store->directory);
    (void)pthread_mutex_unlock(&store->lock);
    if (news)
        pst_log_warn("store_degraded",
                     "the embedded store in %s keeps nothing for now: %s; exporters go on",
                     store->directory, refusal->text);
}

static void recovered(struct pst_store *store)
{
    (void)pthread_mutex_lock(&store->lock);
    bool news = store->stats.degraded && store->stats.reason[0];
    store->stats.degraded = false;
    store->stats.reason[0] = '\0';
    store->degraded_word = NULL;
    (void)pthread_mutex_unlock(&store->lock);
    if (news)
        pst_log_info("store_recovered", "the embedded store writes again");
}

static void close_database(struct pst_store_writer *writer)
{
    (void)sqlite3_finalize(writer->insert_profile);
    (void)sqlite3_finalize(writer->insert_series);
    (void)sqlite3_finalize(writer->find_series);
    writer->insert_profile = writer->insert_series = writer->find_series = NULL;
    pst_db_close(&writer->db);
}

static void move_aside(struct pst_store *store)
{
    uint64_t kept = 0;
    close_database(&store->writer);
    (void)pthread_rwlock_wrlock(&store->file);
    int r = pst_store_move_aside(store->directory, store->path, &kept);
    (void)pthread_rwlock_unlock(&store->file);
    if (r < 0) {
        degrade(store, r);
        return;
    }
    pst_log_warn("store_corrupt",
                 "the embedded store was damaged: moved aside as %s.corrupt-*, a "
                 "new one is started",
                 store->path);
    (void)pthread_mutex_lock(&store->lock);
    store->stats.corrupt_files = kept;
    (void)pthread_mutex_unlock(&store->lock);
}

static int prepare(struct pst_store_writer *writer)
{
    static const char series[] = "INSERT OR IGNORE INTO series (service, labels) VALUES (?1, ?2)";
    static const char find[] = "SELECT id FROM series WHERE labels = ?1";
    static const char profile[] =
        "INSERT INTO profile (series, mode, time_ns, duration_ns, samples, value_ns, sha256, body)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    const unsigned keep = SQLITE_PREPARE_PERSISTENT;
    int code = sqlite3_prepare_v3(writer->db, series, -1, keep, &writer->insert_series, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_prepare_v3(writer->db, find, -1, keep, &writer->find_series, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_prepare_v3(writer->db, profile, -1, keep, &writer->insert_profile, NULL);
    return pst_db_errno(code);
}

static int count_profiles(struct pst_store_writer *writer)
{
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(writer->db, "SELECT count(*) FROM profile", -1, &stmt, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(stmt);
        writer->profiles = (uint64_t)sqlite3_column_int64(stmt, 0);
    }
    (void)sqlite3_finalize(stmt);
    return pst_db_errno(code);
}

static int open_database(struct pst_store *store)
{
    struct pst_store_writer *writer = &store->writer;
    if (store->lock_fd < 0) {
        pid_t holder = 0;
        int r =
            pst_db_claim_directory(store->directory, PST_STORE_LOCK_NAME, &store->lock_fd, &holder);
        if (r < 0)
            return r;
    }
    int r = pst_db_open(store->path, CACHE_KIB, false, &writer->db);
    if (r == 0)
        r = pst_store_schema(writer->db);
    if (r == 0)
        r = prepare(writer);
    if (r == 0)
        r = count_profiles(writer);
    struct stat st;
    if (r == 0 && stat(store->path, &st) < 0)
        r = -errno;
    if (r < 0) {
        close_database(writer);
        return r;
    }
    writer->device = st.st_dev;
    writer->inode = st.st_ino;
    return 0;
}

/* SQLite would go on writing into a file that somebody deleted or replaced. */
static void check_place(struct pst_store *store)
{
    struct stat st;
    struct pst_store_writer *writer = &store->writer;
    if (stat(store->path, &st) == 0 && st.st_dev == writer->device && st.st_ino == writer->inode)
        return;
    pst_log_warn("store_gone", "the embedded store's file was taken away: %s", store->path);
    close_database(writer);
}

/* A damaged file is moved aside at once, so that the second try finds an empty place. */
static void try_open(struct pst_store *store)
{
    int r = open_database(store);
    if (r == -EUCLEAN) {
        move_aside(store);
        r = open_database(store);
    }
    if (r < 0)
        degrade(store, r);
    else
        recovered(store);
}

static int series_id(struct pst_store_writer *writer, const struct pst_labels *labels,
                     int64_t *ret_id)
{
    struct pst_buf bytes;
    pst_buf_init(&bytes, PST_MAX_LABELS * (2 * PST_MAX_LABEL_VALUE_BYTES + 2));
    int r = pst_labels_encode(labels, &bytes);
    if (r < 0) {
        pst_buf_done(&bytes);
        return r;
    }
    struct pst_str service = pst_labels_get(labels, "service_name");
    sqlite3_stmt *insert = writer->insert_series, *find = writer->find_series;
    const void *blob = bytes.data ? bytes.data : "";
    (void)sqlite3_bind_text(insert, 1, service.ptr ? service.ptr : "", (int)service.len,
                            SQLITE_STATIC);
    (void)sqlite3_bind_blob(insert, 2, blob, (int)bytes.len, SQLITE_STATIC);
    (void)sqlite3_bind_blob(find, 1, blob, (int)bytes.len, SQLITE_STATIC);
    int code = sqlite3_step(insert);
    if (code == SQLITE_DONE) {
        code = sqlite3_step(find);
        *ret_id = code == SQLITE_ROW ? sqlite3_column_int64(find, 0) : 0;
    }
    r = code == SQLITE_ROW ? 0 : code == SQLITE_DONE ? -EIO : pst_db_errno(code);
    (void)sqlite3_reset(insert);
    (void)sqlite3_reset(find);
    (void)sqlite3_clear_bindings(insert);
    (void)sqlite3_clear_bindings(find);
    pst_buf_done(&bytes);
    return r;
}

static int insert_item(struct pst_store_writer *writer, const struct pst_item *item)
{
    int64_t series = 0;
    int r = series_id(writer, item->labels, &series);
    if (r < 0)
        return r;
    sqlite3_stmt *stmt = writer->insert_profile;
    (void)sqlite3_bind_int64(stmt, 1, series);
    (void)sqlite3_bind_int(stmt, 2, (int)item->mode);
    (void)sqlite3_bind_int64(stmt, 3, item->time_ns);
    (void)sqlite3_bind_int64(stmt, 4, item->duration_ns);
    (void)sqlite3_bind_int64(stmt, 5, item->samples);
    (void)sqlite3_bind_int64(stmt, 6, item->value_ns);
    (void)sqlite3_bind_blob(stmt, 7, item->sha256, sizeof(item->sha256), SQLITE_STATIC);
    (void)sqlite3_bind_blob(stmt, 8, item->body, (int)item->body_bytes, SQLITE_STATIC);
    int code = sqlite3_step(stmt);
    (void)sqlite3_reset(stmt);
    (void)sqlite3_clear_bindings(stmt);
    return pst_db_errno(code);
}

static int write_items(struct pst_store_writer *writer, struct pst_item **items, size_t count)
{
    int r = pst_db_exec(writer->db, "BEGIN IMMEDIATE");
    for (size_t i = 0; r == 0 && i < count; i++)
        r = insert_item(writer, items[i]);
    if (r == 0)
        r = pst_db_exec(writer->db, "COMMIT");
    if (r < 0) {
        (void)pst_db_exec(writer->db, "ROLLBACK");
        return r;
    }
    writer->profiles += count;
    for (size_t i = 0; i < count; i++)
        writer->unchecked_bytes += items[i]->body_bytes;
    return 0;
}

/* What the disk refused is queued again. A full disk leaves the connection usable, and the oldest
 * profiles give way to the newest; after anything else the file is opened afresh. */
static void refused(struct pst_store *store, int r)
{
    degrade(store, r);
    if (r == -ENOSPC)
        pst_store_make_room(store);
    if (r == -EUCLEAN) {
        move_aside(store);
        store->writer.next_try_ns = 0;
    } else if (r != -ENOSPC && r != -EBUSY && r != -ENOMEM) {
        close_database(&store->writer);
    }
}

static int64_t oldest_time(sqlite3 *db)
{
    sqlite3_stmt *stmt = NULL;
    int64_t oldest = 0;
    if (sqlite3_prepare_v2(db, "SELECT min(time_ns) FROM profile", -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW)
        oldest = sqlite3_column_int64(stmt, 0);
    (void)sqlite3_finalize(stmt);
    return oldest;
}

static void keep_bounds(struct pst_store *store)
{
    struct pst_store_writer *writer = &store->writer;
    (void)pthread_mutex_lock(&store->lock);
    uint64_t retention_ns = store->retention_ns, max_size_bytes = store->max_size_bytes;
    (void)pthread_mutex_unlock(&store->lock);
    writer->unchecked_bytes = 0;
    writer->next_retain_ns = pst_clock_monotonic_ns() + RETAIN_EVERY_S * PST_NS_PER_S;
    int r = pst_store_retain(store, retention_ns, max_size_bytes);
    if (r < 0) {
        refused(store, r);
        return;
    }
    int64_t oldest_ns = oldest_time(writer->db);
    uint64_t bytes = pst_store_disk_bytes(store->path);
    (void)pthread_mutex_lock(&store->lock);
    store->stats.profiles = writer->profiles;
    store->stats.bytes = bytes;
    store->stats.oldest_ns = oldest_ns;
    (void)pthread_mutex_unlock(&store->lock);
}

static void write_queue(struct pst_store *store)
{
    struct pst_item *items[PST_STORE_BATCH_ITEMS];
    for (;;) {
        (void)pthread_mutex_lock(&store->lock);
        uint64_t max_size_bytes = store->max_size_bytes;
        size_t count = pst_store_queue_take(store, items);
        (void)pthread_mutex_unlock(&store->lock);
        if (count == 0)
            return;
        int r = pst_store_respect_disk(store, max_size_bytes);
        if (r == 0)
            r = write_items(&store->writer, items, count);
        (void)pthread_mutex_lock(&store->lock);
        if (r == 0)
            pst_store_queue_finish(store, items, count);
        else
            pst_store_queue_return(store, items, count);
        (void)pthread_cond_broadcast(&store->done);
        (void)pthread_mutex_unlock(&store->lock);
        if (r < 0) {
            refused(store, r);
            return;
        }
        recovered(store);
        if (store->writer.unchecked_bytes > max_size_bytes / 64)
            keep_bounds(store);
        if (!store->writer.db)
            return;
    }
}

/* A reader met damage: believed when SQLite's own check agrees. */
static void examine(struct pst_store *store)
{
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(store->writer.db, "PRAGMA quick_check(1)", -1, &stmt, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(stmt);
    bool sound =
        code == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") == 0;
    (void)sqlite3_finalize(stmt);
    if (!sound)
        refused(store, -EUCLEAN);
}

/* Sleeps until there is something to write and it may be tried, or for a second. True: stopping. */
static bool wait_for_work(struct pst_store *store)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 1;
    (void)pthread_mutex_lock(&store->lock);
    while (!store->stopping && (store->queue.count == 0 || store->stats.degraded) &&
           !atomic_load(&store->suspect))
        if (pthread_cond_timedwait(&store->work, &store->lock, &until) != 0)
            break;
    bool stopping = store->stopping;
    (void)pthread_mutex_unlock(&store->lock);
    return stopping;
}

static void work(struct pst_store *store, bool stopping)
{
    struct pst_store_writer *writer = &store->writer;
    if (!stopping && pst_clock_monotonic_ns() < writer->next_try_ns)
        return;
    if (writer->db)
        check_place(store);
    if (!writer->db)
        try_open(store);
    if (writer->db && atomic_exchange(&store->suspect, false))
        examine(store);
    if (writer->db)
        write_queue(store);
    if (writer->db && pst_clock_monotonic_ns() >= writer->next_retain_ns)
        keep_bounds(store);
}

void *pst_store_writer_main(void *argument)
{
    struct pst_store *store = argument;
    bool stopping = false;
    while (!stopping) {
        stopping = wait_for_work(store);
        work(store, stopping);
    }
    close_database(&store->writer);
    (void)pthread_mutex_lock(&store->lock);
    pst_store_queue_drop_all(store, "shutdown");
    store->ended = true;
    (void)pthread_cond_broadcast(&store->done);
    (void)pthread_mutex_unlock(&store->lock);
    return NULL;
}
