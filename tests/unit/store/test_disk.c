/* Bad disks: full, read-only, damaged, taken away. The store never refuses to start over them, says
 * why it keeps nothing, and recovers by itself. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/metrics.h"
#include "folder.h"
#include "internal.h"
#include "synth.h"

static const uint64_t second = 1000000000ULL;
static const int64_t window = 15000000000LL;
static const uint64_t day = 86400000000000ULL, mib = 1048576;

static struct pst_store *open_store(uint64_t max_bytes)
{
    struct pst_store *store = NULL;
    struct pst_error error = {0};
    if (pst_store_open(directory, day, max_bytes, &store, &error) < 0)
        fail_msg("%s", error.text);
    return store;
}

static void put(struct pst_store *store, uint64_t seed)
{
    struct pst_item *item = synth_item("shop", PST_MODE_CPU, seed, 100,
                                       (int64_t)pst_clock_realtime_ns() - window, window);
    pst_store_put(store, item);
    pst_item_unref(item);
}

static uint64_t windows_in(struct pst_store *store)
{
    struct pst_store_query query = {.mode = PST_MODE_CPU, .to_ns = INT64_MAX};
    struct pst_store_query_result result = {0};
    struct pst_profile *profile = NULL;
    if (pst_store_merge(store, &query, NULL, NULL, &profile, &result) < 0)
        return 0;
    pst_profile_free(profile);
    return result.windows;
}

static bool reaches(struct pst_store *store, bool degraded, unsigned seconds)
{
    struct pst_store_stats stats;
    for (unsigned i = 0; i < seconds * 10; i++) {
        pst_store_stats(store, &stats);
        if (stats.degraded == degraded)
            return true;
        (void)usleep(100000);
    }
    return false;
}

static size_t count_files(const char *prefix)
{
    DIR *dir = opendir(directory);
    struct dirent *entry;
    size_t count = 0;
    while (dir && (entry = readdir(dir)))
        count +=
            strncmp(entry->d_name, prefix, strlen(prefix)) == 0 && !strstr(entry->d_name, "-wal");
    if (dir)
        (void)closedir(dir);
    return count;
}

static void damage(const char *bytes, size_t len, off_t at)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/store.db", directory);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, len, at), len);
    (void)close(fd);
}

static void test_garbage_is_moved_aside_and_two_such_files_are_kept(void **state)
{
    char garbage[8192];
    memset(garbage, 'x', sizeof(garbage));
    for (uint64_t round = 1; round <= 4; round++) {
        char path[256];
        (void)snprintf(path, sizeof(path), "%s/store.db", directory);
        (void)unlink(path);
        damage(garbage, sizeof(garbage), 0);
        struct pst_store *store = open_store(64 * mib);
        put(store, 1);
        assert_true(pst_store_flush(store, 10 * second));
        assert_int_equal(windows_in(store), 1);
        assert_int_equal(count_files("store.db.corrupt-"), round < 2 ? round : 2);
        struct pst_store_stats stats;
        pst_store_stats(store, &stats);
        assert_int_equal(stats.corrupt_files, round < 2 ? round : 2);
        assert_int_equal(stats.written, 1);
        pst_store_close(store, 5 * second);
    }
}

static void test_a_truncated_database_is_replaced(void **state)
{
    struct pst_store *store = open_store(64 * mib);
    for (uint64_t i = 0; i < 50; i++)
        put(store, i);
    assert_true(pst_store_flush(store, 10 * second));
    pst_store_close(store, 5 * second);
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/store.db", directory);
    assert_int_equal(truncate(path, 4096 * 3), 0);
    store = open_store(64 * mib);
    put(store, 7);
    put(store, 8);
    for (int i = 0; i < 100 && windows_in(store) != 2; i++)
        (void)usleep(100000);
    assert_int_equal(windows_in(store), 2);
    pst_store_close(store, 5 * second);
}

/* Any damage: the store starts, takes a new profile and answers, whatever was in the file. */
static void test_flipped_bytes_never_keep_the_store_from_starting(void **state)
{
    struct pst_random random = {42};
    for (int round = 0; round < 25; round++) {
        struct pst_store *store = open_store(64 * mib);
        for (uint64_t i = 0; i < 8; i++)
            put(store, i);
        assert_true(pst_store_flush(store, 10 * second));
        pst_store_close(store, 5 * second);
        for (int flip = 0; flip < 30; flip++) {
            char byte = (char)pst_random_next(&random);
            damage(&byte, 1, (off_t)pst_random_below(&random, flip < 10 ? 100 : 60000));
        }
        store = open_store(64 * mib);
        put(store, 99);
        bool kept = pst_store_flush(store, 20 * second);
        (void)windows_in(store);
        struct pst_store_stats stats;
        pst_store_stats(store, &stats);
        if (!kept)
            fail_msg("round %d: not written: %s", round, stats.reason);
        pst_store_close(store, 5 * second);
    }
}

static void test_a_window_whose_bytes_were_damaged_is_left_out(void **state)
{
    struct pst_store *store = open_store(64 * mib);
    struct pst_labels *labels = synth_labels("shop", "");
    struct pst_profile_meta meta = {PST_MODE_CPU, (int64_t)pst_clock_realtime_ns(), window, 1};
    struct pst_item *item = NULL;
    assert_int_equal(pst_item_from_body(labels, &meta, 1, 1, "\x1f\x8bnot a profile", 15, &item),
                     0);
    pst_store_put(store, item);
    pst_item_unref(item);
    pst_labels_free(labels);
    put(store, 1);
    assert_true(pst_store_flush(store, 10 * second));
    struct pst_store_query query = {.mode = PST_MODE_CPU, .to_ns = INT64_MAX};
    struct pst_store_query_result result;
    struct pst_profile *profile = NULL;
    assert_int_equal(pst_store_merge(store, &query, NULL, NULL, &profile, &result), 0);
    assert_int_equal(result.windows, 1);
    assert_int_equal(result.bad_windows, 1);
    pst_profile_free(profile);
    pst_store_close(store, 5 * second);
}

static void test_a_file_deleted_under_the_store_is_made_again(void **state)
{
    struct pst_store *store = open_store(64 * mib);
    put(store, 1);
    assert_true(pst_store_flush(store, 10 * second));
    const char *const names[] = {"store.db", "store.db-wal", "store.db-shm"};
    for (size_t i = 0; i < 3; i++) {
        char path[256];
        (void)snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        (void)unlink(path);
    }
    bool back = false;
    for (int i = 0; i < 60 && !back; i++) {
        put(store, 2);
        (void)pst_store_flush(store, 3 * second);
        back = windows_in(store) > 0;
    }
    assert_true(back);
    pst_store_close(store, 5 * second);
}

/* The rest needs mounts: a child in a mount namespace of its own, as root or as root of a user
 * namespace. */
static int write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = write(fd, text, strlen(text));
    (void)close(fd);
    return n < 0 ? -errno : 0;
}

static bool own_mounts(const char *options)
{
    unsigned uid = geteuid(), gid = getegid();
    if (unshare(CLONE_NEWNS | (uid ? CLONE_NEWUSER : 0)) < 0)
        return false;
    if (uid) {
        char map[64];
        (void)write_file("/proc/self/setgroups", "deny");
        (void)snprintf(map, sizeof(map), "0 %u 1", uid);
        (void)write_file("/proc/self/uid_map", map);
        (void)snprintf(map, sizeof(map), "0 %u 1", gid);
        (void)write_file("/proc/self/gid_map", map);
    }
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", directory, "tmpfs", MS_NOSUID, options) == 0;
}

enum { CANNOT = 77 };

static void in_child(const char *options, int (*body)(void))
{
    (void)fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(own_mounts(options) ? body() : CANNOT);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == CANNOT) {
        print_message("not run: this user may not mount\n");
        skip();
    }
    if (WEXITSTATUS(status) != 0)
        fail_msg("step %d failed in the child", WEXITSTATUS(status));
}

static int full_disk(void)
{
    char path[256];
    struct pst_store *store = open_store(64 * mib);
    put(store, 1);
    if (!pst_store_flush(store, 10 * second))
        return 1;
    /* Somebody else fills the disk. */
    (void)snprintf(path, sizeof(path), "%s/somebody-else", directory);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    static char zeros[65536];
    while (write(fd, zeros, sizeof(zeros)) > 0)
        ;
    while (write(fd, zeros, 512) > 0)
        ;
    (void)close(fd);
    struct pst_store_stats stats;
    for (uint64_t i = 0; i < 400 && !reaches(store, true, 0); i++) {
        uint64_t at = pst_clock_monotonic_ns();
        put(store, i);
        if (pst_clock_monotonic_ns() - at > 2 * second)
            return 2; /* the caller was blocked */
        (void)usleep(20000);
    }
    if (!reaches(store, true, 20))
        return 3;
    pst_store_stats(store, &stats);
    if (!strstr(stats.reason, "full"))
        return 4;
    (void)unlink(path);
    if (!reaches(store, false, 60))
        return 5;
    put(store, 2);
    if (!pst_store_flush(store, 10 * second) || windows_in(store) < 2)
        return 6;
    pst_store_close(store, 5 * second);
    return 0;
}

static void test_a_full_disk_degrades_and_recovers_within_a_minute(void **state)
{
    in_child("size=2m,mode=0700", full_disk);
}

static int read_only_disk(void)
{
    if (mount(NULL, directory, NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0)
        return CANNOT;
    struct pst_store *store = open_store(64 * mib);
    struct pst_store_stats stats;
    put(store, 1);
    if (!reaches(store, true, 10))
        return 1;
    pst_store_stats(store, &stats);
    if (!strstr(stats.reason, "read-only") || stats.written != 0)
        return 2;
    if (mount(NULL, directory, NULL, MS_REMOUNT, NULL) < 0)
        return 3;
    if (!pst_store_flush(store, 60 * second) || windows_in(store) != 1)
        return 4; /* what was put meanwhile is not lost */
    if (!reaches(store, false, 10))
        return 5;
    pst_store_close(store, 5 * second);
    return 0;
}

static void test_a_read_only_disk_at_start_is_waited_for(void **state)
{
    in_child("size=8m,mode=0700", read_only_disk);
}

static int ring_on_small_disk(void)
{
    /* The newest replace the oldest, for as long as it takes, without a single loss on the way in.
     */
    enum { PUT = 4000 };
    struct pst_store *store = open_store(512 * mib);
    for (uint64_t i = 0; i < PUT; i++) {
        put(store, i % 50);
        if (i % 20 == 19 && !pst_store_flush(store, 10 * second))
            return 1;
    }
    struct pst_store_stats stats;
    pst_store_stats(store, &stats);
    if (stats.written != PUT || stats.dropped != 0)
        return 2;
    uint64_t windows = windows_in(store);
    if (windows < 500 || windows >= PUT)
        return 3;
    pst_store_close(store, 5 * second);
    return 0;
}

static void test_a_disk_smaller_than_the_bound_keeps_the_newest(void **state)
{
    in_child("size=8m,mode=0700", ring_on_small_disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_garbage_is_moved_aside_and_two_such_files_are_kept,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_truncated_database_is_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flipped_bytes_never_keep_the_store_from_starting,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_window_whose_bytes_were_damaged_is_left_out, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_file_deleted_under_the_store_is_made_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_full_disk_degrades_and_recovers_within_a_minute,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_read_only_disk_at_start_is_waited_for, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_disk_smaller_than_the_bound_keeps_the_newest, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
