/* The queue on disk: what survives, what memory holds, and what happens when the disk refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../scratch.h"
#include "base/clock.h"
#include "base/db.h"
#include "made.h"

static char *directory;
static atomic_int loads, disk_error;

static int setup(void **state)
{
    directory = new_directory();
    log_text[0] = '\0';
    atomic_store(&disk_error, 0);
    return 0;
}

static int teardown(void **state)
{
    remove_directory(directory);
    return 0;
}

static void on_loaded(void *context)
{
    atomic_fetch_add(&loads, 1);
}

static void on_disk(void *context, int error)
{
    atomic_store(&disk_error, error);
}

#define eventually(condition)                                                                      \
    do {                                                                                           \
        int turns = 0;                                                                             \
        struct timespec moment = {.tv_nsec = 5000000};                                             \
        while (!(condition) && turns++ < 4000)                                                     \
            (void)nanosleep(&moment, NULL);                                                        \
        if (!(condition))                                                                          \
            fail_msg("never: %s", #condition);                                                     \
    } while (0)

static struct pst_queue *start(size_t max_bytes, size_t memory_bytes)
{
    struct pst_queue_bounds bounds = {max_bytes, 10000, 0, 0, memory_bytes};
    struct pst_queue_owner owner = {NULL, on_drop, on_loaded, on_disk};
    atomic_store(&loads, 0);
    struct pst_queue *queue = pst_queue_new(&bounds, directory, "test", &owner);
    assert_non_null(queue);
    eventually(atomic_load(&loads) == 1);
    return queue;
}

static void what_waits_survives_the_process_in_order(void **state)
{
    struct pst_queue *queue = start(1 << 20, 1 << 20);
    for (int n = 1; n <= 6; n++)
        push_of(queue, n % 2 ? "odd" : "even", n, (size_t)n * 100);
    assert_int_equal(take(queue), 1);
    pst_queue_done(queue, taken);
    pst_queue_free(queue, "shutdown", false);
    for (int turn = 0; turn < 2; turn++) {
        queue = start(1 << 20, 1 << 20);
        assert_int_equal(pst_queue_stats(queue).items, 5);
        assert_int_equal(pst_queue_stats(queue).memory_bytes, 0);
        push_of(queue, "odd", 100 + turn, 10);
        for (int n = 2; n <= 3; n++) {
            assert_int_equal(take(queue), n);
            assert_int_equal(taken->item->body_bytes, n * 100);
            assert_true(pst_str_eq(pst_labels_get(taken->item->labels, "service_name"),
                                   n % 2 ? PST_STR("odd") : PST_STR("even")));
        }
        assert_int_equal(take(queue), -1);
        eventually(pst_queue_stats(queue).items == 6);
        pst_queue_free(queue, "removed", turn == 1);
        if (turn == 0) { /* the one that was pushed goes again, behind the others */
            queue = start(1 << 20, 1 << 20);
            int64_t last = 0;
            for (int64_t n; (n = take(queue)) > 0; last = n)
                pst_queue_done(queue, taken);
            assert_int_equal(last, 100);
            for (int n = 2; n <= 6; n++)
                push_of(queue, n % 2 ? "odd" : "even", n, (size_t)n * 100);
            pst_queue_free(queue, "shutdown", false);
            assert_string_equal(log_text, "");
        }
    }
    assert_string_equal(log_text, "removed:2 removed:3 removed:4 removed:5 removed:6 removed:101");
    queue = start(1 << 20, 1 << 20);
    assert_int_equal(pst_queue_stats(queue).items, 0);
    pst_queue_free(queue, "shutdown", false);
}

static void past_its_memory_it_is_on_disk_alone(void **state)
{
    struct pst_queue *queue = start(8 << 20, 64 << 10);
    for (int n = 1; n <= 400; n++) {
        push_of(queue, "shop", n, 4000);
        eventually(pst_queue_stats(queue).memory_bytes <= 48 << 10);
    }
    assert_string_equal(log_text, "");
    assert_int_equal(pst_queue_stats(queue).items, 400);
    for (int n = 1; n <= 400; n++) {
        assert_int_equal(take(queue), n);
        assert_true(pst_queue_stats(queue).memory_bytes <= 64 << 10);
        pst_queue_done(queue, taken);
    }
    pst_queue_free(queue, "shutdown", false);
    queue = start(8 << 20, 64 << 10);
    assert_int_equal(pst_queue_stats(queue).items, 0);
    pst_queue_free(queue, "shutdown", false);
}

static int64_t rows_on_disk(void)
{
    char path[64];
    sqlite3 *db = NULL;
    sqlite3_stmt *count = NULL;
    int64_t rows = -1;
    (void)snprintf(path, sizeof(path), "%s/test.queue", directory);
    if (pst_db_open(path, 64, true, &db) == 0 &&
        sqlite3_prepare_v2(db, "SELECT count(*) FROM item", -1, &count, NULL) == SQLITE_OK &&
        sqlite3_step(count) == SQLITE_ROW)
        rows = sqlite3_column_int64(count, 0);
    (void)sqlite3_finalize(count);
    pst_db_close(&db);
    return rows;
}

static void what_is_on_disk_leaves_memory_and_not_the_queue(void **state)
{
    struct pst_queue *queue = start(8 << 20, 64 << 10);
    pst_queue_hurry(queue);
    for (int n = 1; n <= 7; n++)
        push_of(queue, "shop", n, 4000);
    eventually(rows_on_disk() == 7);
    for (int n = 8; n <= 22; n++)
        push_of(queue, "shop", n, 4000);
    assert_string_equal(log_text, "");
    for (int n = 1; n <= 22; n++) {
        assert_int_equal(take(queue), n);
        pst_queue_done(queue, taken);
    }
    pst_queue_free(queue, "shutdown", false);
}

static void past_its_bytes_the_oldest_goes_from_disk_too(void **state)
{
    struct pst_queue *queue = start(10 * (4000 + PST_QUEUE_ITEM_BYTES), 16 << 10);
    for (int n = 1; n <= 12; n++) {
        push_of(queue, "shop", n, 4000);
        eventually(pst_queue_stats(queue).memory_bytes <= 12 << 10);
    }
    assert_string_equal(log_text, "queue_full:1 queue_full:2");
    pst_queue_free(queue, "shutdown", false);
    queue = start(1 << 20, 16 << 10);
    assert_int_equal(pst_queue_stats(queue).items, 10);
    assert_int_equal(take(queue), 3);
    pst_queue_free(queue, "shutdown", false);
}

static void a_process_that_is_killed_loses_only_the_last_moment(void **state)
{
    int pipes[2];
    char word;
    assert_int_equal(pipe(pipes), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct pst_queue *queue = start(1 << 20, 1 << 20);
        for (int n = 1; n <= 50; n++)
            push_of(queue, "shop", n, 100);
        struct timespec delay = {.tv_sec = 2}; /* the delay, and time for the write */
        (void)nanosleep(&delay, NULL);
        push_of(queue, "shop", 51, 100);
        (void)!write(pipes[1], "x", 1);
        for (;;)
            (void)pause();
    }
    assert_int_equal(read(pipes[0], &word, 1), 1);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    struct pst_queue *queue = start(1 << 20, 1 << 20);
    assert_in_range(pst_queue_stats(queue).items, 50, 51);
    for (int n = 1; n <= 50; n++) {
        assert_int_equal(take(queue), n);
        pst_queue_done(queue, taken);
    }
    pst_queue_free(queue, "shutdown", false);
}

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_disk_that_is_full_leaves_it_in_memory(void **state)
{
    (void)signal(SIGXFSZ, SIG_IGN);
    struct pst_queue *queue = start(8 << 20, 16 << 10);
    limit_files(64 << 10);
    int n = 1;
    struct timespec millisecond = {.tv_nsec = 1000000};
    for (; n <= 5000 && atomic_load(&disk_error) == 0; n++) {
        push_of(queue, "shop", n, 4000);
        (void)nanosleep(&millisecond, NULL);
    }
    assert_true(atomic_load(&disk_error) < 0);
    log_text[0] = '\0';
    for (int more = 0; more < 20; more++)
        push_of(queue, "shop", n++, 4000);
    assert_true(pst_queue_stats(queue).memory_bytes <= 16 << 10);
    assert_non_null(strstr(log_text, "queue_full"));
    assert_true(take(queue) > 0); /* it goes on */
    pst_queue_done(queue, taken);
    limit_files(RLIM_INFINITY);
    push_of(queue, "shop", n, 4000);
    eventually(atomic_load(&disk_error) == 0);
    size_t left = pst_queue_stats(queue).items;
    pst_queue_free(queue, "shutdown", false);
    queue = start(8 << 20, 16 << 10);
    assert_int_equal(pst_queue_stats(queue).items, left);
    pst_queue_free(queue, "shutdown", false);
}

static void on_drop_wait_for_the_disk(void *context, const struct pst_queue_drop *dropped)
{
    on_drop(context, dropped);
    if (dropped->time_ns == 1)
        eventually(atomic_load(&disk_error) != 0);
}

/* Between its leaving the list and its end the disk refuses the batch that it was in. */
static void what_is_dropped_while_the_disk_refuses_it_is_not_queued_again(void **state)
{
    char path[64];
    sqlite3 *other = NULL;
    struct pst_queue_bounds bounds = {1 << 20, 2, 0, 0, 1 << 20};
    struct pst_queue_owner owner = {NULL, on_drop_wait_for_the_disk, on_loaded, on_disk};
    atomic_store(&loads, 0);
    struct pst_queue *queue = pst_queue_new(&bounds, directory, "test", &owner);
    eventually(atomic_load(&loads) == 1);
    (void)snprintf(path, sizeof(path), "%s/test.queue", directory);
    assert_int_equal(pst_db_open(path, 64, false, &other), 0);
    assert_int_equal(pst_db_exec(other, "BEGIN IMMEDIATE"), 0);
    pst_queue_hurry(queue);
    push_of(queue, "shop", 1, 100);
    struct timespec begun = {.tv_nsec = 200000000}; /* the disk's thread waits for the other */
    (void)nanosleep(&begun, NULL);
    push_of(queue, "shop", 2, 100);
    push_of(queue, "shop", 3, 100); /* 1 goes */
    assert_string_equal(log_text, "queue_full:1");
    pst_db_close(&other);
    pst_queue_free(queue, "shutdown", false);
    assert_string_equal(log_text, "queue_full:1");
    queue = start(1 << 20, 1 << 20);
    assert_int_equal(pst_queue_stats(queue).items, 2);
    assert_int_equal(take(queue), 2);
    pst_queue_free(queue, "shutdown", false);
}

static void a_damaged_file_is_begun_anew(void **state)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "%s/test.queue", directory);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    for (int i = 0; i < 2000; i++)
        assert_int_equal(write(fd, "not a database ", 15), 15);
    (void)close(fd);
    struct pst_queue *queue = start(1 << 20, 1 << 20);
    push_of(queue, "shop", 1, 100);
    pst_queue_free(queue, "shutdown", false);
    queue = start(1 << 20, 1 << 20);
    assert_int_equal(take(queue), 1);
    pst_queue_free(queue, "shutdown", false);
}

/* The first page, which says that it is a database, is whole. */
static void a_file_damaged_behind_its_first_page_is_begun_anew(void **state)
{
    char path[64], garbage[4096];
    (void)snprintf(path, sizeof(path), "%s/test.queue", directory);
    memset(garbage, 0xa5, sizeof(garbage));
    struct pst_queue *queue = start(1 << 20, 1 << 20);
    for (int n = 1; n <= 60; n++)
        push_of(queue, "shop", n, 3000);
    pst_queue_free(queue, "shutdown", false);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    off_t size = lseek(fd, 0, SEEK_END);
    assert_true(size > 20 * 4096);
    for (off_t at = 4096; at < size; at += 4096)
        assert_int_equal(pwrite(fd, garbage, 4096, at), 4096);
    (void)close(fd);
    queue = start(1 << 20, 1 << 20);
    push_of(queue, "shop", 100, 100);
    assert_int_equal(take(queue), 100);
    pst_queue_release(queue, taken);
    pst_queue_free(queue, "shutdown", false);
    queue = start(1 << 20, 1 << 20);
    assert_int_equal(atomic_load(&disk_error), 0);
    assert_int_equal(take(queue), 100);
    pst_queue_free(queue, "shutdown", false);
    assert_null(strstr(log_text, "shutdown"));
}

static void a_table_of_another_shape_is_begun_anew(void **state)
{
    char path[64];
    sqlite3 *db = NULL;
    (void)snprintf(path, sizeof(path), "%s/test.queue", directory);
    assert_int_equal(pst_db_open(path, 64, false, &db), 0);
    assert_int_equal(pst_db_exec(db, "CREATE TABLE item (id INTEGER PRIMARY KEY, other TEXT)"), 0);
    pst_db_close(&db);
    struct pst_queue *queue = start(1 << 20, 1 << 20);
    assert_int_equal(atomic_load(&disk_error), 0);
    push_of(queue, "shop", 1, 100);
    pst_queue_free(queue, "shutdown", false);
    assert_string_equal(log_text, "");
}

static int run_sql(const char *sql)
{
    char path[64];
    sqlite3 *db = NULL;
    (void)snprintf(path, sizeof(path), "%s/test.queue", directory);
    assert_int_equal(pst_db_open(path, 64, false, &db), 0);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL);
    int r = pst_db_exec(db, sql);
    pst_db_close(&db);
    return r;
}

static void a_file_of_a_newer_version_is_kept(void **state)
{
    char kept[80];
    struct pst_queue *queue = start(1 << 20, 1 << 20);
    push_of(queue, "shop", 1, 100);
    pst_queue_free(queue, "shutdown", false);
    assert_int_equal(run_sql("ALTER TABLE item ADD COLUMN more; PRAGMA user_version=2"), 0);
    queue = start(1 << 20, 1 << 20);
    assert_int_equal(atomic_load(&disk_error), 0);
    assert_int_equal(take(queue), -1);
    push_of(queue, "shop", 2, 100);
    pst_queue_free(queue, "shutdown", false);
    assert_int_equal(rows_on_disk(), 1);
    (void)snprintf(kept, sizeof(kept), "%s/test.queue", directory);
    assert_int_equal(unlink(kept), 0);
    (void)snprintf(kept, sizeof(kept), "%s/test.queue.newer", directory);
    char path[64];
    (void)snprintf(path, sizeof(path), "%s/test.queue", directory);
    assert_int_equal(rename(kept, path), 0);
    assert_int_equal(rows_on_disk(), 1);
    assert_string_equal(log_text, "");
}

static void remove_files(void)
{
    static const char *const names[] = {"test.queue", "test.queue-wal", "test.queue-shm",
                                        "test.lock"};
    for (size_t i = 0; i < 4; i++) {
        char path[80];
        (void)snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        (void)unlink(path);
    }
}

/* Somebody cleared the folder, and with it what was on disk alone. */
static void a_file_that_was_taken_away_is_written_anew_with_all_that_was_in_it(void **state)
{
    struct pst_queue *queue = start(8 << 20, 64 << 10);
    pst_queue_hurry(queue);
    for (int n = 1; n <= 100; n++) {
        push_of(queue, "shop", n, 4000);
        eventually(pst_queue_stats(queue).memory_bytes <= 48 << 10);
    }
    eventually(rows_on_disk() == 100);
    remove_files();
    assert_int_equal(rmdir(directory), 0);
    push_of(queue, "shop", 101, 4000);
    eventually(access(directory, F_OK) == 0 && rows_on_disk() == 101);
    assert_int_equal(atomic_load(&disk_error), 0);
    pst_queue_free(queue, "shutdown", false);
    queue = start(8 << 20, 64 << 10);
    for (int n = 1; n <= 101; n++) {
        assert_int_equal(take(queue), n);
        pst_queue_done(queue, taken);
    }
    assert_string_equal(log_text, "");
    pst_queue_free(queue, "shutdown", false);
}

static void a_file_in_the_place_of_a_queue_is_left_alone(void **state)
{
    char path[64], text[16] = "";
    struct pst_queue *queue = start(1 << 20, 1 << 20);
    pst_queue_hurry(queue);
    push_of(queue, "shop", 1, 100);
    eventually(rows_on_disk() == 1);
    remove_files();
    (void)snprintf(path, sizeof(path), "%s/test.queue", directory);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "not ours", 8), 8);
    push_of(queue, "shop", 2, 100);
    eventually(atomic_load(&disk_error) == -EEXIST);
    assert_int_equal(take(queue), 1);
    pst_queue_done(queue, taken);
    assert_int_equal(take(queue), 2);
    pst_queue_done(queue, taken);
    pst_queue_free(queue, "shutdown", false);
    assert_int_equal(pread(fd, text, sizeof(text), 0), 8);
    (void)close(fd);
    assert_int_equal(access(path, F_OK), 0);
}

/* What has been written needs no second write, unless its file was lost. */
static void what_memory_holds_of_a_damaged_file_is_written_again(void **state)
{
    struct pst_queue *queue = start(1 << 20, 1 << 20);
    pst_queue_hurry(queue);
    for (int n = 1; n <= 5; n++)
        push_of(queue, "shop", n, 100);
    eventually(rows_on_disk() == 5);
    assert_int_equal(run_sql("PRAGMA writable_schema=ON; UPDATE sqlite_schema SET rootpage = 999"
                             " WHERE name = 'item'; PRAGMA schema_version = 1000"),
                     0);
    push_of(queue, "shop", 6, 100);
    eventually(rows_on_disk() == 6);
    pst_queue_free(queue, "shutdown", false);
    queue = start(1 << 20, 1 << 20);
    for (int n = 1; n <= 6; n++) {
        assert_int_equal(take(queue), n);
        pst_queue_done(queue, taken);
    }
    assert_string_equal(log_text, "");
    pst_queue_free(queue, "shutdown", false);
}

static void a_time_that_cannot_be_is_long_ago(void **state)
{
    char path[64];
    sqlite3 *db = NULL;
    struct pst_queue_bounds bounds = {1 << 20, 10000, 3600 * PST_NS_PER_S, 0, 1 << 20};
    struct pst_queue_owner owner = {NULL, on_drop, on_loaded, on_disk};
    struct pst_queue *queue = start(1 << 20, 1 << 20);
    push_of(queue, "shop", 1, 100);
    pst_queue_free(queue, "shutdown", false);
    (void)snprintf(path, sizeof(path), "%s/test.queue", directory);
    assert_int_equal(pst_db_open(path, 64, false, &db), 0);
    assert_int_equal(pst_db_exec(db, "UPDATE item SET pushed_ns = -9223372036854775807 - 1"), 0);
    pst_db_close(&db);
    atomic_store(&loads, 0);
    queue = pst_queue_new(&bounds, directory, "test", &owner);
    eventually(atomic_load(&loads) == 1);
    assert_int_equal(take(queue), -1);
    assert_string_equal(log_text, "expired:1");
    pst_queue_free(queue, "shutdown", false);
}

static void a_file_in_use_leaves_the_second_in_memory(void **state)
{
    struct pst_queue *first = start(1 << 20, 1 << 20), *second = start(1 << 20, 1 << 20);
    assert_int_equal(atomic_load(&disk_error), -EBUSY);
    push_of(second, "shop", 1, 100);
    assert_int_equal(take(second), 1);
    pst_queue_free(second, "shutdown", false);
    assert_string_equal(log_text, "shutdown:1");
    pst_queue_free(first, "shutdown", false);
}

/* A file system between SQLite and the disk, of which some reads fail. */
static atomic_int failing_reads;
static sqlite3_vfs *real_vfs;
static sqlite3_io_methods failing_methods;
static int (*real_read)(sqlite3_file *, void *, int, sqlite3_int64);

static int failing_read(sqlite3_file *file, void *dst, int bytes, sqlite3_int64 offset)
{
    if (atomic_load(&failing_reads) > 0 && atomic_fetch_sub(&failing_reads, 1) > 0)
        return SQLITE_IOERR_READ;
    return real_read(file, dst, bytes, offset);
}

static int failing_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                        int *ret_flags)
{
    int code = real_vfs->xOpen(real_vfs, name, file, flags, ret_flags);
    if (code == SQLITE_OK && (flags & SQLITE_OPEN_MAIN_DB)) {
        failing_methods = *file->pMethods;
        real_read = failing_methods.xRead;
        failing_methods.xRead = failing_read;
        file->pMethods = &failing_methods;
    }
    return code;
}

static void what_a_disk_does_not_give_for_a_moment_is_kept(void **state)
{
    struct pst_queue *queue = start(1 << 20, 1 << 20);
    push_of(queue, "shop", 1, 8000);
    push_of(queue, "shop", 2, 8000);
    push_of(queue, "bank", 3, 8000);
    pst_queue_free(queue, "shutdown", false);
    real_vfs = sqlite3_vfs_find(NULL);
    sqlite3_vfs failing = *real_vfs;
    failing.zName = "failing";
    failing.xOpen = failing_open;
    assert_int_equal(sqlite3_vfs_register(&failing, 1), SQLITE_OK);
    queue = start(1 << 20, 1 << 20);
    atomic_store(&failing_reads, 1);
    assert_int_equal(take(queue), 3); /* and not 2, which may not overtake */
    assert_int_equal(atomic_load(&failing_reads), 0);
    pst_queue_done(queue, taken);
    assert_int_equal(take(queue), -1);
    int64_t next = -1;
    eventually(next > 0 || (next = take(queue)) > 0);
    assert_int_equal(next, 1);
    pst_queue_done(queue, taken);
    assert_int_equal(take(queue), 2);
    pst_queue_done(queue, taken);
    assert_string_equal(log_text, "");
    pst_queue_free(queue, "shutdown", false);
    assert_int_equal(sqlite3_vfs_unregister(&failing), SQLITE_OK);
    assert_int_equal(sqlite3_vfs_register(real_vfs, 1), SQLITE_OK);
}

/* Bytes that are not those that were written will not become so. */
static void what_is_not_what_was_written_is_dropped(void **state)
{
    char path[64];
    sqlite3 *db = NULL;
    struct pst_queue *queue = start(1 << 20, 1 << 20);
    push_of(queue, "shop", 1, 100);
    push_of(queue, "shop", 2, 100);
    pst_queue_free(queue, "shutdown", false);
    (void)snprintf(path, sizeof(path), "%s/test.queue", directory);
    assert_int_equal(pst_db_open(path, 64, false, &db), 0);
    assert_int_equal(pst_db_exec(db, "UPDATE item SET body = zeroblob(99) WHERE time_ns = 1"), 0);
    pst_db_close(&db);
    queue = start(1 << 20, 1 << 20);
    assert_int_equal(take(queue), 2);
    assert_string_equal(log_text, "unreadable:1");
    pst_queue_free(queue, "shutdown", false);
}

#define ON_DISK(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_DISK(what_waits_survives_the_process_in_order),
        ON_DISK(past_its_memory_it_is_on_disk_alone),
        ON_DISK(what_is_on_disk_leaves_memory_and_not_the_queue),
        ON_DISK(past_its_bytes_the_oldest_goes_from_disk_too),
        ON_DISK(a_process_that_is_killed_loses_only_the_last_moment),
        ON_DISK(a_disk_that_is_full_leaves_it_in_memory),
        ON_DISK(what_is_dropped_while_the_disk_refuses_it_is_not_queued_again),
        ON_DISK(a_damaged_file_is_begun_anew),
        ON_DISK(a_file_damaged_behind_its_first_page_is_begun_anew),
        ON_DISK(a_table_of_another_shape_is_begun_anew),
        ON_DISK(a_file_of_a_newer_version_is_kept),
        ON_DISK(a_file_that_was_taken_away_is_written_anew_with_all_that_was_in_it),
        ON_DISK(a_file_in_the_place_of_a_queue_is_left_alone),
        ON_DISK(what_memory_holds_of_a_damaged_file_is_written_again),
        ON_DISK(a_time_that_cannot_be_is_long_ago),
        ON_DISK(what_a_disk_does_not_give_for_a_moment_is_kept),
        ON_DISK(what_is_not_what_was_written_is_dropped),
        ON_DISK(a_file_in_use_leaves_the_second_in_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
