/* Traps that a target lays on the way to its files. The target is a child in a root of its own. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../scratch.h"
#include "target/rootfs.h"

static char *root;
static pid_t target;

static void path_of(const char *name, char dst[128])
{
    (void)snprintf(dst, 128, "%s/%s", root, name);
}

static int setup(void **state)
{
    int ready[2];
    char word = 0;

    root = new_directory();
    if (pipe(ready) < 0 || (target = fork()) < 0)
        return -1;
    if (target == 0) {
        bool inside = chroot(root) == 0 || (unshare(CLONE_NEWUSER) == 0 && chroot(root) == 0);
        (void)!write(ready[1], inside ? "x" : "-", 1);
        for (;;)
            (void)pause();
    }
    bool good = read(ready[0], &word, 1) == 1 && word == 'x';
    (void)close(ready[0]);
    (void)close(ready[1]);
    return good ? 0 : -1;
}

static int teardown(void **state)
{
    (void)kill(target, SIGKILL);
    (void)waitpid(target, NULL, 0);
    remove_directory(root);
    return 0;
}

/* What the maps would say of this file under that path. */
static struct pst_image image_of(const char *file, const char *path)
{
    struct stat st;

    assert_int_equal(stat(file, &st), 0);
    return (struct pst_image){.inode = st.st_ino,
                              .major = major(st.st_dev),
                              .minor = minor(st.st_dev),
                              .path = pst_str(path)};
}

static void links_lead_to_nothing_outside_the_root(void **state)
{
    static const char *const traps[] = {"/etc/passwd", "../../../../../../../etc/passwd",
                                        "/proc/self/root/etc/passwd"};
    struct stat st;

    for (size_t i = 0; i < sizeof(traps) / sizeof(traps[0]); i++) {
        char link[128];
        path_of("trap", link);
        assert_int_equal(symlink(traps[i], link), 0);
        assert_int_equal(pst_rootfs_open(target, "/trap"), -ENOENT);
        struct pst_image image = image_of("/etc/passwd", "/trap");
        assert_int_equal(pst_rootfs_find(target, &image, &st), -ENOENT);
        assert_int_equal(unlink(link), 0);
    }
    assert_int_equal(pst_rootfs_open(target, "/../../../etc/passwd"), -ENOENT);
    assert_int_equal(pst_rootfs_open(0x3fffffff, "/etc/passwd"), -ENOENT);
}

static void a_link_round_to_itself_ends(void **state)
{
    char link[128];

    path_of("round", link);
    assert_int_equal(symlink("round", link), 0);
    assert_int_equal(pst_rootfs_open(target, "/round"), -ELOOP);
}

/* Opening it for reading would wait for a writer for ever. */
static void a_fifo_is_no_image_and_is_not_waited_for(void **state)
{
    char fifo[128];
    struct stat st;

    path_of("fifo", fifo);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    struct pst_image image = image_of(fifo, "/fifo");
    assert_int_equal(pst_rootfs_find(target, &image, &st), -ENOENT);
    int fd = pst_rootfs_open(target, "/fifo");
    assert_true(fd >= 0);
    int opened = pst_rootfs_reopen(fd);
    if (opened >= 0)
        (void)close(opened);
    (void)close(fd);
}

static void the_very_file_is_found_in_the_root(void **state)
{
    char path[128];
    struct stat st;

    path_of("library", path);
    int made = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(made >= 0);
    (void)close(made);
    struct pst_image image = image_of(path, "/library");
    int fd = pst_rootfs_find(target, &image, &st);
    assert_true(fd >= 0);
    assert_int_equal(st.st_ino, image.inode);
    (void)close(fd);
    image.inode++;
    assert_int_equal(pst_rootfs_find(target, &image, &st), -ENOENT);
    image.inode--;
    image.deleted = true;
    assert_int_equal(pst_rootfs_find(target, &image, &st), -ENOENT);
    image = (struct pst_image){.inode = image.inode};
    assert_true(pst_rootfs_find_mapped(target, 0x1000, 0x2000, &image, &st) < 0);
}

#define IN_A_ROOT(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_ROOT(links_lead_to_nothing_outside_the_root),
        IN_A_ROOT(a_link_round_to_itself_ends),
        IN_A_ROOT(a_fifo_is_no_image_and_is_not_waited_for),
        IN_A_ROOT(the_very_file_is_found_in_the_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
