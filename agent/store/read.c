/* Questions that the index answers without reading a profile: services, series, time line. Each
 * runs on the asker's thread over its own read-only connection, opened for the question: opening
 * costs a fraction of a millisecond and nothing is held while nobody asks. */
#include "store/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "internal.h"

enum { CACHE_KIB = 512 };

int pst_store_reader_open(struct pst_store *store, sqlite3 **ret_db)
{
    (void)pthread_rwlock_rdlock(&store->file);
    int r = pst_db_open(store->path, CACHE_KIB, true, ret_db);
    if (r == 0)
        return 0;
    (void)pthread_rwlock_unlock(&store->file);
    if (r == -EUCLEAN)
        atomic_store(&store->suspect, true);
    return r == -ENOENT || r == -EUCLEAN ? -ENODEV : r;
}

void pst_store_reader_close(struct pst_store *store, sqlite3 **db)
{
    pst_db_close(db);
    (void)pthread_rwlock_unlock(&store->file);
}

int pst_store_reader_errno(struct pst_store *store, int sqlite_code)
{
    int r = pst_db_errno(sqlite_code);
    if (r == -EUCLEAN)
        atomic_store(&store->suspect, true);
    return r == -EUCLEAN ? -EIO : r;
}

static int64_t earliest(int64_t from_ns)
{
    const int64_t longest = (int64_t)PST_MAX_STORE_WINDOW_S * (int64_t)PST_NS_PER_S;
    return from_ns > INT64_MIN + longest ? from_ns - longest : INT64_MIN;
}

static struct pst_str column_str(sqlite3_stmt *stmt, int column)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    return (struct pst_str){text ? text : "",
                            text ? (size_t)sqlite3_column_bytes(stmt, column) : 0};
}

static int step_services(sqlite3_stmt *stmt,
                         int (*each)(void *context, const struct pst_store_service *service),
                         void *context, int *ret_code)
{
    while ((*ret_code = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct pst_store_service service = {
            .name = column_str(stmt, 0),
            .mode = (enum pst_mode)sqlite3_column_int(stmt, 1),
            .windows = (uint64_t)sqlite3_column_int64(stmt, 2),
            .samples = sqlite3_column_int64(stmt, 3),
            .value_ns = sqlite3_column_int64(stmt, 4),
            .first_ns = sqlite3_column_int64(stmt, 5),
            .last_ns = sqlite3_column_int64(stmt, 6),
        };
        int r = each(context, &service);
        if (r != 0)
            return r;
    }
    return 0;
}

int pst_store_services(struct pst_store *store, int64_t from_ns, int64_t to_ns,
                       int (*each)(void *context, const struct pst_store_service *service),
                       void *context)
{
    static const char sql[] =
        "SELECT s.service, p.mode, count(*), sum(p.samples), sum(p.value_ns), min(p.time_ns),"
        " max(p.time_ns + p.duration_ns) FROM series s CROSS JOIN profile p"
        " ON p.series = s.id AND p.mode IN (0, 1, 2) AND p.time_ns > ?1 AND p.time_ns < ?2"
        " WHERE p.time_ns + p.duration_ns > ?3 GROUP BY s.service, p.mode ORDER BY 5 DESC";
    sqlite3 *db = NULL;
    int r = pst_store_reader_open(store, &db);
    if (r < 0)
        return r;
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (code == SQLITE_OK) {
        (void)sqlite3_bind_int64(stmt, 1, earliest(from_ns));
        (void)sqlite3_bind_int64(stmt, 2, to_ns);
        (void)sqlite3_bind_int64(stmt, 3, from_ns);
        r = step_services(stmt, each, context, &code);
    }
    (void)sqlite3_finalize(stmt);
    if (r == 0)
        r = pst_store_reader_errno(store, code);
    pst_store_reader_close(store, &db);
    return r;
}

static int step_series(sqlite3_stmt *stmt,
                       int (*each)(void *context, const struct pst_labels *labels, int64_t value_ns,
                                   uint64_t windows),
                       void *context, int *ret_code)
{
    while ((*ret_code = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct pst_labels *labels = NULL;
        int r = pst_labels_decode(sqlite3_column_blob(stmt, 0),
                                  (size_t)sqlite3_column_bytes(stmt, 0), &labels);
        if (r == -ENOMEM)
            return r;
        if (r < 0)
            continue;
        r = each(context, labels, sqlite3_column_int64(stmt, 1),
                 (uint64_t)sqlite3_column_int64(stmt, 2));
        pst_labels_free(labels);
        if (r != 0)
            return r;
    }
    return 0;
}

int pst_store_series(struct pst_store *store, struct pst_str service, enum pst_mode mode,
                     int64_t from_ns, int64_t to_ns,
                     int (*each)(void *context, const struct pst_labels *labels, int64_t value_ns,
                                 uint64_t windows),
                     void *context)
{
    static const char sql[] =
        "SELECT s.labels, sum(p.value_ns), count(*) FROM series s CROSS JOIN profile p"
        " ON p.series = s.id AND p.mode = ?1 AND p.time_ns > ?2 AND p.time_ns < ?3"
        " WHERE (?5 = '' OR s.service = ?5) AND p.time_ns + p.duration_ns > ?4"
        " GROUP BY s.id ORDER BY 2 DESC";
    sqlite3 *db = NULL;
    int r = pst_store_reader_open(store, &db);
    if (r < 0)
        return r;
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (code == SQLITE_OK) {
        (void)sqlite3_bind_int(stmt, 1, (int)mode);
        (void)sqlite3_bind_int64(stmt, 2, earliest(from_ns));
        (void)sqlite3_bind_int64(stmt, 3, to_ns);
        (void)sqlite3_bind_int64(stmt, 4, from_ns);
        (void)sqlite3_bind_text(stmt, 5, service.ptr ? service.ptr : "", (int)service.len,
                                SQLITE_STATIC);
        r = step_series(stmt, each, context, &code);
    }
    (void)sqlite3_finalize(stmt);
    if (r == 0)
        r = pst_store_reader_errno(store, code);
    pst_store_reader_close(store, &db);
    return r;
}

/* Each bucket gets the part of the window's value that the window spent in it. */
static void spread(double *buckets, size_t count, double from, double width, double start,
                   double length, double value)
{
    double end = start + (length > 0 ? length : 1);
    for (size_t i = start > from ? (size_t)((start - from) / width) : 0; i < count; i++) {
        double low = from + width * (double)i, high = low + width;
        if (low >= end)
            break;
        double overlap = (end < high ? end : high) - (start > low ? start : low);
        if (overlap > 0)
            buckets[i] += value * overlap / (end - start);
    }
}

int pst_store_timeline(struct pst_store *store, struct pst_str service, enum pst_mode mode,
                       int64_t from_ns, int64_t to_ns, size_t bucket_count, double *ret_value_ns)
{
    static const char sql[] =
        "SELECT p.time_ns, p.duration_ns, p.value_ns FROM series s CROSS JOIN profile p"
        " ON p.series = s.id AND p.mode = ?1 AND p.time_ns > ?2 AND p.time_ns < ?3"
        " WHERE (?5 = '' OR s.service = ?5) AND p.time_ns + p.duration_ns > ?4";
    if (bucket_count == 0 || to_ns <= from_ns)
        return -EINVAL;
    memset(ret_value_ns, 0, bucket_count * sizeof(*ret_value_ns));
    sqlite3 *db = NULL;
    int r = pst_store_reader_open(store, &db);
    if (r < 0)
        return r;
    double width = (double)(to_ns - from_ns) / (double)bucket_count;
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (code == SQLITE_OK) {
        (void)sqlite3_bind_int(stmt, 1, (int)mode);
        (void)sqlite3_bind_int64(stmt, 2, earliest(from_ns));
        (void)sqlite3_bind_int64(stmt, 3, to_ns);
        (void)sqlite3_bind_int64(stmt, 4, from_ns);
        (void)sqlite3_bind_text(stmt, 5, service.ptr ? service.ptr : "", (int)service.len,
                                SQLITE_STATIC);
        /* Relative to the range's start: a double holds no nanoseconds since 1970. */
        while ((code = sqlite3_step(stmt)) == SQLITE_ROW)
            spread(ret_value_ns, bucket_count, 0, width,
                   (double)(sqlite3_column_int64(stmt, 0) - from_ns),
                   (double)sqlite3_column_int64(stmt, 1), (double)sqlite3_column_int64(stmt, 2));
    }
    (void)sqlite3_finalize(stmt);
    r = pst_store_reader_errno(store, code);
    pst_store_reader_close(store, &db);
    return r;
}
