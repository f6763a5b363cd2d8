/* Environment blocks, intact and overwritten, and the vector behind them. */
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "environ.h"
#include "scan/facts.h"

#define BLOCK(text) ((struct pst_str){text, sizeof(text) - 1})

static void overwritten_blocks_are_told(void **state)
{
    assert_true(pst_environ_intact(BLOCK(""), false));
    assert_true(pst_environ_intact(BLOCK("A=1\0B=\0"), false));
    assert_true(
        pst_environ_intact(BLOCK("BASH_FUNC_x%%=() { :; }\0npm_config_//r/:_auth=x\0"), false));
    assert_false(pst_environ_intact(BLOCK("\0\0\0\0\0\0"), false));
    assert_false(pst_environ_intact(BLOCK("er [shop.wsgi:application]\0\0\0\0"), false));
    assert_false(pst_environ_intact(BLOCK("worker name=x [y]\0\0\0"), false));
    assert_false(pst_environ_intact(BLOCK("            "), false));
    assert_false(pst_environ_intact(BLOCK("A=1\0\0\0C=3\0"), false));
    assert_false(pst_environ_intact(BLOCK("tail of a title\0HOME=/root\0"), false));
    assert_false(pst_environ_intact(BLOCK("=x\0"), false));
    /* The end was not read: the last entry may be half of one. */
    assert_true(pst_environ_intact(BLOCK("A=1\0HOM"), true));
    assert_false(pst_environ_intact(BLOCK("A=1\0HOM"), false));
}

static void only_allowed_names_are_kept(void **state)
{
    struct pst_buf out;
    struct pst_facts facts = {0};
    struct pst_str value;
    pst_buf_init(&out, 4096);
    assert_int_equal(
        pst_environ_filter(BLOCK("PATH=/bin\0OTEL_SERVICE_NAME=shop\0DD_API_KEY=secret\0"
                                 "OTEL_EXPORTER_OTLP_HEADERS=authorization=x\0AWS_SECRET=y\0"
                                 "DD_SERVICE=\0OTEL_SERVICE_NAMES=no\0HOSTNAME=web-1"),
                           &out),
        0);
    assert_memory_equal(out.data, "OTEL_SERVICE_NAME=shop\0DD_SERVICE=\0HOSTNAME=web-1", out.len);
    facts.env = pst_buf_view(&out);
    assert_true(pst_facts_env(&facts, "OTEL_SERVICE_NAME", &value));
    assert_true(pst_str_eq(value, PST_STR("shop")));
    assert_true(pst_facts_env(&facts, "DD_SERVICE", &value) && value.len == 0);
    assert_false(pst_facts_env(&facts, "OTEL_SERVICE", &value));
    assert_false(pst_facts_env(&facts, "DD_API_KEY", &value));
    pst_buf_done(&out);
}

static void the_random_bytes_are_found_behind_the_environment(void **state)
{
    const uint64_t words[] = {2, 11, 12, 0, 21, 22, 0, AT_UID, 5, AT_RANDOM, 77, AT_NULL, 0};
    const uint64_t none[] = {0, 0, 0, AT_UID, 5, AT_NULL, 0, AT_RANDOM, 9};
    const uint64_t liar[] = {UINT64_MAX, 1, 0, 0, AT_RANDOM, 77};
    size_t count = sizeof(words) / sizeof(words[0]);
    assert_int_equal(pst_random_parse(words, count), 77);
    assert_int_equal(pst_random_parse(none, sizeof(none) / sizeof(none[0])), 0);
    assert_int_equal(pst_random_parse(liar, sizeof(liar) / sizeof(liar[0])), 0);
    for (size_t cut = 0; cut < 11; cut++)
        assert_int_equal(pst_random_parse(words, cut), 0);
}

static void our_own_are_read_through_memory(void **state)
{
    struct pst_procref ref;
    struct pst_stat stat;
    struct pst_buf block;
    assert_int_equal(pst_procref_open(getpid(), &ref), 0);
    assert_int_equal(pst_stat_read(getpid(), &stat), 0);
    struct pst_memory *memory = pst_memory_new(&ref);
    assert_int_equal(pst_random_address(&stat, memory), getauxval(AT_RANDOM));
    pst_buf_init(&block, PST_MAX_ENVIRON_BYTES);
    assert_int_equal(pst_environ_read(&stat, getpid(), memory, &block), 0);
    assert_int_equal(block.len, stat.env_end - stat.env_start);
    assert_true(pst_environ_intact(pst_buf_view(&block), false));
    pst_buf_done(&block);
    /* Where memory is refused to us, the file may be open. */
    stat.env_start = stat.env_end = 0;
    pst_buf_init(&block, PST_MAX_ENVIRON_BYTES);
    assert_int_equal(pst_environ_read(&stat, getpid(), memory, &block), 0);
    assert_true(block.len > 0);
    pst_buf_done(&block);
    pst_memory_free(memory);
    pst_procref_done(&ref);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overwritten_blocks_are_told),
        cmocka_unit_test(only_allowed_names_are_kept),
        cmocka_unit_test(the_random_bytes_are_found_behind_the_environment),
        cmocka_unit_test(our_own_are_read_through_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
