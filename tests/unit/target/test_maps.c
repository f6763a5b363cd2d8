/* Text of /proc/PID/maps, honest and hostile. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "target/maps.h"

static bool first(const char *text, struct pst_mapping *ret)
{
    struct pst_str rest = pst_str(text);
    return pst_maps_next(&rest, ret);
}

static void a_line_is_taken_apart(void **state)
{
    struct pst_mapping m;
    assert_true(first("7f12a000-7f12b000 r-xp 00001000 fd:1a 1234567    /usr/lib/a b.so\n", &m));
    assert_true(m.start == 0x7f12a000 && m.end == 0x7f12b000 && m.offset == 0x1000);
    assert_int_equal(m.major, 0xfd);
    assert_int_equal(m.minor, 0x1a);
    assert_int_equal(m.inode, 1234567);
    assert_true(m.readable && !m.writable && m.executable && !m.deleted);
    assert_true(pst_str_eq(m.path, PST_STR("/usr/lib/a b.so")));
    assert_true(first("1000-2000 rw-p 00000000 00:00 0", &m));
    assert_int_equal(m.path.len, 0);
    assert_true(first("1000-2000 rw-p 00000000 00:00 0                [heap]", &m));
    assert_true(pst_str_eq(m.path, PST_STR("[heap]")));
}

static void deleted_files_and_escapes(void **state)
{
    struct pst_mapping m;
    char path[64];
    assert_true(first("1000-2000 r--p 00000000 08:01 5 /tmp/x\\012y (deleted)\n", &m));
    assert_true(m.deleted);
    assert_int_equal(pst_maps_path(m.path, path, sizeof(path)), 0);
    assert_string_equal(path, "/tmp/x\ny");
    assert_true(first("1000-2000 r--p 00000000 08:01 5 /tmp/ (deleted) (deleted)\n", &m));
    assert_true(pst_str_eq(m.path, PST_STR("/tmp/ (deleted)")));
    assert_int_equal(pst_maps_path(m.path, path, 8), -ENAMETOOLONG);
    assert_int_equal(pst_maps_path((struct pst_str){"/a\0b", 4}, path, 64), -EINVAL);
    assert_int_equal(pst_maps_path(PST_STR(""), path, 64), -EINVAL);
}

static void broken_lines_are_passed_over(void **state)
{
    static const char text[] = "garbage\n"
                               "1000 2000 r--p 0 0:0 0\n"
                               "2000-1000 r--p 00000000 00:00 0\n"
                               "1000-1000 r--p 00000000 00:00 0\n"
                               "zz-2000 r--p 00000000 00:00 0\n"
                               "1000-2000 r--p\n"
                               "1000-2000 r--p 00000000 0000 0\n"
                               "1000-2000 r--p 00000000 00:00 x\n"
                               "1000-2000 r--p 00000000 fffffffff:00 0\n"
                               "11111111111111111-2 r--p 00000000 00:00 0\n"
                               "\n"
                               "3000-4000 r--p 00000000 00:00 0 /ok\n";
    struct pst_str rest = {text, sizeof(text) - 1};
    struct pst_mapping m;
    assert_true(pst_maps_next(&rest, &m));
    assert_true(m.start == 0x3000);
    assert_false(pst_maps_next(&rest, &m));
}

static void images_are_told_by_inode_not_by_place(void **state)
{
    /* An allocator's arena lies below the program, and the library is mapped once more for
     * reading far away. */
    static const char text[] = "000100000-000300000 rw-p 00000000 00:00 0\n"
                               "000400000-000500000 r--p 00000000 08:01 7 /bin/program\n"
                               "000500000-000600000 rw-p 00100000 08:01 7 /bin/program\n"
                               "700000000-700100000 r-xp 00000000 08:01 9 /lib/libx.so\n"
                               "700100000-700200000 rw-p 00100000 08:02 9 /lib/other.so\n"
                               "700200000-700201000 rw-p 00100000 08:01 9 /lib/libx.so\n"
                               "700300000-700500000 r--s 00000000 08:01 11 /usr/share/data\n"
                               "700600000-700601000 r-xp 00000000 08:01 12 /lib/small.so\n";
    struct pst_image images[8];
    size_t count = pst_maps_images(pst_str(text), 0x80000, images, 8);
    assert_int_equal(count, 3);
    assert_int_equal(images[0].inode, 7);
    assert_true(images[0].start == 0x400000 && images[0].bytes == 0x200000);
    assert_int_equal(images[1].inode, 9);
    assert_int_equal(images[1].minor, 1);
    assert_true(images[1].bytes == 0x101000 && images[1].executable && images[1].writable);
    assert_int_equal(images[2].minor, 2);
    assert_int_equal(pst_maps_images(pst_str(text), 0, images, 2), 2);

    struct pst_mapping m;
    assert_true(pst_maps_find(pst_str(text), 0x5fffff, &m));
    assert_true(m.start == 0x500000 && m.writable);
    assert_false(pst_maps_find(pst_str(text), 0x600000, &m));
}

static void our_own_maps_hold_this_function(void **state)
{
    struct pst_buf text;
    struct pst_mapping m;
    pst_buf_init(&text, PST_MAX_MAPS_BYTES);
    assert_int_equal(pst_maps_read(getpid(), &text), 0);
    assert_true(pst_maps_find(pst_buf_view(&text), (uintptr_t)our_own_maps_hold_this_function, &m));
    assert_true(m.executable && m.inode != 0);
    pst_buf_done(&text);
    pst_buf_init(&text, PST_MAX_MAPS_BYTES);
    assert_int_equal(pst_maps_read(0x3fffffff, &text), -ESRCH);
    pst_buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_taken_apart),
        cmocka_unit_test(deleted_files_and_escapes),
        cmocka_unit_test(broken_lines_are_passed_over),
        cmocka_unit_test(images_are_told_by_inode_not_by_place),
        cmocka_unit_test(our_own_maps_hold_this_function),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
