/* Log lines: shape, escaping, at most six a minute per cause, never blocking. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"

static uint64_t fake_now_ns = 1;
static uint64_t fake_monotonic(void)
{
    return fake_now_ns;
}

static int pipe_fds[2], saved_stderr;

static int redirect(void **state)
{
    saved_stderr = dup(STDERR_FILENO);
    if (pipe2(pipe_fds, O_NONBLOCK) < 0)
        return -1;
    return dup2(pipe_fds[1], STDERR_FILENO) < 0 ? -1 : 0;
}

static int restore(void **state)
{
    (void)dup2(saved_stderr, STDERR_FILENO);
    (void)close(saved_stderr);
    (void)close(pipe_fds[0]);
    (void)close(pipe_fds[1]);
    return 0;
}

static size_t drain(char *text, size_t size)
{
    ssize_t n = read(pipe_fds[0], text, size - 1);
    text[n > 0 ? n : 0] = 0;
    return n > 0 ? (size_t)n : 0;
}

static unsigned lines_in(const char *text)
{
    unsigned lines = 0;
    for (; *text; text++)
        lines += *text == '\n';
    return lines;
}

static void at_most_six_lines_a_minute_per_cause_with_the_suppressed_count(void **state)
{
    char text[8192];
    pst_clock_set_source(fake_monotonic, NULL);
    pst_log_setup(PST_LOG_INFO, PST_LOG_LOGFMT, "test");
    for (int i = 0; i < 20; i++)
        pst_log_warn("storm", "number %d", i);
    pst_log_warn("other", "alone");
    (void)drain(text, sizeof(text));
    assert_int_equal(lines_in(text), 7);
    fake_now_ns += 61 * PST_NS_PER_S;
    pst_log_warn("storm", "again");
    (void)drain(text, sizeof(text));
    assert_non_null(strstr(text, "suppressed=14"));
    pst_clock_set_source(NULL, NULL);
}

static void outside_text_cannot_forge_a_line_or_move_a_terminal(void **state)
{
    char text[4096];
    pst_log_setup(PST_LOG_INFO, PST_LOG_LOGFMT, "test");
    pst_log_warn("forged_logfmt", "%s", "x\ntime=now level=error \x1b[2J \"q\"");
    (void)drain(text, sizeof(text));
    assert_int_equal(lines_in(text), 1);
    assert_null(strchr(text, '\x1b'));
    pst_log_setup(PST_LOG_INFO, PST_LOG_JSON, "test");
    pst_log_warn("forged_json", "%s", "x\"}\n{\"\xff");
    (void)drain(text, sizeof(text));
    assert_int_equal(lines_in(text), 1);
    assert_non_null(strstr(text, "x\\u0022}\\u000a{\\u0022\xef\xbf\xbd"));
    pst_log_setup(PST_LOG_INFO, PST_LOG_LOGFMT, "");
}

static void a_full_pipe_on_stderr_does_not_block(void **state)
{
    char block[4096] = {0};
    while (write(pipe_fds[1], block, sizeof(block)) > 0)
        ;
    (void)fcntl(pipe_fds[1], F_SETFL, 0); /* blocking now: a writer that does not ask would hang */
    alarm(5);
    pst_log_warn("full_pipe", "dropped");
    alarm(0);
    (void)fcntl(pipe_fds[1], F_SETFL, O_NONBLOCK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            at_most_six_lines_a_minute_per_cause_with_the_suppressed_count, redirect, restore),
        cmocka_unit_test_setup_teardown(outside_text_cannot_forge_a_line_or_move_a_terminal,
                                        redirect, restore),
        cmocka_unit_test_setup_teardown(a_full_pipe_on_stderr_does_not_block, redirect, restore),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
