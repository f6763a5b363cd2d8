/* The three messages: what goes in comes out, what is out of bounds does not. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/random.h"
#include "roles/link.h"

static struct pst_link_facts sample_fact(void)
{
    struct pst_link_facts fact;

    memset(&fact, 0, sizeof(fact));
    fact.kind = PST_LINK_FACT;
    fact.event = PST_SCAN_CHANGED;
    fact.facts.id = 4097;
    fact.facts.parent_id = 4098;
    fact.facts.pid = 12;
    fact.facts.ppid = 1;
    fact.facts.start_ticks = 99;
    fact.facts.state = PST_TARGET_READY;
    fact.facts.random[15] = 7;
    fact.facts.runtime.hexversion = 0x030b0700;
    fact.facts.runtime.runtime = 0x7f0000001000;
    fact.facts.runtime.free_threaded = true;
    fact.facts.second.hexversion = 0x030d0000;
    fact.facts.build = PST_BUILD_SHARED;
    fact.facts.exe = PST_STR("/usr/bin/python3.11");
    fact.facts.started_as = (struct pst_str){"python\0-u\0", 10};
    fact.facts.argv = (struct pst_str){"python\0app.py\0", 14};
    fact.facts.env = (struct pst_str){"HOSTNAME=a\0", 11};
    fact.facts.env_source = PST_ENV_BLOCK;
    return fact;
}

static void buf_setup(struct pst_buf *buf)
{
    pst_buf_init(buf, PST_MAX_LINK_MESSAGE_BYTES);
}

static int recode_fact(const struct pst_link_facts *in, struct pst_link_facts *out)
{
    struct pst_buf buf;

    buf_setup(&buf);
    assert_int_equal(pst_link_facts_encode(in, &buf), 0);
    int status = pst_link_facts_decode(buf.data, buf.len, out);
    pst_buf_done(&buf);
    return status;
}

static void test_fact_survives(void **state)
{
    struct pst_link_facts in = sample_fact(), out;

    (void)state;
    assert_int_equal(recode_fact(&in, &out), 0);
    assert_int_equal(out.event, PST_SCAN_CHANGED);
    assert_int_equal(out.facts.id, 4097);
    assert_int_equal(out.facts.parent_id, 4098);
    assert_int_equal(out.facts.random[15], 7);
    assert_int_equal(out.facts.runtime.runtime, 0x7f0000001000);
    assert_true(out.facts.runtime.free_threaded);
    assert_int_equal(out.facts.second.hexversion, 0x030d0000);
    assert_true(pst_str_eq(out.facts.exe, in.facts.exe));
    assert_true(pst_str_eq(out.facts.argv, in.facts.argv));
    assert_true(pst_str_eq(out.facts.started_as, in.facts.started_as));
    assert_true(pst_str_eq(out.facts.env, in.facts.env));
    assert_int_equal(out.facts.cwd.len, 0);
    pst_link_facts_done(&out);
}

static void test_scan_survives(void **state)
{
    struct pst_link_facts in = {.kind = PST_LINK_SCAN}, out;

    (void)state;
    in.scan.processes = 17;
    in.scan.memory_bytes = 1 << 20;
    assert_int_equal(recode_fact(&in, &out), 0);
    assert_int_equal(out.kind, PST_LINK_SCAN);
    assert_int_equal(out.scan.processes, 17);
    assert_int_equal(out.scan.memory_bytes, 1 << 20);
    pst_link_facts_done(&out);
}

static void test_long_environment_is_cut_between_variables(void **state)
{
    struct pst_link_facts in = sample_fact(), out;
    static char block[PST_MAX_LINK_BLOCK_BYTES + 4096];

    (void)state;
    memset(block, 'x', sizeof(block));
    block[9] = block[PST_MAX_LINK_BLOCK_BYTES - 10] = '\0';
    in.facts.env = (struct pst_str){block, sizeof(block)};
    assert_int_equal(recode_fact(&in, &out), 0);
    assert_int_equal(out.facts.env.len, PST_MAX_LINK_BLOCK_BYTES - 9);
    pst_link_facts_done(&out);
}

static void test_largest_fact_fits_one_message(void **state)
{
    struct pst_link_facts in = sample_fact(), out;
    static char text[PST_MAX_ENVIRON_BYTES];

    (void)state;
    memset(text, 'x', sizeof(text));
    text[PST_MAX_LINK_BLOCK_BYTES - 1] = '\0';
    struct pst_str all = {text, sizeof(text)};
    in.facts.exe = in.facts.image = in.facts.cwd = in.facts.cgroup = all;
    in.facts.argv = in.facts.started_as = in.facts.env = in.facts.comm = in.facts.reason = all;
    in.facts.container_id = all;
    assert_int_equal(recode_fact(&in, &out), 0);
    assert_int_equal(out.facts.env.len, PST_MAX_LINK_BLOCK_BYTES);
    assert_int_equal(out.facts.exe.len, PST_MAX_LINK_TEXT_BYTES);
    pst_link_facts_done(&out);
}

static void test_facts_out_of_bounds_are_refused(void **state)
{
    struct pst_link_facts out;

    (void)state;
#define REFUSED(change)                                                                            \
    do {                                                                                           \
        struct pst_link_facts in = sample_fact();                                                  \
        in.change;                                                                                 \
        assert_int_equal(recode_fact(&in, &out), -EBADMSG);                                        \
    } while (0)
    REFUSED(facts.id = 0);
    REFUSED(facts.id = UINT64_MAX);
    REFUSED(facts.parent_id = 1ull << 32);
    REFUSED(facts.parent_id = 4097);
    REFUSED(facts.pid = 0);
    REFUSED(facts.pid = -1);
    REFUSED(facts.start_ticks = 0);
    REFUSED(event = (enum pst_scan_event)3);
    REFUSED(facts.state = PST_TARGET_STATE_COUNT);
    REFUSED(facts.build = PST_BUILD_COUNT);
    REFUSED(facts.env_source = PST_ENV_SOURCE_COUNT);
    REFUSED(facts.runtime.unicode_width = 5);
#undef REFUSED
}

static struct pst_link_plan sample_plan(void)
{
    struct pst_link_plan plan;

    memset(&plan, 0, sizeof(plan));
    plan.kind = PST_LINK_SAMPLING;
    plan.generation = 3;
    plan.first = plan.last = plan.enabled = true;
    plan.row_count = 2;
    for (uint32_t i = 0; i < 2; i++) {
        plan.rows[i] = (struct pst_plan_row){
            .target = 4096 + i,
            .modes = 3,
            .max_frames = 256,
            .hz = 19,
            .window_ns = 15 * PST_NS_PER_S,
        };
    }
    return plan;
}

static int recode_plan(const struct pst_link_plan *in, struct pst_link_plan *out)
{
    struct pst_buf buf;

    buf_setup(&buf);
    assert_int_equal(pst_link_plan_encode(in, &buf), 0);
    int status = pst_link_plan_decode(buf.data, buf.len, out);
    pst_buf_done(&buf);
    return status;
}

static void test_plan_survives(void **state)
{
    struct pst_link_plan in = sample_plan(), out;

    (void)state;
    in.rows[1].hz = 0.25;
    in.rows[1].class_names = true;
    assert_int_equal(recode_plan(&in, &out), 0);
    assert_true(!out.rows[0].class_names && out.rows[1].class_names);
    assert_int_equal(out.row_count, 2);
    assert_true(out.first && out.last && out.enabled);
    assert_int_equal(out.generation, 3);
    assert_int_equal(out.rows[1].target, 4097);
    assert_true(fabs(out.rows[0].hz - 19) < 1e-9);
    assert_true(fabs(out.rows[1].hz - 0.25) < 1e-9);
    assert_int_equal(out.rows[0].window_ns, 15 * PST_NS_PER_S);

    memset(&in, 0, sizeof(in));
    in.kind = PST_LINK_DISCOVERY;
    in.interval_ns = PST_NS_PER_S;
    in.resend = true;
    assert_int_equal(recode_plan(&in, &out), 0);
    assert_int_equal(out.kind, PST_LINK_DISCOVERY);
    assert_true(out.resend);
}

static void test_fullest_plan_fits_one_message(void **state)
{
    static struct pst_link_plan in, out;

    (void)state;
    in = sample_plan();
    in.row_count = PST_MAX_PLAN_ROWS;
    for (size_t i = 0; i < PST_MAX_PLAN_ROWS; i++) {
        in.rows[i] = in.rows[0];
        in.rows[i].target = UINT32_MAX;
        in.rows[i].priority = UINT32_MAX;
        in.rows[i].window_ns = PST_MAX_WINDOW_SECONDS * PST_NS_PER_S;
    }
    assert_int_equal(recode_plan(&in, &out), 0);
    assert_int_equal(out.row_count, PST_MAX_PLAN_ROWS);
}

static void test_plans_out_of_bounds_are_refused(void **state)
{
    struct pst_link_plan out;

    (void)state;
#define REFUSED(change)                                                                            \
    do {                                                                                           \
        struct pst_link_plan in = sample_plan();                                                   \
        in.rows[1].change;                                                                         \
        assert_int_equal(recode_plan(&in, &out), -EBADMSG);                                        \
    } while (0)
    REFUSED(target = 0);
    REFUSED(modes = 0);
    REFUSED(modes = 8);
    REFUSED(max_frames = 0);
    REFUSED(max_frames = PST_MAX_FRAMES_WALKED + 1);
    REFUSED(window_ns = 0);
    REFUSED(window_ns = UINT64_MAX);
#undef REFUSED
    struct pst_link_plan in = {.kind = PST_LINK_DISCOVERY, .interval_ns = 1};
    assert_int_equal(recode_plan(&in, &out), -EBADMSG);
}

static struct pst_link_up sample_window(void)
{
    struct pst_link_up up;

    memset(&up, 0, sizeof(up));
    up.kind = PST_LINK_WINDOW;
    up.window.target = 4097;
    up.window.sequence = 9;
    up.window.verdict = PST_V_TORN;
    up.window.gone = true;
    up.window.time_ns = 5;
    up.window.duration_ns = 6;
    up.window.hz = 19;
    up.window.achieved_hz = 18.5;
    up.window.ticks = 285;
    up.window.verdicts[PST_V_TORN] = 4;
    up.window.threads = 3;
    up.body_count = 2;
    up.bodies[0] = (struct pst_link_body){PST_MODE_CPU, 10, 1000, 400};
    up.bodies[1] = (struct pst_link_body){PST_MODE_WALL, 20, 2000, 500};
    return up;
}

static int recode_up(const struct pst_link_up *in, struct pst_link_up *out)
{
    struct pst_buf buf;

    buf_setup(&buf);
    assert_int_equal(pst_link_up_encode(in, &buf), 0);
    int status = pst_link_up_decode(buf.data, buf.len, out);
    pst_buf_done(&buf);
    return status;
}

static void test_window_survives(void **state)
{
    struct pst_link_up in = sample_window(), out;

    (void)state;
    assert_int_equal(recode_up(&in, &out), 0);
    assert_int_equal(out.window.target, 4097);
    assert_int_equal(out.window.verdict, PST_V_TORN);
    assert_int_equal(out.window.verdicts[PST_V_TORN], 4);
    assert_int_equal(out.window.ticks, 285);
    assert_true(out.window.gone);
    assert_true(fabs(out.window.achieved_hz - 18.5) < 1e-9);
    assert_int_equal(out.body_count, 2);
    assert_int_equal(out.bodies[1].mode, PST_MODE_WALL);
    assert_int_equal(out.bodies[1].bytes, 500);

    memset(&in, 0, sizeof(in));
    in.kind = PST_LINK_READER;
    in.reader.sequence = 8;
    in.reader.totals.overruns = 77;
    assert_int_equal(recode_up(&in, &out), 0);
    assert_int_equal(out.kind, PST_LINK_READER);
    assert_int_equal(out.reader.totals.overruns, 77);
}

static void test_windows_out_of_bounds_are_refused(void **state)
{
    struct pst_link_up out;

    (void)state;
#define REFUSED(change)                                                                            \
    do {                                                                                           \
        struct pst_link_up in = sample_window();                                                   \
        in.change;                                                                                 \
        assert_int_equal(recode_up(&in, &out), -EBADMSG);                                          \
    } while (0)
    REFUSED(window.target = 0);
    REFUSED(window.target = UINT64_MAX);
    REFUSED(window.verdict = PST_VERDICT_COUNT);
    REFUSED(window.duration_ns = -1);
    REFUSED(window.duration_ns = INT64_MAX);
    REFUSED(window.time_ns = -1);
    REFUSED(window.hz = NAN);
    REFUSED(window.achieved_hz = INFINITY);
    REFUSED(bodies[1].mode = PST_MODE_CPU);
    REFUSED(bodies[1].mode = PST_MODE_COUNT);
    REFUSED(bodies[0].bytes = 0);
    REFUSED(bodies[0].bytes = PST_MAX_LINK_BODY_BYTES + 1);
    REFUSED(bodies[0].samples = -1);
#undef REFUSED
}

/* No byte string may crash a decoder; flipping bits of good ones reaches deeper than noise. */
static void test_flipped_bits_never_crash(void **state)
{
    struct pst_random random = {1};
    struct pst_buf messages[3];
    struct pst_link_facts fact = sample_fact();
    struct pst_link_plan plan = sample_plan();
    struct pst_link_up up = sample_window();

    (void)state;
    for (int i = 0; i < 3; i++)
        buf_setup(&messages[i]);
    assert_int_equal(pst_link_facts_encode(&fact, &messages[0]), 0);
    assert_int_equal(pst_link_plan_encode(&plan, &messages[1]), 0);
    assert_int_equal(pst_link_up_encode(&up, &messages[2]), 0);
    for (int round = 0; round < 20000; round++) {
        struct pst_buf *from = &messages[round % 3];
        char copy[1024];
        assert_true(from->len <= sizeof(copy));
        memcpy(copy, from->data, from->len);
        for (int flips = 0; flips < 3; flips++)
            copy[pst_random_below(&random, from->len)] ^= (char)(1 << pst_random_below(&random, 8));
        size_t len = pst_random_below(&random, from->len + 1);
        if (pst_link_facts_decode(copy, len, &fact) == 0)
            pst_link_facts_done(&fact);
        (void)pst_link_plan_decode(copy, len, &plan);
        (void)pst_link_up_decode(copy, len, &up);
    }
    for (int i = 0; i < 3; i++)
        pst_buf_done(&messages[i]);
}

/* Sixty thousand empty rows ask for thirty times their size in memory. */
static void test_message_of_empty_rows_is_refused(void **state)
{
    static unsigned char bomb[PST_MAX_LINK_MESSAGE_BYTES];
    static struct pst_link_plan plan;
    size_t len = sizeof(bomb), inner = len - 4;

    (void)state;
    bomb[0] = 2 << 3 | 2;
    bomb[1] = (unsigned char)(0x80 | (inner & 0x7f));
    bomb[2] = (unsigned char)(0x80 | (inner >> 7 & 0x7f));
    bomb[3] = (unsigned char)(inner >> 14);
    for (size_t i = 4; i + 1 < len; i += 2)
        bomb[i] = 5 << 3 | 2;
    assert_int_equal(pst_link_plan_decode(bomb, len, &plan), -EBADMSG);
}

static void test_body_must_be_sealed_and_as_long_as_said(void **state)
{
    int fd, loose = memfd_create("loose", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    void *data;

    (void)state;
    assert_int_equal(pst_link_body_seal("profile", 7, &fd), 0);
    assert_true(write(fd, "x", 1) < 0);
    assert_int_equal(pst_link_body_read(fd, 7, &data), 0);
    assert_memory_equal(data, "profile", 7);
    free(data);
    assert_int_equal(pst_link_body_read(fd, 6, &data), -EBADMSG);
    assert_int_equal(pst_link_body_read(fd, 0, &data), -EBADMSG);
    assert_int_equal(write(loose, "profile", 7), 7);
    assert_int_equal(pst_link_body_read(loose, 7, &data), -EBADMSG);
    close(fd);
    close(loose);
}

static void test_socket_carries_message_and_descriptor(void **state)
{
    int pair[2], fd, got_fd;
    char text[16];
    size_t count;
    void *data;

    (void)state;
    assert_int_equal(pst_link_pair(pair), 0);
    assert_int_equal(pst_link_body_seal("abc", 3, &fd), 0);
    assert_int_equal(pst_link_receive(pair[1], text, sizeof(text), &got_fd, 1, &count), -EAGAIN);
    assert_int_equal(pst_link_send(pair[0], "hello", 5, &fd, 1, 0), 0);
    assert_int_equal(pst_link_receive(pair[1], text, sizeof(text), &got_fd, 1, &count), 5);
    assert_int_equal(count, 1);
    assert_int_equal(fcntl(got_fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(pst_link_body_read(got_fd, 3, &data), 0);
    free(data);
    close(got_fd);
    close(fd);
    close(pair[0]);
    assert_int_equal(pst_link_receive(pair[1], text, sizeof(text), NULL, 0, &count), 0);
    close(pair[1]);
}

static int lowest_free_fd(void)
{
    int fd = dup(0);

    close(fd);
    return fd;
}

static void test_unwanted_descriptors_and_long_messages_leave_nothing(void **state)
{
    int pair[2], fd, got_fd;
    char text[4];
    size_t count;

    (void)state;
    assert_int_equal(pst_link_pair(pair), 0);
    assert_int_equal(pst_link_body_seal("abc", 3, &fd), 0);
    int before = lowest_free_fd();
    int two[2] = {fd, fd};
    assert_int_equal(pst_link_send(pair[0], "ab", 2, two, 2, 0), 0);
    assert_int_equal(pst_link_receive(pair[1], text, sizeof(text), &got_fd, 1, &count), -EMSGSIZE);
    assert_int_equal(pst_link_send(pair[0], "too long", 8, &fd, 1, 0), 0);
    assert_int_equal(pst_link_receive(pair[1], text, sizeof(text), &got_fd, 1, &count), -EMSGSIZE);
    assert_int_equal(lowest_free_fd(), before);
    close(fd);
    close(pair[0]);
    close(pair[1]);
}

static void test_full_socket_says_so(void **state)
{
    static char message[65536];
    int pair[2], status = 0;

    (void)state;
    assert_int_equal(pst_link_pair(pair), 0);
    for (int i = 0; i < 1000 && status == 0; i++)
        status = pst_link_send(pair[0], message, sizeof(message), NULL, 0, 0);
    assert_int_equal(status, -EAGAIN);
    assert_int_equal(pst_link_send(pair[0], message, sizeof(message), NULL, 0, 1), -EAGAIN);
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fact_survives),
        cmocka_unit_test(test_scan_survives),
        cmocka_unit_test(test_long_environment_is_cut_between_variables),
        cmocka_unit_test(test_largest_fact_fits_one_message),
        cmocka_unit_test(test_facts_out_of_bounds_are_refused),
        cmocka_unit_test(test_plan_survives),
        cmocka_unit_test(test_fullest_plan_fits_one_message),
        cmocka_unit_test(test_plans_out_of_bounds_are_refused),
        cmocka_unit_test(test_window_survives),
        cmocka_unit_test(test_windows_out_of_bounds_are_refused),
        cmocka_unit_test(test_flipped_bits_never_crash),
        cmocka_unit_test(test_message_of_empty_rows_is_refused),
        cmocka_unit_test(test_body_must_be_sealed_and_as_long_as_said),
        cmocka_unit_test(test_socket_carries_message_and_descriptor),
        cmocka_unit_test(test_unwanted_descriptors_and_long_messages_leave_nothing),
        cmocka_unit_test(test_full_socket_says_so),
    };

    return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
