/* File names out of hostile service names, and the folder's bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "folder.h"

#define TIME_NS (1795457585LL * 1000000000LL) /* 2026-11-23 18:13:05 UTC */

static char directory[64];

static int make_directory(void **state)
{
    (void)snprintf(directory, sizeof(directory), "/tmp/pystrobe-folder-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static unsigned each_file(bool remove_them, char *ret_last)
{
    unsigned count = 0;
    char path[512];
    DIR *dir = opendir(directory);
    for (struct dirent *found = readdir(dir); found; found = readdir(dir)) {
        if (found->d_name[0] == '.' && (!found->d_name[1] || found->d_name[1] == '.'))
            continue;
        count++;
        if (ret_last)
            (void)snprintf(ret_last, 256, "%s", found->d_name);
        (void)snprintf(path, sizeof(path), "%s/%s", directory, found->d_name);
        if (remove_them)
            (void)unlink(path);
    }
    (void)closedir(dir);
    return count;
}

static int remove_directory(void **state)
{
    (void)each_file(true, NULL);
    return rmdir(directory);
}

static void names_are_harmless_and_recognised(void **state)
{
    static const char *const rows[][2] = {
        {"shop", "shop_cpu_20261123T181305Z_7.pb.gz"},
        {"../../etc/passwd", "etc-passwd_cpu_20261123T181305Z_7.pb.gz"},
        {"/absolute", "absolute_cpu_20261123T181305Z_7.pb.gz"},
        {"-rf", "rf_cpu_20261123T181305Z_7.pb.gz"},
        {".hidden", "hidden_cpu_20261123T181305Z_7.pb.gz"},
        {"a b\nc;d", "a-b-c-d_cpu_20261123T181305Z_7.pb.gz"},
        {"b\xc3\xb6se", "b--se_cpu_20261123T181305Z_7.pb.gz"},
        {"my_service", "my_service_cpu_20261123T181305Z_7.pb.gz"},
        {"..", "unknown_cpu_20261123T181305Z_7.pb.gz"},
        {"", "unknown_cpu_20261123T181305Z_7.pb.gz"},
    };
    char name[PST_FOLDER_NAME_BYTES];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pst_folder_name(name, pst_str(rows[i][0]), "cpu", TIME_NS, 7);
        assert_string_equal(name, rows[i][1]);
        assert_true(pst_folder_owns(name));
    }
    char long_name[4000];
    memset(long_name, 'x', sizeof(long_name));
    pst_folder_name(name, (struct pst_str){long_name, sizeof(long_name)}, "wall", INT64_MAX,
                    UINT32_MAX);
    assert_true(strlen(name) < 160 && pst_folder_owns(name));
    pst_folder_name(name, PST_STR("a\0b"), "gil", -1, 0);
    assert_true(pst_folder_owns(name));
}

static void other_files_are_not_ours(void **state)
{
    static const char *const names[] = {"notes.txt",
                                        "profile.pb.gz",
                                        "shop_cpu_20261123T181305Z.pb.gz",
                                        "shop_mem_20261123T181305Z_7.pb.gz",
                                        "_cpu_20261123T181305Z_7.pb.gz",
                                        "shop_cpu_20261123T181305Z_x.pb.gz",
                                        "shop_cpu_2026_7.pb.gz",
                                        ".pb.gz",
                                        ""};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_false(pst_folder_owns(names[i]));
}

static void files_are_whole_private_and_numbered(void **state)
{
    struct pst_folder *folder = NULL;
    char last[256];
    struct stat st;
    assert_int_equal(pst_folder_open(directory, 0, 0, &folder), 0);
    assert_int_equal(pst_folder_write(folder, PST_STR("shop"), "cpu", TIME_NS, PST_STR("content")),
                     0);
    assert_int_equal(each_file(false, last), 1);
    assert_string_equal(last, "shop_cpu_20261123T181305Z_1.pb.gz");
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", directory, last);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_size, 7);
    pst_folder_free(folder);
    /* A new process counts on and never writes over what is there. */
    assert_int_equal(pst_folder_open(directory, 0, 0, &folder), 0);
    assert_int_equal(pst_folder_write(folder, PST_STR("shop"), "cpu", TIME_NS, PST_STR("more")), 0);
    assert_int_equal(each_file(false, NULL), 2);
    pst_folder_free(folder);
}

static void past_its_size_the_oldest_goes_and_strangers_stay(void **state)
{
    struct pst_folder *folder = NULL;
    char data[1000] = {0}, path[512];
    (void)snprintf(path, sizeof(path), "%s/notes.txt", directory);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && write(fd, data, sizeof(data)) == sizeof(data) && close(fd) == 0);
    assert_int_equal(pst_folder_open(directory, 10000, 0, &folder), 0);
    for (int i = 0; i < 50; i++) {
        struct pst_str content = {data, sizeof(data)};
        assert_int_equal(pst_folder_write(folder, PST_STR("shop"), "cpu", TIME_NS, content), 0);
        assert_true(each_file(false, NULL) <= 12);
    }
    assert_in_range(each_file(false, NULL), 9, 11);
    assert_int_equal(access(path, F_OK), 0);
    (void)snprintf(path, sizeof(path), "%s/shop_cpu_20261123T181305Z_50.pb.gz", directory);
    assert_int_equal(access(path, F_OK), 0);
    pst_folder_free(folder);
}

static void past_its_age_a_file_goes(void **state)
{
    struct pst_folder *folder = NULL;
    char path[512];
    assert_int_equal(pst_folder_open(directory, 0, 3600 * PST_NS_PER_S, &folder), 0);
    assert_int_equal(pst_folder_write(folder, PST_STR("old"), "cpu", TIME_NS, PST_STR("x")), 0);
    pst_folder_free(folder);
    (void)snprintf(path, sizeof(path), "%s/old_cpu_20261123T181305Z_1.pb.gz", directory);
    struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    assert_int_equal(pst_folder_open(directory, 0, 3600 * PST_NS_PER_S, &folder), 0);
    assert_int_equal(pst_folder_write(folder, PST_STR("new"), "cpu", TIME_NS, PST_STR("x")), 0);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(each_file(false, NULL), 1);
    pst_folder_free(folder);
}

enum { WRITES = 40, CONTENT_BYTES = 1 << 18 };

/* Writes files of one letter. */
static void *write_many(void *letter)
{
    struct pst_folder *folder = NULL;
    char *content = malloc(CONTENT_BYTES);
    memset(content, *(char *)letter, CONTENT_BYTES);
    struct pst_str data = {content, CONTENT_BYTES};
    int failures = pst_folder_open(directory, 0, 0, &folder) < 0;
    for (int n = 0; n < WRITES && !failures; n++)
        failures = pst_folder_write(folder, pst_str(letter), "cpu", TIME_NS, data) < 0;
    pst_folder_free(folder);
    free(content);
    return failures ? letter : NULL;
}

static void two_that_write_into_one_folder_do_not_mix_their_files(void **state)
{
    char letters[2][2] = {"a", "b"};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, letters[i]), 0);
    for (int i = 0; i < 2; i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    assert_int_equal(each_file(false, NULL), 2 * WRITES);
    DIR *dir = opendir(directory);
    for (struct dirent *found = readdir(dir); found; found = readdir(dir)) {
        struct stat st;
        char ends[2] = {0};
        if (found->d_name[0] == '.')
            continue;
        int fd = openat(dirfd(dir), found->d_name, O_RDONLY | O_CLOEXEC);
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(st.st_size, CONTENT_BYTES);
        assert_int_equal(pread(fd, &ends[0], 1, 0), 1);
        assert_int_equal(pread(fd, &ends[1], 1, CONTENT_BYTES - 1), 1);
        assert_int_equal(ends[0], found->d_name[0]);
        assert_int_equal(ends[1], found->d_name[0]);
        (void)close(fd);
    }
    (void)closedir(dir);
}

static void what_a_crash_left_half_written_goes(void **state)
{
    static const char *const names[] = {".pystrobe-writing-00", ".pystrobe-writing-01"};
    struct pst_folder *folder = NULL;
    char path[512];
    for (int i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
        assert_int_equal(i == 0 ? futimens(fd, times) : 0, 0);
        (void)close(fd);
    }
    assert_int_equal(pst_folder_open(directory, 0, 0, &folder), 0);
    assert_int_equal(pst_folder_write(folder, PST_STR("shop"), "cpu", TIME_NS, PST_STR("x")), 0);
    pst_folder_free(folder);
    assert_int_equal(each_file(false, NULL), 2); /* another may be writing the newer one */
    assert_int_equal(access(path, F_OK), 0);
}

static void a_planted_link_is_not_followed(void **state)
{
    struct pst_folder *folder = NULL;
    char victim[512], link[512];
    struct stat st;
    (void)snprintf(victim, sizeof(victim), "%s/victim", directory);
    (void)snprintf(link, sizeof(link), "%s/.pystrobe-writing", directory);
    int fd = open(victim, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && close(fd) == 0);
    assert_int_equal(symlink(victim, link), 0);
    (void)snprintf(link, sizeof(link), "%s/shop_cpu_20261123T181305Z_1.pb.gz", directory);
    assert_int_equal(symlink(victim, link), 0);
    assert_int_equal(pst_folder_open(directory, 0, 0, &folder), 0);
    assert_int_equal(pst_folder_write(folder, PST_STR("shop"), "cpu", TIME_NS, PST_STR("x")), 0);
    assert_int_equal(stat(victim, &st), 0);
    assert_int_equal(st.st_size, 0);
    pst_folder_free(folder);
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_harmless_and_recognised),
        cmocka_unit_test(other_files_are_not_ours),
        IN_A_FOLDER(files_are_whole_private_and_numbered),
        IN_A_FOLDER(past_its_size_the_oldest_goes_and_strangers_stay),
        IN_A_FOLDER(past_its_age_a_file_goes),
        IN_A_FOLDER(two_that_write_into_one_folder_do_not_mix_their_files),
        IN_A_FOLDER(what_a_crash_left_half_written_goes),
        IN_A_FOLDER(a_planted_link_is_not_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
