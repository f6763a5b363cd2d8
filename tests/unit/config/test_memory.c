/* The Nth allocation fails, for every N: a load, a show, a schema or a watch then ends with an
 * error, and nothing leaks or crashes. Allocations of our own code and of jansson are counted;
 * libyaml's are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/io.h"
#include "config/config.h"
#include "config/watch.h"

static long remaining = -1; /* allocations until the one that fails; negative: none fails */
static long alive;

static bool fails(void)
{
    if (remaining < 0)
        return false;
    return remaining-- == 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *pointer);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void __wrap_free(void *pointer);

void *__wrap_malloc(size_t size)
{
    void *got = fails() ? NULL : __real_malloc(size);
    alive += got != NULL;
    return got;
}

void *__wrap_calloc(size_t count, size_t size)
{
    void *got = fails() ? NULL : __real_calloc(count, size);
    alive += got != NULL;
    return got;
}

void *__wrap_realloc(void *old, size_t size)
{
    void *got = fails() ? NULL : __real_realloc(old, size);
    alive += got && !old;
    return got;
}

void __wrap_free(void *pointer)
{
    alive -= pointer != NULL;
    __real_free(pointer);
}

static char folder[64], path[96], secret[96];
static char *const environment[] = {(char *)"HOME=/home/someone",
                                    (char *)"PYSTROBE_LABELS={team: search}",
                                    (char *)"http_proxy=http://proxy:1", NULL};

/* Makes allocation 0, 1, 2, ... fail until the work succeeds. */
static void torture(int (*work)(void))
{
    long before = alive;
    int rc = -1;

    for (long n = 0; rc != 0; n++) {
        assert_true(n < 100000);
        remaining = n;
        rc = work();
        if (remaining >= 0) { /* nothing failed this time */
            assert_int_equal(rc, 0);
        }
        remaining = -1;
        assert_int_equal(alive, before);
    }
}

static struct pst_config *loaded;

static int load(void)
{
    struct pst_config *config = NULL;
    struct pst_error error = {0};
    const char *set = "sampling.hz=20";
    int rc = pst_config_load(path, &set, 1, environment, &config, &error);

    if (rc < 0) {
        assert_int_not_equal(error.code, 0);
        assert_null(config);
        return rc;
    }
    (void)pst_config_unref(config);
    return 0;
}

static int show(void)
{
    struct pst_buf out;
    int rc;

    pst_buf_init(&out, 1 << 20);
    rc = pst_config_show(loaded, &out);
    pst_buf_done(&out);
    return rc;
}

static int schema(void)
{
    struct pst_buf out;
    int rc;

    pst_buf_init(&out, 1 << 20);
    rc = pst_config_schema(&out);
    pst_buf_done(&out);
    return rc;
}

static int docs(void)
{
    struct pst_buf out;
    int rc;

    pst_buf_init(&out, 1 << 20);
    rc = pst_config_docs(&out);
    pst_buf_done(&out);
    return rc;
}

static int watch(void)
{
    struct pst_config_watch *watch = NULL;
    int rc = pst_config_watch_new(loaded, &watch);

    if (rc == 0)
        rc = pst_config_watch_follow(watch, loaded);
    if (rc == 0)
        (void)pst_config_watch_changed(watch);
    (void)pst_config_watch_free(watch);
    return rc;
}

static void a_load_survives(void **state)
{
    torture(load);
}

static void a_show_survives(void **state)
{
    torture(show);
}

/* jansson loses a member silently when memory ends while an object grows: the result must then be
 * refused or be whole. */
static void a_schema_survives(void **state)
{
    torture(schema);
}

static void docs_survive(void **state)
{
    torture(docs);
}

static void a_watch_survives(void **state)
{
    torture(watch);
}

static int setup(void **state)
{
    char yaml[1024];
    struct pst_error error;

    json_set_alloc_funcs(__wrap_malloc, __wrap_free);
    (void)snprintf(folder, sizeof folder, "/tmp/pystrobe-config-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(path, sizeof path, "%s/pystrobe.yaml", folder);
    (void)snprintf(secret, sizeof secret, "%s/secret", folder);
    (void)snprintf(
        yaml, sizeof yaml,
        "sampling: {hz: 97, modes: [cpu]}\n"
        "labels: &l {a: \"${file:%s}\", b: c}\n"
        "discovery: {relabel: [{source_labels: [a, b], target_label: c}]}\n"
        "exporters:\n"
        "- {type: otlp, url: \"http://u:p@h?token=x\", external_labels: *l, headers: {a: "
        "b}}\n"
        "- {type: otlp, url: \"h\", bearer_token_file: %s, sample_labels: [a]}\n"
        "- {type: file}\n",
        secret, secret);
    if (pst_io_write_atomic(secret, "x\n", 2, 0600) < 0 ||
        pst_io_write_atomic(path, yaml, strlen(yaml), 0600) < 0)
        return -1;
    return pst_config_load(path, NULL, 0, environment, &loaded, &error);
}

static int teardown(void **state)
{
    (void)pst_config_unref(loaded);
    (void)unlink(path);
    (void)unlink(secret);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_load_survives),   cmocka_unit_test(a_show_survives),
        cmocka_unit_test(a_schema_survives), cmocka_unit_test(docs_survive),
        cmocka_unit_test(a_watch_survives),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
