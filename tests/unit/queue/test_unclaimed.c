/* Queue files that no exporter has: kept while something in them may be sent, then removed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>

#include "../scratch.h"
#include "base/clock.h"
#include "disk.h"
#include "queue/unclaimed.h"

static char *directory;
static char found_text[512];

static int setup(void **state)
{
    directory = new_directory();
    found_text[0] = '\0';
    return 0;
}

static int teardown(void **state)
{
    remove_directory(directory);
    return 0;
}

static bool claims(void *context, const char *name)
{
    return strcmp(name, "claimed") == 0;
}

static void note(void *context, const struct pst_unclaimed *file)
{
    size_t len = strlen(found_text);
    (void)snprintf(found_text + len, sizeof(found_text) - len, "%s:%zu:%s ", file->name,
                   file->items, file->removed ? "removed" : "kept");
}

static const struct pst_unclaimed_owner owner = {NULL, claims, note};

static struct pst_disk *file_with(const char *name, uint64_t age_ns)
{
    struct pst_disk *disk = NULL;
    struct pst_profile_meta meta = {.mode = PST_MODE_CPU, .time_ns = 1};
    struct pst_labels *labels = pst_labels_new();
    struct pst_item *made = NULL;
    assert_int_equal(pst_item_from_body(labels, &meta, 1, 1, "body", 4, &made), 0);
    pst_labels_free(labels);
    struct pst_disk_row row = {.pushed_ns = (int64_t)(pst_clock_realtime_ns() - age_ns),
                               .item = made};
    assert_int_equal(pst_disk_open(directory, name, &disk), 0);
    assert_int_equal(pst_disk_change(disk, NULL, 0, &row, 1), 0);
    pst_item_unref(made);
    return disk;
}

static bool is_there(const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s.queue", directory, name);
    return access(path, F_OK) == 0;
}

static void what_may_still_be_sent_is_kept_and_told(void **state)
{
    (void)pst_disk_close(file_with("young", 60 * PST_NS_PER_S));
    pst_unclaimed_sweep(directory, 3600 * PST_NS_PER_S, &owner);
    assert_string_equal(found_text, "young:1:kept ");
    assert_true(is_there("young"));
}

static void what_is_too_old_goes(void **state)
{
    (void)pst_disk_close(file_with("old", 7200 * PST_NS_PER_S));
    pst_unclaimed_sweep(directory, 3600 * PST_NS_PER_S, &owner);
    assert_string_equal(found_text, "old:1:removed ");
    assert_false(is_there("old"));
}

static void without_an_age_nothing_is_too_old(void **state)
{
    (void)pst_disk_close(file_with("old", 7200 * PST_NS_PER_S));
    pst_unclaimed_sweep(directory, 0, &owner);
    assert_true(is_there("old"));
}

static void the_queues_of_exporters_and_of_other_processes_are_left_alone(void **state)
{
    (void)pst_disk_close(file_with("claimed", 7200 * PST_NS_PER_S));
    struct pst_disk *used = file_with("used", 7200 * PST_NS_PER_S);
    pst_unclaimed_sweep(directory, 3600 * PST_NS_PER_S, &owner);
    assert_string_equal(found_text, "");
    assert_true(is_there("claimed") && is_there("used"));
    (void)pst_disk_close(used);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_may_still_be_sent_is_kept_and_told, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_too_old_goes, setup, teardown),
        cmocka_unit_test_setup_teardown(without_an_age_nothing_is_too_old, setup, teardown),
        cmocka_unit_test_setup_teardown(
            the_queues_of_exporters_and_of_other_processes_are_left_alone, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
