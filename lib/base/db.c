/* The only opener of SQLite files: ownership, pragmas and limits are the same for every database of
 * ours, whoever uses it. The content of such a file is untrusted: it may have been damaged, so the
 * schema is not trusted and cells are checked. Memory mapping stays off, since a file that shrinks
 * under a mapping kills the process. Runs on the thread of whoever owns the connection. */
#include "base/db.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/limits.h"

int pst_db_errno(int sqlite_code)
{
    switch (sqlite_code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return 0;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_READONLY:
        return -EROFS;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return -EUCLEAN;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return -EPERM;
    case SQLITE_TOOBIG:
        return -EFBIG;
    default:
        return -EIO;
    }
}

int pst_db_exec(sqlite3 *db, const char *sql)
{
    return pst_db_errno(sqlite3_exec(db, sql, NULL, NULL, NULL));
}

void pst_db_close(sqlite3 **db)
{
    /* close_v2: a statement that somebody forgot keeps the connection, not the process, alive. */
    if (*db)
        (void)sqlite3_close_v2(*db);
    *db = NULL;
}

/* The file is looked at by name only: opening and closing it here would drop the POSIX locks that
 * other connections of this process hold on it. */
static int check_or_create(const char *path, bool read_only)
{
    struct stat st;
    if (lstat(path, &st) == 0)
        return S_ISREG(st.st_mode) && st.st_uid == geteuid() ? 0 : -EPERM;
    if (errno != ENOENT || read_only)
        return -errno;
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    (void)close(fd);
    return 0;
}

/* SQLite believes what lies beside the file under these names: a log that another user left would
 * be read as ours, and a shared index that he cuts short kills whoever has it mapped. */
static int check_companions(const char *path)
{
    static const char *const endings[] = {"-wal", "-shm", "-journal"};
    for (size_t i = 0; i < PST_ARRAY_SIZE(endings); i++) {
        char name[PATH_MAX];
        struct stat st;
        int len = snprintf(name, sizeof(name), "%s%s", path, endings[i]);
        if (len < 0 || (size_t)len >= sizeof(name))
            return -ENAMETOOLONG;
        if (lstat(name, &st) == 0 ? !S_ISREG(st.st_mode) || st.st_uid != geteuid()
                                  : errno != ENOENT)
            return -EPERM;
    }
    return 0;
}

static int set_up(sqlite3 *db, unsigned cache_kib, bool read_only)
{
    (void)sqlite3_busy_timeout(db, 2000);
    (void)sqlite3_limit(db, SQLITE_LIMIT_LENGTH, PST_MAX_DB_VALUE_BYTES);
    (void)sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
    (void)sqlite3_limit(db, SQLITE_LIMIT_TRIGGER_DEPTH, 1);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    char sql[160];
    (void)snprintf(sql, sizeof(sql),
                   "PRAGMA cache_size=-%u; PRAGMA mmap_size=0; PRAGMA cell_size_check=ON;"
                   "PRAGMA foreign_keys=OFF; PRAGMA temp_store=MEMORY;",
                   cache_kib);
    int r = pst_db_exec(db, sql);
    if (r < 0)
        return r;
    if (read_only)
        return pst_db_exec(db, "PRAGMA query_only=ON; SELECT count(*) FROM sqlite_schema;");
    /* auto_vacuum has an effect on a new file only, and only before the log is switched on. */
    r = pst_db_exec(db, "PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL;");
    if (r < 0)
        return r;
    return pst_db_exec(db, "PRAGMA synchronous=NORMAL; PRAGMA journal_size_limit=4194304;"
                           "SELECT count(*) FROM sqlite_schema;");
}

int pst_db_open(const char *path, unsigned cache_kib, bool read_only, sqlite3 **ret_db)
{
    int r = check_or_create(path, read_only);
    if (r == 0)
        r = check_companions(path);
    if (r < 0)
        return r;
    int flags = (read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) | SQLITE_OPEN_NOMUTEX |
                SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE;
    sqlite3 *db = NULL;
    int code = sqlite3_open_v2(path, &db, flags, NULL);
    if (!db)
        return -ENOMEM;
    r = code == SQLITE_OK ? set_up(db, cache_kib, read_only) : pst_db_errno(code);
    if (r == 0 && !read_only && sqlite3_db_readonly(db, "main") == 1)
        r = -EROFS; /* SQLite opens what it may not write, without a word */
    if (r == -EIO) {
        /* "Cannot open" hides what the kernel said, and that is what decides here. */
        int kernel = sqlite3_system_errno(db);
        if (kernel == EROFS || kernel == ENOSPC || kernel == EDQUOT || kernel == EACCES ||
            kernel == EMFILE || kernel == ENFILE)
            r = kernel == EDQUOT ? -ENOSPC : -kernel;
    }
    if (r < 0) {
        pst_db_close(&db);
        return r;
    }
    *ret_db = db;
    return 0;
}

/* O_NOFOLLOW judges the last component only when no slash follows it. */
static int open_directory(const char *directory, int *ret_fd)
{
    char path[4096];
    size_t len = strlen(directory);
    while (len > 1 && directory[len - 1] == '/')
        len--;
    if (len == 0 || len >= sizeof(path))
        return -ENAMETOOLONG;
    memcpy(path, directory, len);
    path[len] = '\0';
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        int r = pst_io_mkdir_p(path);
        if (r < 0)
            return r;
        fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    }
    if (fd < 0) {
        struct stat st;
        int error = errno;
        return lstat(path, &st) == 0 && S_ISLNK(st.st_mode) ? -ELOOP : -error;
    }
    *ret_fd = fd;
    return 0;
}

static pid_t read_holder(int fd)
{
    char text[32];
    ssize_t n = pread(fd, text, sizeof(text), 0);
    uint64_t pid = 0;
    if (n <= 0 ||
        pst_str_u64(pst_str_trim((struct pst_str){text, (size_t)n}), 10, INT32_MAX, &pid) < 0)
        return 0;
    return (pid_t)pid;
}

int pst_db_claim_directory(const char *directory, const char *lock_name, int *ret_lock_fd,
                           pid_t *ret_holder)
{
    pst_autofd int dir_fd = -1;
    int r = open_directory(directory, &dir_fd);
    if (r < 0)
        return r;
    struct stat st;
    if (fstat(dir_fd, &st) < 0)
        return -errno;
    /* Kubernetes makes an emptyDir that everybody may write; its owner may narrow it. What others
     * have put there before is refused one by one, as it is not ours. */
    if (st.st_uid != geteuid() || ((st.st_mode & S_IWOTH) && fchmod(dir_fd, st.st_mode & 0700) < 0))
        return -EPERM;
    pst_autofd int fd =
        openat(dir_fd, lock_name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == ELOOP ? -EPERM : -errno;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid())
        return -EPERM;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &lock) < 0) {
        if (errno != EAGAIN && errno != EACCES)
            return -errno;
        *ret_holder = read_holder(fd);
        return -EBUSY;
    }
    char text[32];
    int len = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    /* The lock is what counts; on a full disk the pid is missing from it. */
    if (ftruncate(fd, 0) == 0)
        (void)pst_io_write_all(fd, text, (size_t)len);
    *ret_lock_fd = pst_steal_fd(&fd);
    return 0;
}
