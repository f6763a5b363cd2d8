/* profile_query: merges the windows of a range into one profile, one window in memory at a time. A
 * window whose bytes do not decode is left out and counted; a merged profile that reaches its bound
 * is given as it is and says so. Runs on the asker's thread over a read-only connection. */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "internal.h"
#include "profile/pprof.h"

struct merge {
    struct pst_store *store;
    sqlite3 *db;
    const struct pst_store_query *query;
    bool (*cancelled)(void *context);
    void *cancel_context;
    struct pst_profile *into;
    struct pst_store_query_result result;
    int64_t period_ns;
    int64_t *series;
    size_t series_count, series_cap;
};

static bool matches(const struct pst_labels *labels, const struct pst_labels *wanted)
{
    for (size_t i = 0; wanted && i < pst_labels_count(wanted); i++) {
        struct pst_str name, value;
        pst_labels_at(wanted, i, &name, &value);
        bool found = false;
        for (size_t j = 0; !found && j < pst_labels_count(labels); j++) {
            struct pst_str other, its;
            pst_labels_at(labels, j, &other, &its);
            found = pst_str_eq(name, other) && pst_str_eq(value, its);
        }
        if (!found)
            return false;
    }
    return true;
}

static int add_series(struct merge *merge, int64_t id)
{
    if (merge->series_count == PST_MAX_STORE_SERIES) {
        merge->result.truncated = true;
        return 0;
    }
    if (merge->series_count == merge->series_cap) {
        size_t cap = merge->series_cap ? merge->series_cap * 2 : 32;
        int64_t *series = realloc(merge->series, cap * sizeof(*series));
        if (!series)
            return -ENOMEM;
        merge->series = series;
        merge->series_cap = cap;
    }
    merge->series[merge->series_count++] = id;
    return 0;
}

static int consider_series(struct merge *merge, sqlite3_stmt *stmt)
{
    struct pst_labels *labels = NULL;
    int r = pst_labels_decode(sqlite3_column_blob(stmt, 1), (size_t)sqlite3_column_bytes(stmt, 1),
                              &labels);
    if (r < 0)
        return r == -ENOMEM ? r : 0;
    bool wanted = matches(labels, merge->query->match);
    pst_labels_free(labels);
    return wanted ? add_series(merge, sqlite3_column_int64(stmt, 0)) : 0;
}

static int find_series(struct merge *merge)
{
    static const char sql[] = "SELECT id, labels FROM series WHERE ?1 = '' OR service = ?1";
    struct pst_str service = merge->query->service;
    sqlite3_stmt *stmt = NULL;
    int r = 0, code = sqlite3_prepare_v2(merge->db, sql, -1, &stmt, NULL);
    if (code == SQLITE_OK) {
        (void)sqlite3_bind_text(stmt, 1, service.ptr ? service.ptr : "", (int)service.len,
                                SQLITE_STATIC);
        while (r == 0 && (code = sqlite3_step(stmt)) == SQLITE_ROW)
            r = consider_series(merge, stmt);
    }
    (void)sqlite3_finalize(stmt);
    return r < 0 ? r : pst_store_reader_errno(merge->store, code);
}

static void note_window(struct merge *merge, const struct pst_profile *window, int64_t start_ns,
                        int64_t duration_ns, size_t bytes)
{
    struct pst_store_query_result *result = &merge->result;
    int64_t end_ns = start_ns + duration_ns;
    if (result->windows == 0 || start_ns < result->first_ns)
        result->first_ns = start_ns;
    if (result->windows == 0 || end_ns > result->last_ns)
        result->last_ns = end_ns;
    merge->period_ns = pst_profile_meta(window).period_ns;
    result->windows++;
    result->body_bytes += bytes;
}

/* The row is the database's copy of one window; nothing of it is kept. */
static int merge_row(struct merge *merge, sqlite3_stmt *stmt)
{
    const void *body = sqlite3_column_blob(stmt, 2);
    size_t bytes = (size_t)sqlite3_column_bytes(stmt, 2);
    struct pst_profile *window = NULL;
    int r = pst_pprof_decode(body, bytes, &window);
    if (r == -ENOMEM)
        return r;
    if (r < 0) {
        merge->result.bad_windows++;
        return 0;
    }
    r = pst_profile_merge(merge->into, window, merge->query->keep_label, merge->query->context);
    if (r == 0 || r == -ENOSPC)
        note_window(merge, window, sqlite3_column_int64(stmt, 0), sqlite3_column_int64(stmt, 1),
                    bytes);
    pst_profile_free(window);
    if (r == -ENOSPC || pst_profile_bytes(merge->into) > PST_MAX_MERGE_BYTES) {
        merge->result.truncated = true;
        return 0;
    }
    if (r == -EINVAL) {
        merge->result.bad_windows++;
        return 0;
    }
    return r;
}

static int merge_one_series(struct merge *merge, sqlite3_stmt *stmt, int64_t series)
{
    const int64_t longest = (int64_t)PST_MAX_STORE_WINDOW_S * (int64_t)PST_NS_PER_S;
    const struct pst_store_query *query = merge->query;
    int64_t from_ns = query->from_ns > INT64_MIN + longest ? query->from_ns - longest : INT64_MIN;
    (void)sqlite3_bind_int64(stmt, 1, series);
    (void)sqlite3_bind_int(stmt, 2, (int)query->mode);
    (void)sqlite3_bind_int64(stmt, 3, from_ns);
    (void)sqlite3_bind_int64(stmt, 4, query->to_ns);
    (void)sqlite3_bind_int64(stmt, 5, query->from_ns);
    int r = 0, code = SQLITE_DONE;
    while (r == 0 && !merge->result.truncated && (code = sqlite3_step(stmt)) == SQLITE_ROW) {
        if (merge->cancelled && merge->cancelled(merge->cancel_context))
            r = -ECANCELED;
        else
            r = merge_row(merge, stmt);
    }
    if (r == 0)
        r = pst_store_reader_errno(merge->store, code);
    (void)sqlite3_reset(stmt);
    return r;
}

static int merge_all(struct merge *merge)
{
    static const char sql[] =
        "SELECT time_ns, duration_ns, body FROM profile WHERE series = ?1 AND mode = ?2"
        " AND time_ns > ?3 AND time_ns < ?4 AND time_ns + duration_ns > ?5 ORDER BY time_ns";
    int r = find_series(merge);
    if (r < 0)
        return r;
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(merge->db, sql, -1, &stmt, NULL);
    r = pst_store_reader_errno(merge->store, code);
    for (size_t i = 0; r == 0 && i < merge->series_count; i++)
        r = merge_one_series(merge, stmt, merge->series[i]);
    (void)sqlite3_finalize(stmt);
    return r;
}

static void set_meta(struct merge *merge)
{
    struct pst_profile_meta meta = {
        .mode = merge->query->mode,
        .time_ns = merge->result.windows ? merge->result.first_ns : merge->query->from_ns,
        .duration_ns = merge->result.last_ns - merge->result.first_ns,
        .period_ns = merge->period_ns,
    };
    pst_profile_set_meta(merge->into, &meta);
}

int pst_store_merge(struct pst_store *store, const struct pst_store_query *query,
                    bool (*cancelled)(void *context), void *cancel_context,
                    struct pst_profile **ret, struct pst_store_query_result *ret_result)
{
    struct merge merge = {
        .store = store,
        .query = query,
        .cancelled = cancelled,
        .cancel_context = cancel_context,
        .into = pst_profile_new(query->mode),
    };
    if (!merge.into)
        return -ENOMEM;
    int r = pst_store_reader_open(store, &merge.db);
    if (r == 0) {
        r = merge_all(&merge);
        pst_store_reader_close(store, &merge.db);
    }
    free(merge.series);
    if (r < 0) {
        pst_profile_free(merge.into);
        return r;
    }
    set_meta(&merge);
    *ret = merge.into;
    if (ret_result)
        *ret_result = merge.result;
    return 0;
}
