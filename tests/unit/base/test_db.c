/* Files of ours in a folder that others could write to before it was ours alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "../scratch.h"
#include "base/db.h"

/* A log that another user left would be read as ours, and a shared index that he cuts short kills
 * whoever has it mapped. */
static void companions_that_are_not_ours_are_refused(void **state)
{
    static const char *const endings[] = {"-wal", "-shm", "-journal"};
    if (geteuid() != 0)
        skip();
    for (size_t i = 0; i < 3; i++) {
        char *directory = new_directory(), path[128], other[160];
        sqlite3 *db = NULL;
        (void)snprintf(path, sizeof(path), "%s/some.db", directory);
        (void)snprintf(other, sizeof(other), "%s%s", path, endings[i]);
        int fd = open(other, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
        assert_true(fd >= 0);
        assert_int_equal(fchown(fd, 65534, 65534), 0);
        (void)close(fd);
        assert_int_equal(pst_db_open(path, 64, false, &db), -EPERM);
        assert_int_equal(unlink(other), 0);
        assert_int_equal(symlink("/dev/null", other), 0);
        assert_int_equal(pst_db_open(path, 64, false, &db), -EPERM);
        assert_int_equal(unlink(other), 0);
        assert_int_equal(pst_db_open(path, 64, false, &db), 0);
        pst_db_close(&db);
        remove_directory(directory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(companions_that_are_not_ours_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
