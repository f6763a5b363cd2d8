/* What is in files' names: folders that are packages, and nothing when nobody answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "../scratch.h"
#include "session/packages.h"

/* FOLDER/pack/mod.py and FOLDER/script.py. */
static char *tree(void)
{
    char *folder = new_directory(), path[128];
    static const char *const files[] = {"pack/__init__.py", "pack/mod.py", "script.py"};

    (void)snprintf(path, sizeof(path), "%s/pack", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
        int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        (void)close(fd);
    }
    return folder;
}

static void fell(char *folder)
{
    char *pack;

    assert_true(asprintf(&pack, "%s/pack", folder) > 0);
    (void)unlinkat(AT_FDCWD, pack, 0);
    remove_directory(pack);
    remove_directory(folder);
}

static void assert_file(struct pst_packages *packages, const char *folder, const char *name,
                        const char *expected)
{
    char path[128];
    struct pst_str found;

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    bool known = pst_packages_file(packages, pst_str(path), &found);
    assert_int_equal(known, expected != NULL);
    if (known)
        assert_true(pst_str_eq(found, pst_str(expected)));
}

static void test_a_name_begins_with_the_outermost_package(void **state)
{
    pid_t gone = 0x3ffffffe; /* no pid of Linux is as large */
    struct pst_packages *packages = pst_packages_new(&gone, 1);
    char *folder = tree();
    struct pst_str found;

    for (int i = 0; i < 2; i++) { /* asked, then remembered */
        assert_file(packages, folder, "pack/mod.py", "pack/mod.py");
        assert_file(packages, folder, "pack/__init__.py", "pack/__init__.py");
        assert_file(packages, folder, "script.py", "script.py");
        assert_file(packages, folder, "nothing.py", NULL);
    }
    assert_false(pst_packages_file(packages, PST_STR("<frozen site>"), &found));
    assert_false(pst_packages_file(packages, PST_STR(""), &found));
    assert_false(pst_packages_file(NULL, PST_STR("/x.py"), &found));
    pst_packages_free(packages);
    fell(folder);
}

static void test_a_relative_name_was_so_to_the_working_folder(void **state)
{
    struct pst_packages *packages = pst_packages_new(NULL, 0);
    char *folder = tree(), before[4096];
    struct pst_str found;

    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(folder), 0);
    assert_true(pst_packages_file(packages, PST_STR("pack/mod.py"), &found));
    assert_true(pst_str_eq(found, PST_STR("pack/mod.py")));
    assert_true(pst_packages_file(packages, PST_STR("./script.py"), &found));
    assert_true(pst_str_eq(found, PST_STR("script.py")));
    assert_int_equal(chdir(before), 0);
    pst_packages_free(packages);
    fell(folder);
}

static pid_t only_child(void)
{
    FILE *file = fopen("/proc/thread-self/children", "re");
    char text[32] = "";

    assert_non_null(file);
    (void)!fgets(text, sizeof(text), file);
    (void)fclose(file);
    return (pid_t)strtol(text, NULL, 10);
}

static void test_a_file_system_that_does_not_answer_costs_one_second_once(void **state)
{
    struct pst_packages *packages = pst_packages_new(NULL, 0);
    char *folder = tree();

    assert_file(packages, folder, "script.py", "script.py");
    assert_true(only_child() > 0);
    assert_int_equal(kill(only_child(), SIGSTOP), 0);
    for (int i = 0; i < 100; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "other-%d.py", i);
        assert_file(packages, folder, name, NULL);
    }
    assert_file(packages, folder, "script.py", "script.py");
    pst_packages_free(packages);
    fell(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_name_begins_with_the_outermost_package),
        cmocka_unit_test(test_a_relative_name_was_so_to_the_working_folder),
        cmocka_unit_test(test_a_file_system_that_does_not_answer_costs_one_second_once),
    };

    return cmocka_run_group_tests_name("packages", tests, NULL, NULL);
}
