/* Changes of files are seen once each, however they come about. */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "config/watch.h"

static char folder[64];

static const char *in(const char *name)
{
    static char paths[4][128];
    static int next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void put(const char *name, const char *text)
{
    assert_int_equal(pst_io_write_atomic(in(name), text, strlen(text), 0600), 0);
}

static struct pst_config *load(const char *name)
{
    static char *const environment[] = {(char *)"HOME=/h", NULL};
    struct pst_config *config = NULL;
    struct pst_error error;
    assert_int_equal(pst_config_load(in(name), NULL, 0, environment, &config, &error), 0);
    return config;
}

/* A file as old as the load would count as changed: wait until the files are older. */
static struct pst_config_watch *settled(const char *name)
{
    struct timespec pause = {0, 30000000};
    struct pst_config_watch *watch = NULL;
    struct pst_config *config;

    (void)nanosleep(&pause, NULL);
    config = load(name);
    assert_int_equal(pst_config_watch_new(config, &watch), 0);
    (void)pst_config_unref(config);
    assert_false(pst_config_watch_changed(watch));
    return watch;
}

/* The descriptor must say so within the deadline; then the change is there exactly once. */
static void expect_change(struct pst_config_watch *watch)
{
    struct pollfd poll_fd = {.fd = pst_config_watch_fd(watch), .events = POLLIN};

    assert_true(poll_fd.fd >= 0);
    assert_int_equal(poll(&poll_fd, 1, 10000), 1);
    assert_true(pst_config_watch_changed(watch));
    assert_false(pst_config_watch_changed(watch));
}

static void a_replaced_file_is_seen(void **state)
{
    struct pst_config_watch *watch;

    put("a.yaml", "log: {level: info}\n");
    watch = settled("a.yaml");
    put("a.yaml", "log: {level: warn}\n");
    expect_change(watch);
    put("b.yaml", "x");
    assert_false(pst_config_watch_changed(watch));
    (void)unlink(in("b.yaml"));
    (void)unlink(in("a.yaml"));
    expect_change(watch);
    put("a.yaml", "log: {level: warn}\n");
    expect_change(watch);
    (void)pst_config_watch_free(watch);
    (void)unlink(in("a.yaml"));
}

static void a_file_rewritten_in_place_is_seen(void **state)
{
    struct pst_config_watch *watch;
    int fd;

    put("a.yaml", "log: {level: info}\n");
    watch = settled("a.yaml");
    fd = open(in("a.yaml"), O_WRONLY | O_CLOEXEC);
    assert_int_equal(pst_io_write_all(fd, "log: {level: warn}\n", 19), 0);
    (void)close(fd);
    expect_change(watch);
    (void)pst_config_watch_free(watch);
    (void)unlink(in("a.yaml"));
}

static void put_version(const char *version, const char *text)
{
    char name[64];
    assert_int_equal(mkdir(in(version), 0700), 0);
    (void)snprintf(name, sizeof name, "%s/pystrobe.yaml", version);
    put(name, text);
}

static void remove_version(const char *version)
{
    char name[64];
    (void)snprintf(name, sizeof name, "%s/pystrobe.yaml", version);
    (void)unlink(in(name));
    (void)rmdir(in(version));
}

/* pystrobe.yaml -> ..data/pystrobe.yaml, ..data -> ..VERSION, replaced by rename. */
static void the_swap_of_a_mounted_config_map_is_seen(void **state)
{
    struct pst_config_watch *watch;

    put_version("..1", "log: {level: info}\n");
    assert_int_equal(symlink("..1", in("..data")), 0);
    assert_int_equal(symlink("..data/pystrobe.yaml", in("pystrobe.yaml")), 0);
    watch = settled("pystrobe.yaml");
    for (int round = 0; round < 2; round++) {
        const char *version = round ? "..1" : "..2", *old = round ? "..2" : "..1";
        put_version(version, "log: {level: warn}\n");
        assert_int_equal(symlink(version, in("..data_tmp")), 0);
        assert_int_equal(rename(in("..data_tmp"), in("..data")), 0);
        expect_change(watch);
        remove_version(old);
        assert_false(pst_config_watch_changed(watch));
    }
    (void)pst_config_watch_free(watch);
    remove_version("..1");
    (void)unlink(in("..data"));
    (void)unlink(in("pystrobe.yaml"));
}

static void files_with_secrets_are_watched_and_followed(void **state)
{
    struct pst_config_watch *watch;
    struct pst_config *config;
    struct timespec pause = {0, 30000000};
    char yaml[256];

    put("token", "one");
    (void)snprintf(yaml, sizeof yaml, "exporters: [{type: parca, url: a, bearer_token_file: %s}]\n",
                   in("token"));
    put("a.yaml", yaml);
    watch = settled("a.yaml");
    put("token", "two");
    expect_change(watch);
    put("a.yaml", "log: {}\n");
    expect_change(watch);
    (void)nanosleep(&pause, NULL);
    config = load("a.yaml");
    assert_int_equal(pst_config_watch_follow(watch, config), 0);
    (void)pst_config_unref(config);
    put("token", "three");
    assert_false(pst_config_watch_changed(watch));
    (void)pst_config_watch_free(watch);
    (void)unlink(in("token"));
    (void)unlink(in("a.yaml"));
}

static void a_change_between_load_and_watch_is_seen(void **state)
{
    struct pst_config_watch *watch = NULL;
    struct pst_config *config;

    put("a.yaml", "log: {level: info}\n");
    config = load("a.yaml");
    put("a.yaml", "log: {level: warn}\n");
    assert_int_equal(pst_config_watch_new(config, &watch), 0);
    assert_true(pst_config_watch_changed(watch));
    assert_false(pst_config_watch_changed(watch));
    (void)pst_config_unref(config);
    (void)pst_config_watch_free(watch);
    (void)unlink(in("a.yaml"));
}

static int setup(void **state)
{
    (void)snprintf(folder, sizeof folder, "/tmp/pystrobe-watch-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    return rmdir(folder);
}

static uint64_t an_hour_ago(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return ((uint64_t)now.tv_sec - 3600) * PST_NS_PER_S;
}

/* The clock was set back after the file was written: it must not be loaded again and again. */
static void a_file_from_the_future_has_not_changed(void **state)
{
    struct pst_config_watch *watch = NULL;
    put("future.yaml", "sampling: {hz: 19}\n");
    pst_clock_set_source(NULL, an_hour_ago);
    struct pst_config *config = load("future.yaml");
    assert_int_equal(pst_config_watch_new(config, &watch), 0);
    assert_false(pst_config_watch_changed(watch));
    put("future.yaml", "sampling: {hz: 20}\n");
    assert_true(pst_config_watch_changed(watch));
    pst_clock_set_source(NULL, NULL);
    (void)pst_config_unref(config);
    (void)pst_config_watch_free(watch);
    (void)unlink(in("future.yaml"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replaced_file_is_seen),
        cmocka_unit_test(a_file_rewritten_in_place_is_seen),
        cmocka_unit_test(the_swap_of_a_mounted_config_map_is_seen),
        cmocka_unit_test(files_with_secrets_are_watched_and_followed),
        cmocka_unit_test(a_change_between_load_and_watch_is_seen),
        cmocka_unit_test(a_file_from_the_future_has_not_changed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
