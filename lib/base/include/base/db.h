/* The only opener of SQLite files: pragmas, limits and ownership checks in one place. */
#ifndef PST_BASE_DB_H
#define PST_BASE_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Opens or creates path (0600, regular file, owned by us) with WAL, foreign keys off, a page cache
 * of cache_kib KiB, defensive mode and trusted_schema off. 0 or -errno (-EUCLEAN: not a database,
 * -EPERM: foreign owner or not a regular file). */
int pst_db_open(const char *path, unsigned cache_kib, bool read_only, sqlite3 **ret_db);
void pst_db_close(sqlite3 **db);
/* SQLite's result code as negative errno: FULL -> -ENOSPC, READONLY -> -EROFS, BUSY -> -EBUSY,
 * CORRUPT/NOTADB -> -EUCLEAN, else -EIO. */
int pst_db_errno(int sqlite_code);
int pst_db_exec(sqlite3 *db, const char *sql);

/* Creates the directory (0700, with parents) and takes an exclusive lock on lock_name inside it,
 * held until *ret_lock_fd is closed or the process ends. A directory of ours that everybody may
 * write becomes 0700. 0 or -errno: -EBUSY another process holds it (*ret_holder is its pid, 0 when
 * unknown), -ELOOP the directory is a symlink, -EPERM it or the lock file belongs to somebody else.
 */
int pst_db_claim_directory(const char *directory, const char *lock_name, int *ret_lock_fd,
                           pid_t *ret_holder);

#endif
