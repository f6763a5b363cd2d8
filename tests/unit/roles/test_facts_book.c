/* From scan's events to the table and the daemon, over a link that is sometimes full. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "facts_book.h"
#include "roles/link.h"

struct fixture {
    int fd, link[2];
    struct pst_table *table;
    struct pst_facts_book *book;
    struct pst_scan *scan; /* never run: it knows no target */
    char message[PST_MAX_LINK_MESSAGE_BYTES];
};

static int setup(void **state)
{
    static struct fixture fixture;
    struct pst_scan_options options = {0};

    assert_int_equal(pst_table_create(&fixture.fd), 0);
    assert_int_equal(pst_table_open(fixture.fd, true, &fixture.table), 0);
    assert_int_equal(pst_link_pair(fixture.link), 0);
    fixture.book = pst_facts_book_new(fixture.table, fixture.link[0]);
    fixture.scan = pst_scan_new(&options);
    assert_non_null(fixture.book);
    assert_non_null(fixture.scan);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    pst_facts_book_free(f->book);
    pst_scan_free(f->scan);
    pst_table_close(f->table);
    close(f->fd);
    close(f->link[0]);
    close(f->link[1]);
    return 0;
}

static struct pst_facts process(uint64_t id, uint64_t parent_id, pid_t pid)
{
    struct pst_facts facts;

    memset(&facts, 0, sizeof(facts));
    facts.id = id;
    facts.parent_id = parent_id;
    facts.pid = pid;
    facts.start_ticks = 70;
    facts.random_address = 0x7ffc00001000;
    facts.state = PST_TARGET_READY;
    facts.runtime.hexversion = 0x030b07f0;
    return facts;
}

/* The next message as the daemon sees it; false when there is none. */
static bool next(struct fixture *f, enum pst_scan_event *ret_event, struct pst_facts *ret)
{
    struct pst_link_facts facts;
    ssize_t got = pst_link_receive(f->link[1], f->message, sizeof(f->message), NULL, 0, NULL);

    if (got == -EAGAIN)
        return false;
    assert_true(got > 0);
    assert_int_equal(pst_link_facts_decode(f->message, (size_t)got, &facts), 0);
    *ret_event = facts.event;
    *ret = facts.facts;
    pst_link_facts_done(&facts);
    return true;
}

static void fill_link(struct fixture *f)
{
    static char block[65536];

    while (pst_link_send(f->link[0], block, sizeof(block), NULL, 0, 0) == 0)
        continue;
    while (pst_link_send(f->link[0], block, 1, NULL, 0, 0) == 0)
        continue;
}

static void empty_link(struct fixture *f)
{
    while (pst_link_receive(f->link[1], f->message, sizeof(f->message), NULL, 0, NULL) > 0)
        continue;
}

static void test_the_daemon_hears_the_tables_ids(void **state)
{
    struct fixture *f = *state;
    struct pst_facts parent = process(900, 0, 7), child = process(901, 900, 8), got;
    struct pst_table_entry entry;
    enum pst_scan_event event;
    uint32_t parent_id;

    pst_facts_book_event(f->book, PST_SCAN_NEW, &parent);
    assert_true(next(f, &event, &got));
    parent_id = (uint32_t)got.id;
    assert_int_not_equal(parent_id, 900);
    pst_facts_book_event(f->book, PST_SCAN_NEW, &child);
    assert_true(next(f, &event, &got));
    assert_int_equal(got.parent_id, parent_id);
    assert_int_equal(pst_table_get(f->table, (uint32_t)got.id, &entry), 0);
    assert_int_equal(entry.pid, 8);
    assert_int_equal(entry.parent, parent_id);
    assert_int_equal(entry.runtime.hexversion, 0x030b07f0);
}

static void test_an_end_frees_the_entry_and_a_restarted_scan_keeps_the_id(void **state)
{
    struct fixture *f = *state;
    struct pst_facts facts = process(900, 0, 7), got;
    struct pst_table_entry entry;
    enum pst_scan_event event;
    uint64_t id;

    pst_facts_book_event(f->book, PST_SCAN_NEW, &facts);
    assert_true(next(f, &event, &got));
    id = got.id;
    f->book = pst_facts_book_free(f->book);
    f->book = pst_facts_book_new(f->table, f->link[0]);
    facts.id = 17;
    pst_facts_book_event(f->book, PST_SCAN_NEW, &facts);
    assert_true(next(f, &event, &got));
    assert_int_equal(got.id, id);
    pst_facts_book_event(f->book, PST_SCAN_GONE, &facts);
    assert_true(next(f, &event, &got));
    assert_int_equal(event, PST_SCAN_GONE);
    assert_int_equal(got.id, id);
    assert_int_equal(pst_table_get(f->table, (uint32_t)id, &entry), -ENOENT);
}

static void test_what_ended_while_no_reader_ran_is_told_by_the_next(void **state)
{
    struct fixture *f = *state;
    struct pst_facts facts = process(900, 0, 7), got;
    enum pst_scan_event event;

    pst_facts_book_event(f->book, PST_SCAN_NEW, &facts);
    assert_true(next(f, &event, &got));
    f->book = pst_facts_book_free(f->book);
    f->book = pst_facts_book_new(f->table, f->link[0]);
    assert_true(pst_facts_book_settle(f->book, f->scan));
    assert_true(next(f, &event, &got));
    assert_int_equal(event, PST_SCAN_GONE);
    assert_int_equal(got.pid, 7);
    assert_true(pst_facts_book_settle(f->book, f->scan));
    assert_false(next(f, &event, &got));
}

static void test_an_end_that_does_not_fit_is_told_later(void **state)
{
    struct fixture *f = *state;
    struct pst_facts facts = process(900, 0, 7), got;
    enum pst_scan_event event;

    pst_facts_book_event(f->book, PST_SCAN_NEW, &facts);
    assert_true(pst_facts_book_settle(f->book, f->scan));
    fill_link(f);
    pst_facts_book_event(f->book, PST_SCAN_GONE, &facts);
    assert_false(pst_facts_book_settle(f->book, f->scan));
    empty_link(f);
    assert_true(pst_facts_book_settle(f->book, f->scan));
    assert_true(next(f, &event, &got));
    assert_int_equal(event, PST_SCAN_GONE);
    assert_int_equal(got.pid, 7);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_daemon_hears_the_tables_ids),
        TEST(test_an_end_frees_the_entry_and_a_restarted_scan_keeps_the_id),
        TEST(test_what_ended_while_no_reader_ran_is_told_by_the_next),
        TEST(test_an_end_that_does_not_fit_is_told_later),
    };

    return cmocka_run_group_tests_name("facts_book", tests, NULL, NULL);
}
