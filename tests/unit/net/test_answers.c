/* What servers say, read as data: Retry-After, base64, gRPC messages and details, URLs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth.h"
#include "base/clock.h"
#include "curl_setup.h"
#include "grpc_reply.h"

#define NOW_NS (784111700ULL * PST_NS_PER_S) /* Sun, 06 Nov 1994 08:48:20 GMT */

static void retry_after_takes_seconds_and_dates_only(void **state)
{
    static const struct {
        const char *text;
        bool good;
        uint64_t seconds;
    } rows[] = {
        {"7", true, 7},
        {" 120 ", true, 120},
        {"1000000000", true, 1000000000},
        {"99999999999999999999999", true, UINT64_MAX / PST_NS_PER_S},
        {"Sun, 06 Nov 1994 08:49:37 GMT", true, 77},
        {"Fri, 31 Dec 9999 23:59:59 GMT", true, UINT64_MAX / PST_NS_PER_S},
        {"Sun, 06 Nov 1994 08:48:20 GMT", false, 0},
        {"Sun, 06 Nov 1994 08:00:00 GMT", false, 0},
        {"Sun, 06 Nov 1994 08:49:37 CET", false, 0},
        {"Sun, 06 Foo 1994 08:49:37 GMT", false, 0},
        {"Sunday, 06-Nov-94 08:49:37 GMT", false, 0},
        {"0", false, 0},
        {"-1", false, 0},
        {"+7", false, 0},
        {"7s", false, 0},
        {"7.5", false, 0},
        {"soon", false, 0},
        {"", false, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t delay_ns = 0;
        bool good = pst_net_retry_after(pst_str(rows[i].text), NOW_NS, &delay_ns);
        assert_int_equal(good, rows[i].good);
        assert_true(delay_ns == rows[i].seconds * PST_NS_PER_S);
    }
}

static void base64_goes_both_ways_and_takes_missing_padding(void **state)
{
    static const char *const plain[] = {"", "a", "ab", "abc", "abcd"};
    static const char *const coded[] = {"", "YQ==", "YWI=", "YWJj", "YWJjZA=="};
    struct pst_buf buf;
    pst_buf_init(&buf, 100);
    for (size_t i = 0; i < 5; i++) {
        pst_buf_reset(&buf);
        assert_int_equal(pst_base64_encode(&buf, plain[i], strlen(plain[i])), 0);
        assert_true(pst_str_eq(pst_buf_view(&buf), pst_str(coded[i])));
        pst_buf_reset(&buf);
        assert_int_equal(pst_base64_decode(&buf, pst_str(coded[i])), 0);
        assert_true(pst_str_eq(pst_buf_view(&buf), pst_str(plain[i])));
    }
    pst_buf_reset(&buf);
    assert_int_equal(pst_base64_decode(&buf, PST_STR("YWI")), 0);
    assert_true(pst_str_eq(pst_buf_view(&buf), PST_STR("ab")));
    assert_true(pst_base64_decode(&buf, PST_STR("Y")) < 0);
    assert_true(pst_base64_decode(&buf, PST_STR("Y W=")) < 0);
    pst_buf_done(&buf);
}

static void grpc_messages_are_decoded_leniently_and_cut(void **state)
{
    char text[16];
    pst_grpc_message(PST_STR("come%20back"), text, sizeof(text));
    assert_string_equal(text, "come back");
    pst_grpc_message(PST_STR("100% %zz %"), text, sizeof(text));
    assert_string_equal(text, "100% %zz %");
    pst_grpc_message(PST_STR("ok%ff%fe"), text, sizeof(text));
    assert_string_equal(text, "ok");
    pst_grpc_message(PST_STR("a%00b"), text, sizeof(text));
    assert_string_equal(text, "a b");
    pst_grpc_message(PST_STR("0123456789012345678901234"), text, sizeof(text));
    assert_string_equal(text, "012345678901234");
}

static void retry_info_is_found_among_the_details(void **state)
{
    /* Status{code 8, details[Any{type_url ".../google.rpc.RetryInfo", value RetryInfo{5.5 s}}]} */
    static const unsigned char status[] = "\x08\x08\x1a\x36\x0a\x28"
                                          "type.googleapis.com/google.rpc.RetryInfo"
                                          "\x12\x0a\x0a\x08\x08\x05\x10\x80\xca\xb5\xee\x01";
    struct pst_buf text;
    uint64_t delay_ns = 0;
    pst_buf_init(&text, 200);
    assert_int_equal(pst_base64_encode(&text, status, sizeof(status) - 1), 0);
    assert_true(pst_grpc_retry_info(pst_buf_view(&text), &delay_ns));
    assert_true(delay_ns == 5 * PST_NS_PER_S + 500 * PST_NS_PER_MS);
    /* Every truncation is refused or read without the delay, never read past its end. */
    for (size_t cut = 0; cut + 1 < sizeof(status); cut++) {
        pst_buf_reset(&text);
        assert_int_equal(pst_base64_encode(&text, status, cut), 0);
        if (pst_grpc_retry_info(pst_buf_view(&text), &delay_ns))
            fail_msg("cut at %zu was believed", cut);
    }
    pst_buf_done(&text);
}

static void urls_are_taken_apart(void **state)
{
    static const struct {
        const char *url;
        bool insecure, good, tls, loopback;
        const char *base, *authority, *port;
    } rows[] = {
        {"http://host:4040", false, true, false, false, "http://host:4040", "host:4040", "4040"},
        {"https://host/", false, true, true, false, "https://host", "host", "443"},
        {"host:7070", false, true, true, false, "https://host:7070", "host:7070", "7070"},
        {"host:7070", true, true, false, false, "http://host:7070", "host:7070", "7070"},
        {"http://127.0.0.1:1/a/b/", false, true, false, true, "http://127.0.0.1:1/a/b",
         "127.0.0.1:1", "1"},
        {"http://[::1]:9", false, true, false, true, "http://[::1]:9", "[::1]:9", "9"},
        {"http://localhost", false, true, false, true, "http://localhost", "localhost", "80"},
        {"unix:/run/a.sock", false, true, false, false, "http://localhost", "localhost", "80"},
        {"unix:relative", false, false, false, false, NULL, NULL, NULL},
        {"ftp://host", false, false, false, false, NULL, NULL, NULL},
        {"file:///etc/passwd", false, false, false, false, NULL, NULL, NULL},
        {"http://host/?q=1", false, false, false, false, NULL, NULL, NULL},
        {"http://ho st/", false, false, false, false, NULL, NULL, NULL},
        {"", false, false, false, false, NULL, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pst_net_settings settings = {.url = rows[i].url};
        struct pst_net_target target;
        struct pst_error error = {0};
        settings.tls.insecure = rows[i].insecure;
        int r = pst_net_target_init(&target, &settings, &error);
        assert_int_equal(r == 0, rows[i].good);
        if (rows[i].good) {
            assert_string_equal(target.base, rows[i].base);
            assert_string_equal(target.authority, rows[i].authority);
            assert_string_equal(target.port, rows[i].port);
            assert_int_equal(target.tls, rows[i].tls);
            assert_int_equal(target.loopback, rows[i].loopback);
        } else {
            assert_true(error.text[0] != '\0');
        }
        pst_net_target_done(&target);
    }
}

static void headers_cannot_split_a_request(void **state)
{
    assert_true(pst_net_header_valid("X-Scope-OrgID", "a b\tc"));
    assert_false(pst_net_header_valid("X-A", "a\r\nX-B: c"));
    assert_false(pst_net_header_valid("X-A", "a\x7f"));
    assert_false(pst_net_header_valid("X A", "a"));
    assert_false(pst_net_header_valid("", "a"));
    assert_false(pst_net_header_valid("X:A", "a"));
}

static void two_kinds_of_credentials_are_refused(void **state)
{
    struct pst_net_settings settings = {.url = "http://h"};
    struct pst_error error = {0};
    struct pst_auth *auth = NULL;
    settings.auth.bearer_token = "a";
    settings.auth.basic_username = "b";
    assert_true(pst_auth_new(&settings, NULL, &auth, &error) < 0);
    settings.auth.basic_username = NULL;
    assert_int_equal(pst_auth_new(&settings, NULL, &auth, &error), 0);
    char detail[256] = "";
    struct pst_buf value;
    pst_buf_init(&value, 100);
    assert_int_equal(pst_auth_value(auth, &value, detail), 0);
    assert_string_equal(value.data, "Bearer a");
    settings.auth.bearer_token = "a\nb";
    pst_buf_reset(&value);
    assert_true(pst_auth_value(auth, &value, detail) < 0);
    assert_null(strstr(detail, "a\nb"));
    pst_buf_done(&value);
    pst_auth_free(auth);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retry_after_takes_seconds_and_dates_only),
        cmocka_unit_test(base64_goes_both_ways_and_takes_missing_padding),
        cmocka_unit_test(grpc_messages_are_decoded_leniently_and_cut),
        cmocka_unit_test(retry_info_is_found_among_the_details),
        cmocka_unit_test(urls_are_taken_apart),
        cmocka_unit_test(headers_cannot_split_a_request),
        cmocka_unit_test(two_kinds_of_credentials_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
