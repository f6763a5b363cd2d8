/* What a document from a kubelet or an engine may cost. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "engine.h"

static const char *const shapes[] = {
    "{}", "[]", "0", "[[[[]]]]", "{\"f:a\":{}}", "{\"name\":\"x\",\"value\":\"y\"}", "\"a\\\"b\"",
};

/* {"items":[SHAPE,SHAPE...]} of about so many bytes. */
static void make(const char *shape, size_t bytes, struct pst_buf *out)
{
    pst_buf_init(out, PST_MAX_METADATA_BYTES);
    assert_int_equal(pst_buf_puts(out, "{\"items\":["), 0);
    while (out->len + strlen(shape) + 4 < bytes) {
        assert_int_equal(pst_buf_puts(out, shape), 0);
        assert_int_equal(pst_buf_puts(out, ","), 0);
    }
    assert_int_equal(pst_buf_puts(out, "0]}"), 0);
}

static void a_small_text_that_grows_huge_is_refused_and_none_takes_more_than_its_bound(void **state)
{
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        bool refused = false;
        for (size_t bytes = PST_MAX_METADATA_BYTES; bytes > 500000; bytes = bytes * 4 / 5) {
            struct pst_buf text, why;
            make(shapes[i], bytes, &text);
            pst_buf_init(&why, 1024);
            size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
            json_t *root = pst_json_parse(pst_buf_view(&text), &why);
            size_t taken = mallinfo2().uordblks + mallinfo2().hblkhd - before;
            if (root && taken > PST_MAX_METADATA_TREE_BYTES)
                fail_msg("%zu bytes of %s take %zu", text.len, shapes[i], taken);
            refused = refused || !root;
            json_decref(root);
            pst_buf_done(&why);
            pst_buf_done(&text);
            if (root)
                break;
        }
        assert_true(refused);
    }
}

static void an_ipv6_address_of_a_node_gets_the_brackets_that_a_url_needs(void **state)
{
    static const struct {
        const char *url, *wanted;
    } rows[] = {
        {"https://fd00::1:10250", "https://[fd00::1]:10250"},
        {"https://2001:db8::a:b:10250/x:y", "https://[2001:db8::a:b]:10250/x:y"},
        {"https://[fd00::1]:10250", "https://[fd00::1]:10250"},
        {"https://10.0.0.1:10250", "https://10.0.0.1:10250"},
        {"https://node-1", "https://node-1"},
        {"https://node-1/a:b:c", "https://node-1/a:b:c"},
        {"https://u:p@node-1:10250", "https://u:p@node-1:10250"},
        {"node:1", "node:1"},
        {"", ""},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char url[128];
        pst_engine_bracketed_url(rows[i].url, url, sizeof(url));
        assert_string_equal(url, rows[i].wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ipv6_address_of_a_node_gets_the_brackets_that_a_url_needs),
        cmocka_unit_test(
            a_small_text_that_grows_huge_is_refused_and_none_takes_more_than_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
