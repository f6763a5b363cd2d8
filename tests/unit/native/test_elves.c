/* What many processes map is held once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

#include "elves.h"

static int own_program(void)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static void a_file_that_many_map_is_opened_once_and_closed_with_the_last(void **state)
{
    struct pst_elves *elves = pst_elves_new();

    (void)state;
    assert_non_null(elves);
    assert_int_not_equal(elf_version(EV_CURRENT), EV_NONE);
    const struct pst_elf_file *first = pst_elves_open(elves, own_program());
    assert_non_null(first);
    assert_non_null(first->elf);
    int fd = first->fd;
    Dwarf *dwarf = pst_elves_dwarf(elves, first);
    Elf *mine = elf_begin(-1, ELF_C_READ, first->elf);
    assert_ptr_equal(mine, first->elf);
    assert_ptr_equal(pst_elves_open(elves, own_program()), first);
    assert_ptr_equal(pst_elves_dwarf(elves, first), dwarf);
    pst_elves_close(elves, first);
    assert_true(fcntl(fd, F_GETFD) >= 0);
    (void)elf_end(mine);
    pst_elves_close(elves, first);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    pst_elves_free(elves);
}

static void what_is_no_program_has_no_tables(void **state)
{
    struct pst_elves *elves = pst_elves_new();
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);

    (void)state;
    assert_non_null(elves);
    const struct pst_elf_file *file = pst_elves_open(elves, fd);
    assert_non_null(file);
    assert_null(file->elf);
    assert_null(pst_elves_dwarf(elves, file));
    pst_elves_free(elves);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_that_many_map_is_opened_once_and_closed_with_the_last),
        cmocka_unit_test(what_is_no_program_has_no_tables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
