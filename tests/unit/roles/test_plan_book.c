/* Plans in parts, ids that mean nothing (any longer), and whose CPU clock starts with us. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "plan_book.h"

struct fixture {
    int fd;
    struct pst_table *table;
    struct pst_plan_book *book;
    struct pst_link_plan part;
};

static int setup(void **state)
{
    static struct fixture fixture;

    memset(&fixture, 0, sizeof(fixture));
    assert_int_equal(pst_table_create(&fixture.fd), 0);
    assert_int_equal(pst_table_open(fixture.fd, true, &fixture.table), 0);
    fixture.book = pst_plan_book_new(fixture.table, false);
    assert_non_null(fixture.book);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    pst_plan_book_free(fixture->book);
    pst_table_close(fixture->table);
    close(fixture->fd);
    return 0;
}

static uint32_t enter(struct fixture *f, pid_t pid, uint64_t start_ticks, uint32_t parent,
                      uint64_t exec_id)
{
    struct pst_table_entry entry;
    uint32_t id;

    memset(&entry, 0, sizeof(entry));
    entry.pid = pid;
    entry.start_ticks = start_ticks;
    entry.parent = parent;
    entry.exec_id = exec_id;
    entry.runtime.hexversion = 0x030b0000;
    assert_int_equal(pst_table_put(f->table, &entry, &id), 0);
    return id;
}

static struct pst_link_plan *plan(struct fixture *f, uint64_t generation, bool first, bool last)
{
    memset(&f->part, 0, sizeof(f->part));
    f->part.kind = PST_LINK_SAMPLING;
    f->part.generation = generation;
    f->part.first = first;
    f->part.last = last;
    f->part.enabled = true;
    return &f->part;
}

static void add(struct fixture *f, uint32_t id)
{
    f->part.rows[f->part.row_count++] =
        (struct pst_plan_row){.target = id, .modes = 3, .max_frames = 64, .hz = 19, .window_ns = 1};
}

static size_t resolve(struct fixture *f, uint64_t ticks, const struct pst_sampler_target **targets)
{
    bool again;
    size_t count = pst_plan_book_resolve(f->book, ticks, targets, &again);

    assert_false(again);
    return count;
}

static void test_parts_come_into_force_together(void **state)
{
    struct fixture *f = *state;
    const struct pst_sampler_target *targets;
    uint32_t a = enter(f, 7, 70, 0, 0), b = enter(f, 8, 80, 0, 0);

    plan(f, 1, true, false);
    add(f, a);
    assert_int_equal(pst_plan_book_take(f->book, &f->part), 0);
    assert_int_equal(resolve(f, 100, &targets), 0);
    plan(f, 1, false, true);
    add(f, b);
    assert_int_equal(pst_plan_book_take(f->book, &f->part), 1);
    assert_int_equal(resolve(f, 100, &targets), 2);
    assert_int_equal(targets[1].pid, 8);
    assert_int_equal(targets[1].id, b);
    assert_int_equal(pst_plan_book_generation(f->book), 1);
}

static void test_a_part_of_another_plan_is_refused_and_the_old_one_stays(void **state)
{
    struct fixture *f = *state;
    const struct pst_sampler_target *targets;

    plan(f, 1, true, true);
    add(f, enter(f, 7, 70, 0, 0));
    assert_int_equal(pst_plan_book_take(f->book, &f->part), 1);
    assert_int_equal(pst_plan_book_take(f->book, plan(f, 2, true, false)), 0);
    assert_int_equal(pst_plan_book_take(f->book, plan(f, 3, false, true)), -EBADMSG);
    assert_int_equal(pst_plan_book_take(f->book, plan(f, 2, false, true)), -EBADMSG);
    assert_int_equal(resolve(f, 100, &targets), 1);
}

static void test_more_rows_than_targets_can_be_are_refused(void **state)
{
    struct fixture *f = *state;
    int status = 0;

    for (int i = 0; i <= PST_MAX_TARGETS / PST_MAX_PLAN_ROWS && status == 0; i++) {
        plan(f, 1, i == 0, false);
        f->part.row_count = PST_MAX_PLAN_ROWS;
        status = pst_plan_book_take(f->book, &f->part);
    }
    assert_int_equal(status, -ENOSPC);
}

static void test_only_known_ready_unskipped_targets_of_an_enabled_plan(void **state)
{
    struct fixture *f = *state;
    const struct pst_sampler_target *targets;
    uint32_t good = enter(f, 7, 70, 0, 0), gone = enter(f, 8, 80, 0, 0), stalled;
    struct pst_table_entry starting = {.pid = 10, .start_ticks = 100};
    uint32_t not_ready;

    stalled = enter(f, 9, 90, 0, 0);
    assert_int_equal(pst_table_put(f->table, &starting, &not_ready), 0);
    pst_table_remove(f->table, gone);
    pst_plan_book_skip(f->book, stalled);
    plan(f, 1, true, true);
    add(f, good);
    add(f, gone);
    add(f, stalled);
    add(f, not_ready);
    add(f, 4095);
    assert_int_equal(pst_plan_book_take(f->book, &f->part), 1);
    assert_int_equal(resolve(f, 100, &targets), 1);
    assert_int_equal(targets[0].id, good);
    f->part.enabled = false;
    assert_int_equal(pst_plan_book_take(f->book, &f->part), 1);
    assert_int_equal(resolve(f, 100, &targets), 0);
}

static void test_only_a_child_of_an_observed_parent_starts_from_zero(void **state)
{
    struct fixture *f = *state;
    const struct pst_sampler_target *targets;
    uint32_t parent = enter(f, 7, 70, 0, 0), older = enter(f, 8, 80, parent, 0);

    plan(f, 1, true, true);
    add(f, parent);
    add(f, older);
    assert_int_equal(pst_plan_book_take(f->book, &f->part), 1);
    assert_int_equal(resolve(f, 100, &targets), 2);
    assert_false(targets[0].born_observed);
    assert_false(targets[1].born_observed);

    uint32_t child = enter(f, 9, 150, parent, 0);
    add(f, child);
    assert_int_equal(pst_plan_book_take(f->book, &f->part), 1);
    assert_int_equal(resolve(f, 200, &targets), 3);
    assert_true(targets[2].born_observed);
    assert_false(targets[1].born_observed);

    /* After exec the same process has another id, and its clock goes on. */
    pst_table_remove(f->table, child);
    f->part.rows[2].target = enter(f, 9, 150, parent, 5);
    assert_int_equal(pst_plan_book_take(f->book, &f->part), 1);
    assert_int_equal(resolve(f, 300, &targets), 3);
    assert_false(targets[2].born_observed);
}

static void test_after_a_pause_nobody_was_observed(void **state)
{
    struct fixture *f = *state;
    const struct pst_sampler_target *targets;
    uint32_t parent = enter(f, 7, 70, 0, 0);

    plan(f, 1, true, true);
    add(f, parent);
    assert_int_equal(pst_plan_book_take(f->book, &f->part), 1);
    assert_int_equal(resolve(f, 100, &targets), 1);
    f->part.enabled = false;
    assert_int_equal(pst_plan_book_take(f->book, &f->part), 1);
    assert_int_equal(resolve(f, 150, &targets), 0);
    f->part.enabled = true;
    add(f, enter(f, 9, 160, parent, 0));
    assert_int_equal(pst_plan_book_take(f->book, &f->part), 1);
    assert_int_equal(resolve(f, 200, &targets), 2);
    assert_false(targets[1].born_observed);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_parts_come_into_force_together),
        TEST(test_a_part_of_another_plan_is_refused_and_the_old_one_stays),
        TEST(test_more_rows_than_targets_can_be_are_refused),
        TEST(test_only_known_ready_unskipped_targets_of_an_enabled_plan),
        TEST(test_only_a_child_of_an_observed_parent_starts_from_zero),
        TEST(test_after_a_pause_nobody_was_observed),
    };

    return cmocka_run_group_tests_name("plan_book", tests, NULL, NULL);
}
