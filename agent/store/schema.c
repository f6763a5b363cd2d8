/* Tables of the store. A profile's row is its header beside the very bytes that exporters send; the
 * index by series, mode and time answers everything but the bytes, so that a day's time line reads
 * no profile. Run by the writer on a fresh connection. */
#include <errno.h>
#include <stdio.h>

#include "internal.h"

enum { APPLICATION_ID = 0x70737472, SCHEMA_VERSION = 1 };

static const char create_sql[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE series (id INTEGER PRIMARY KEY, service TEXT NOT NULL, labels BLOB NOT NULL "
    "UNIQUE);"
    "CREATE INDEX series_by_service ON series (service);"
    "CREATE TABLE profile (id INTEGER PRIMARY KEY, series INTEGER NOT NULL, mode INTEGER NOT NULL,"
    " time_ns INTEGER NOT NULL, duration_ns INTEGER NOT NULL, samples INTEGER NOT NULL,"
    " value_ns INTEGER NOT NULL, sha256 BLOB NOT NULL, body BLOB NOT NULL);"
    "CREATE INDEX profile_by_series ON profile"
    " (series, mode, time_ns, duration_ns, value_ns, samples);"
    "CREATE INDEX profile_by_time ON profile (time_ns);";

static int pragma_value(sqlite3 *db, const char *sql, int *ret)
{
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(stmt);
        *ret = sqlite3_column_int(stmt, 0);
    }
    (void)sqlite3_finalize(stmt);
    return pst_db_errno(code);
}

int pst_store_schema(sqlite3 *db)
{
    int id = 0, version = 0, tables = 0;
    int r = pragma_value(db, "PRAGMA application_id", &id);
    if (r == 0)
        r = pragma_value(db, "PRAGMA user_version", &version);
    if (r == 0)
        r = pragma_value(db, "SELECT count(*) FROM sqlite_schema", &tables);
    if (r < 0)
        return r;
    if (tables > 0)
        return id == APPLICATION_ID && version == SCHEMA_VERSION ? 0 : -EUCLEAN;
    char stamp[96];
    (void)snprintf(stamp, sizeof(stamp),
                   "PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT;", APPLICATION_ID,
                   SCHEMA_VERSION);
    r = pst_db_exec(db, create_sql);
    if (r == 0)
        r = pst_db_exec(db, stamp);
    if (r < 0)
        (void)pst_db_exec(db, "ROLLBACK");
    return r;
}
