/* Names of recordings, and files that appear whole or not at all. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "output.h"
#include "record_name.h"

static void assert_name(const char *program, enum pst_format format, const char *expected)
{
    char *name = pst_record_name(pst_str(program), 42, 1700000000, format);

    assert_string_equal(name, expected);
    free(name);
}

static void names_say_program_process_and_time(void **state)
{
    assert_int_equal(setenv("TZ", "UTC", 1), 0);
    tzset();
    assert_name("/usr/bin/python3", PST_FORMAT_FLAMEGRAPH, "python3-42-20231114T221320.svg");
    assert_name("gunicorn", PST_FORMAT_PPROF, "gunicorn-42-20231114T221320.pb.gz");
    assert_name("-bash", PST_FORMAT_RAW, "bash-42-20231114T221320.txt");
    assert_name("", PST_FORMAT_SPEEDSCOPE, "python-42-20231114T221320.speedscope.json");
    assert_name("/", PST_FORMAT_HTML, "python-42-20231114T221320.html");
}

static char *in_folder(const char *folder, const char *name)
{
    char *path = NULL;

    assert_true(asprintf(&path, "%s/%s", folder, name) > 0);
    return path;
}

static void a_file_appears_when_it_is_whole(void **state)
{
    char folder[] = "/tmp/pst-output-XXXXXX";
    struct pst_output output;
    struct pst_error error;
    struct pst_buf bytes, read;

    assert_non_null(mkdtemp(folder));
    char *path = in_folder(folder, "a.svg");
    assert_int_equal(pst_output_open(strdup(path), &output, &error), 0);
    assert_int_equal(access(path, F_OK), -1);
    pst_buf_init(&bytes, 64);
    pst_buf_init(&read, 64);
    assert_int_equal(pst_buf_puts(&bytes, "whole"), 0);
    assert_int_equal(pst_output_commit(&output, &bytes, &error), 0);
    pst_output_done(&output);
    assert_int_equal(pst_io_read_file(-1, path, &read, false), 0);
    assert_string_equal(read.data, "whole");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0); /* nothing else is there */
    pst_buf_done(&bytes);
    pst_buf_done(&read);
    free(path);
}

static void what_was_not_committed_leaves_nothing(void **state)
{
    char folder[] = "/tmp/pst-output-XXXXXX";
    struct pst_output output;
    struct pst_error error;

    assert_non_null(mkdtemp(folder));
    assert_int_equal(pst_output_open(in_folder(folder, "a.svg"), &output, &error), 0);
    pst_output_done(&output);
    assert_int_equal(rmdir(folder), 0);
}

static void a_place_that_cannot_be_written_is_refused_at_once(void **state)
{
    struct pst_output output;
    struct pst_error error;

    assert_int_equal(pst_output_open(strdup("/no/such/folder/a"), &output, &error), -ENOENT);
    assert_int_equal(error.code, PST_EXIT_FAILED);
    assert_string_equal(error.where, "/no/such/folder/a");
    pst_output_done(&output);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_say_program_process_and_time),
        cmocka_unit_test(a_file_appears_when_it_is_whole),
        cmocka_unit_test(what_was_not_committed_leaves_nothing),
        cmocka_unit_test(a_place_that_cannot_be_written_is_refused_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
