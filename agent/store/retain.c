/* Retention: by age over the time index, by size in the order of arrival (which no jump of the
 * clock can upset). Freed pages are reused; when many are free the file itself shrinks, in steps
 * small enough that the writer gets back to its queue. Run by the writer between transactions. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "internal.h"

enum {
    ROWS_A_STEP = 128,
    STEPS_A_TURN = 64,
    ORPHANS_EVERY_S = 600,
    LOG_BYTES = 4194304,
    LEAST_LOG_BYTES = 131072,
};

static int count_pragma(sqlite3 *db, const char *sql, uint64_t *ret)
{
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(stmt);
        *ret = (uint64_t)sqlite3_column_int64(stmt, 0);
    }
    (void)sqlite3_finalize(stmt);
    return pst_db_errno(code);
}

struct pages {
    uint64_t size, total, free;
};

static int measure(sqlite3 *db, struct pages *ret)
{
    int r = count_pragma(db, "PRAGMA page_size", &ret->size);
    if (r == 0)
        r = count_pragma(db, "PRAGMA page_count", &ret->total);
    if (r == 0)
        r = count_pragma(db, "PRAGMA freelist_count", &ret->free);
    return r;
}

static int delete_step(struct pst_store *store, const char *sql)
{
    sqlite3 *db = store->writer.db;
    int r = pst_db_exec(db, sql);
    if (r < 0)
        return r;
    uint64_t gone = (uint64_t)sqlite3_changes(db);
    store->writer.profiles -= gone < store->writer.profiles ? gone : store->writer.profiles;
    return (int)gone;
}

static int delete_old(struct pst_store *store, uint64_t retention_ns)
{
    uint64_t now_ns = pst_clock_realtime_ns();
    if (retention_ns >= now_ns)
        return 0;
    char sql[160];
    (void)snprintf(sql, sizeof(sql),
                   "DELETE FROM profile WHERE id IN (SELECT id FROM profile"
                   " WHERE time_ns < %lld ORDER BY time_ns LIMIT %d)",
                   (long long)(now_ns - retention_ns), ROWS_A_STEP);
    int r = ROWS_A_STEP;
    for (int step = 0; r == ROWS_A_STEP && step < STEPS_A_TURN; step++)
        r = delete_step(store, sql);
    return r < 0 ? r : 0;
}

static int delete_much(struct pst_store *store, uint64_t limit_bytes)
{
    char sql[128];
    (void)snprintf(sql, sizeof(sql),
                   "DELETE FROM profile WHERE id IN (SELECT id FROM profile ORDER BY id LIMIT %d)",
                   ROWS_A_STEP);
    uint64_t goal = limit_bytes;
    for (int step = 0; step < STEPS_A_TURN; step++) {
        struct pages pages;
        int r = measure(store->writer.db, &pages);
        if (r < 0)
            return r;
        if ((pages.total - pages.free) * pages.size <= goal)
            return 0;
        goal = limit_bytes - limit_bytes / 20; /* once over, make some room at a time */
        r = delete_step(store, sql);
        if (r <= 0)
            return r;
    }
    return 0;
}

/* Pages reach the file system only when the log is copied back and cut. */
static int give_back(sqlite3 *db, uint64_t limit_bytes, uint64_t log_bytes)
{
    uint64_t step_pages = log_bytes / 8192; /* what one step rewrites goes through the log */
    struct pages pages;
    int r = measure(db, &pages);
    if (r < 0)
        return r;
    bool many = pages.free > 64 && pages.free > pages.total / 12;
    if (!many && pages.total * pages.size <= limit_bytes)
        return 0;
    char sql[64];
    (void)snprintf(sql, sizeof(sql), "PRAGMA incremental_vacuum(%llu)",
                   (unsigned long long)step_pages);
    for (uint64_t left = pages.free, step = 0; left > 0 && step < STEPS_A_TURN; step++) {
        r = pst_db_exec(db, sql);
        if (r < 0)
            return r;
        left -= left < step_pages ? left : step_pages;
    }
    r = pst_db_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)");
    return r == -EBUSY ? 0 : r; /* a reader is on its way: the next turn does it */
}

/* Of the write-ahead log: part of the store's bound, and small on a small disk. */
static uint64_t log_allowance(const char *directory, uint64_t max_size_bytes)
{
    struct statvfs disk;
    uint64_t allowance = max_size_bytes / 8 < LOG_BYTES ? max_size_bytes / 8 : LOG_BYTES;
    if (statvfs(directory, &disk) == 0 && disk.f_blocks > 0) {
        uint64_t share = (uint64_t)disk.f_blocks * disk.f_frsize / 16;
        allowance = share < allowance ? share : allowance;
    }
    return allowance > LEAST_LOG_BYTES ? allowance : LEAST_LOG_BYTES;
}

/* A log that meets a full disk can neither grow nor be copied back, so nothing could even be
 * deleted. Therefore growth ends while there is still room for the log; from then on the newest
 * profiles take the pages of the oldest. */
int pst_store_respect_disk(struct pst_store *store, uint64_t max_size_bytes)
{
    struct statvfs disk;
    if (statvfs(store->directory, &disk) < 0)
        return 0;
    uint64_t reserve = 4 * log_allowance(store->directory, max_size_bytes);
    if ((uint64_t)disk.f_bavail * disk.f_frsize >= reserve)
        return 0;
    pst_store_make_room(store);
    int r = pst_db_exec(store->writer.db, "PRAGMA wal_checkpoint(TRUNCATE)");
    return r == -EBUSY ? 0 : r;
}

static int bound_log(sqlite3 *db, uint64_t allowance_bytes)
{
    char sql[128];
    uint64_t pages = allowance_bytes / 4096 / 2;
    (void)snprintf(
        sql, sizeof(sql), "PRAGMA wal_autocheckpoint=%llu; PRAGMA journal_size_limit=%llu",
        (unsigned long long)(pages < 32 ? 32 : pages), (unsigned long long)allowance_bytes);
    return pst_db_exec(db, sql);
}

int pst_store_retain(struct pst_store *store, uint64_t retention_ns, uint64_t max_size_bytes)
{
    sqlite3 *db = store->writer.db;
    uint64_t allowance = log_allowance(store->directory, max_size_bytes);
    uint64_t limit = max_size_bytes - (2 * allowance < max_size_bytes ? 2 * allowance : 0);
    int r = bound_log(db, allowance);
    if (r == 0)
        r = delete_old(store, retention_ns);
    if (r == 0)
        r = delete_much(store, limit);
    if (r == 0 && pst_clock_monotonic_ns() >= store->writer.next_orphans_ns) {
        store->writer.next_orphans_ns = pst_clock_monotonic_ns() + ORPHANS_EVERY_S * PST_NS_PER_S;
        r = pst_db_exec(db, "DELETE FROM series WHERE NOT EXISTS"
                            " (SELECT 1 FROM profile WHERE profile.series = series.id)");
    }
    return r < 0 ? r : give_back(db, limit, allowance);
}

void pst_store_make_room(struct pst_store *store)
{
    struct pages pages;
    if (measure(store->writer.db, &pages) < 0 || pages.free >= 64)
        return;
    char sql[128];
    (void)snprintf(sql, sizeof(sql),
                   "DELETE FROM profile WHERE id IN (SELECT id FROM profile ORDER BY id LIMIT %d)",
                   ROWS_A_STEP);
    (void)delete_step(store, sql);
}

uint64_t pst_store_disk_bytes(const char *path)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    uint64_t sum = 0;
    for (size_t i = 0; i < 3; i++) {
        char name[4400];
        struct stat st;
        (void)snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
        if (stat(name, &st) == 0 && st.st_size > 0)
            sum += (uint64_t)st.st_size;
    }
    return sum;
}
