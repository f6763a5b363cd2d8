/* The target table: ids, both sides of the sequence lock, what a dead or lying writer leaves. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "roles/table.h"

struct fixture {
    int fd, read_fd;
    struct pst_table *writer, *reader;
};

static int setup(void **state)
{
    static struct fixture fixture;
    char path[64];

    assert_int_equal(pst_table_create(&fixture.fd), 0);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fixture.fd);
    fixture.read_fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fixture.read_fd >= 0);
    assert_int_equal(pst_table_open(fixture.fd, true, &fixture.writer), 0);
    assert_int_equal(pst_table_open(fixture.read_fd, false, &fixture.reader), 0);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    pst_table_close(fixture->writer);
    pst_table_close(fixture->reader);
    close(fixture->fd);
    close(fixture->read_fd);
    return 0;
}

static struct pst_table_entry process(pid_t pid, uint64_t start_ticks)
{
    struct pst_table_entry entry;

    memset(&entry, 0, sizeof(entry));
    entry.pid = pid;
    entry.start_ticks = start_ticks;
    entry.runtime.runtime = 0x1000u + (uint64_t)pid;
    return entry;
}

static void test_reader_sees_what_was_put(void **state)
{
    struct fixture *f = *state;
    struct pst_table_entry entry = process(7, 70), got;
    uint32_t id;

    assert_int_equal(pst_table_put(f->writer, &entry, &id), 0);
    assert_int_not_equal(id, 0);
    assert_int_equal(pst_table_get(f->reader, id, &got), 0);
    assert_int_equal(got.pid, 7);
    assert_int_equal(got.runtime.runtime, 0x1007);
    pst_table_remove(f->writer, id);
    assert_int_equal(pst_table_get(f->reader, id, &got), -ENOENT);
}

static void test_same_process_keeps_its_id_across_writers(void **state)
{
    struct fixture *f = *state;
    struct pst_table_entry entry = process(7, 70);
    uint32_t id, again;

    assert_int_equal(pst_table_put(f->writer, &entry, &id), 0);
    f->writer = pst_table_close(f->writer);
    assert_int_equal(pst_table_open(f->fd, true, &f->writer), 0);
    assert_int_equal(pst_table_put(f->writer, &entry, &again), 0);
    assert_int_equal(id, again);
}

static void test_reused_pid_and_exec_get_new_ids(void **state)
{
    struct fixture *f = *state;
    struct pst_table_entry entry = process(7, 70), got;
    uint32_t first, reused, executed;

    assert_int_equal(pst_table_put(f->writer, &entry, &first), 0);
    entry.start_ticks = 71;
    assert_int_equal(pst_table_put(f->writer, &entry, &reused), 0);
    entry.exec_id = 5;
    assert_int_equal(pst_table_put(f->writer, &entry, &executed), 0);
    assert_int_not_equal(first, reused);
    assert_int_not_equal(reused, executed);
    assert_int_equal(pst_table_get(f->reader, first, &got), 0);
    assert_int_equal(got.start_ticks, 70);
}

static void test_freed_slot_does_not_revive_an_id(void **state)
{
    struct fixture *f = *state;
    struct pst_table_entry entry = process(7, 70), got;
    uint32_t first, id;

    assert_int_equal(pst_table_put(f->writer, &entry, &first), 0);
    pst_table_remove(f->writer, first);
    for (int i = 0; i < 2 * PST_MAX_TARGETS; i++) {
        entry = process(100 + i, 1);
        assert_int_equal(pst_table_put(f->writer, &entry, &id), 0);
        assert_int_not_equal(id, first);
        pst_table_remove(f->writer, id);
    }
    assert_int_equal(pst_table_get(f->reader, first, &got), -ENOENT);
}

static void test_full_table_refuses(void **state)
{
    struct fixture *f = *state;
    struct pst_table_entry entry;
    uint32_t id, cursor = 0, seen = 0;

    for (int i = 0; i < PST_MAX_TARGETS; i++) {
        entry = process(1 + i, 1);
        assert_int_equal(pst_table_put(f->writer, &entry, &id), 0);
    }
    entry = process(1 + PST_MAX_TARGETS, 1);
    assert_int_equal(pst_table_put(f->writer, &entry, &id), -ENOSPC);
    while (pst_table_next(f->writer, &cursor, &entry))
        seen++;
    assert_int_equal(seen, PST_MAX_TARGETS);
}

static void test_reader_cannot_write(void **state)
{
    struct fixture *f = *state;
    struct pst_table_entry entry = process(7, 70);
    struct pst_table *table;
    uint32_t id;

    assert_int_equal(pst_table_put(f->reader, &entry, &id), -EROFS);
    assert_int_equal(pst_table_open(f->read_fd, true, &table), -EACCES);
}

/* Finds the words of an entry in the raw image, as a writer gone mad would. */
static uint64_t *find_word(int fd, uint64_t value, void **ret_map, size_t *ret_size)
{
    off_t size = lseek(fd, 0, SEEK_END);
    uint64_t *map = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    assert_true(map != MAP_FAILED);
    *ret_map = map;
    *ret_size = (size_t)size;
    for (size_t i = 0; i < (size_t)size / 8; i++)
        if (map[i] == value)
            return &map[i];
    fail();
    return NULL;
}

static void test_impossible_content_is_refused(void **state)
{
    struct fixture *f = *state;
    struct pst_table_entry entry = process(7, 0x7777777777), got;
    uint32_t id;
    void *map;
    size_t size;

    assert_int_equal(pst_table_put(f->writer, &entry, &id), 0);
    uint64_t *word = find_word(f->fd, 0x7777777777, &map, &size);
    *word = 0;
    assert_int_equal(pst_table_get(f->reader, id, &got), -EBADMSG);
    munmap(map, size);
}

static void test_half_written_entry_waits_and_is_dropped(void **state)
{
    struct fixture *f = *state;
    struct pst_table_entry entry = process(7, 0x7777777777), got;
    uint32_t id;
    void *map;
    size_t size;

    assert_int_equal(pst_table_put(f->writer, &entry, &id), 0);
    uint64_t *word = find_word(f->fd, 0x7777777777, &map, &size);
    /* The slot's sequence stands one word before the entry's first. */
    uint32_t *seq = (uint32_t *)(word - offsetof(struct pst_table_entry, start_ticks) / 8 - 1);
    assert_int_equal(*seq % 2, 0);
    (*seq)++;
    munmap(map, size);
    assert_int_equal(pst_table_get(f->reader, id, &got), -EAGAIN);
    f->writer = pst_table_close(f->writer);
    assert_int_equal(pst_table_open(f->fd, true, &f->writer), 0);
    assert_int_equal(pst_table_get(f->reader, id, &got), -ENOENT);
}

static void test_other_files_are_refused(void **state)
{
    struct pst_table *table;
    int fd = memfd_create("other", MFD_CLOEXEC);

    (void)state;
    assert_int_equal(pst_table_open(fd, false, &table), -EBADMSG);
    close(fd);
}

/* A writer process that never rests against a reader: each copy must be of one moment. */
static void test_no_torn_entry_under_a_busy_writer(void **state)
{
    struct fixture *f = *state;
    struct pst_table_entry entry = process(7, 70), got;
    uint32_t id;

    assert_int_equal(pst_table_put(f->writer, &entry, &id), 0);
    pid_t child = fork();
    if (child == 0) {
        for (uint64_t i = 1;; i++) {
            entry.runtime.runtime = i;
            entry.runtime.image_start = i;
            (void)pst_table_put(f->writer, &entry, &id);
        }
    }
    int read = 0;
    for (int i = 0; i < 200000 || (!read && i < 200000000); i++) {
        int status = pst_table_get(f->reader, id, &got);
        assert_true(status == 0 || status == -EAGAIN);
        if (status < 0 || got.runtime.image_start == 0)
            continue;
        read++;
        assert_int_equal(got.runtime.runtime, got.runtime.image_start);
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_true(read > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_reader_sees_what_was_put),
        TEST(test_same_process_keeps_its_id_across_writers),
        TEST(test_reused_pid_and_exec_get_new_ids),
        TEST(test_freed_slot_does_not_revive_an_id),
        TEST(test_full_table_refuses),
        TEST(test_reader_cannot_write),
        TEST(test_impossible_content_is_refused),
        TEST(test_half_written_entry_waits_and_is_dropped),
        TEST(test_other_files_are_refused),
        TEST(test_no_torn_entry_under_a_busy_writer),
    };

    return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
