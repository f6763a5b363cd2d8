/* Verdicts by table, series labels, templates, and splitting with progress. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/clock.h"
#include "profile/pprof.h"
#include "sending/sending.h"

#define S PST_NS_PER_S

static void http_replies_by_table(void **state)
{
    static const struct {
        int status;
        const char *failure;
        uint64_t after_ns;
        enum pst_export_word word;
        uint64_t retry_ns;
        const char *reason;
    } rows[] = {
        {200, NULL, 0, PST_EXPORT_DELIVERED, 0, "delivered"},
        {204, NULL, 0, PST_EXPORT_DELIVERED, 0, "delivered"},
        {200, "cut", 0, PST_EXPORT_DELIVERED, 0, "delivered"},
        {301, NULL, 0, PST_EXPORT_RETRY, 60 * S, "status_3xx"},
        {400, NULL, 0, PST_EXPORT_REJECTED, 0, "status_400"},
        {401, NULL, 5 * S, PST_EXPORT_RETRY, 60 * S, "status_401"},
        {403, NULL, 0, PST_EXPORT_RETRY, 60 * S, "status_403"},
        {404, NULL, 0, PST_EXPORT_RETRY, 60 * S, "status_404"},
        {407, NULL, 0, PST_EXPORT_RETRY, 60 * S, "status_407"},
        {408, NULL, 0, PST_EXPORT_RETRY, 0, "status_408"},
        {413, NULL, 0, PST_EXPORT_REJECTED, 0, "too_large"},
        {418, NULL, 0, PST_EXPORT_REJECTED, 0, "status_4xx"},
        {425, NULL, 0, PST_EXPORT_RETRY, 0, "status_425"},
        {499, NULL, 0, PST_EXPORT_RETRY, 0, "status_499"},
        {429, NULL, 7 * S, PST_EXPORT_RETRY, 7 * S, "status_429"},
        {429, NULL, 9000 * S, PST_EXPORT_RETRY, 300 * S, "status_429"},
        {500, NULL, 0, PST_EXPORT_RETRY, 0, "status_500"},
        {599, NULL, 0, PST_EXPORT_RETRY, 0, "status_5xx"},
        {0, "timeout", 0, PST_EXPORT_RETRY, 0, "timeout"},
        {0, "auth", 0, PST_EXPORT_RETRY, 60 * S, "auth"},
        {0, "token", 0, PST_EXPORT_RETRY, 0, "token"},
        {0, "tls", 0, PST_EXPORT_RETRY, 0, "tls"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pst_http_reply reply;
        pst_http_reply_init(&reply);
        reply.status = rows[i].status;
        reply.failure = rows[i].failure;
        reply.retry_after_ns = rows[i].after_ns;
        struct pst_export_verdict verdict = pst_sending_http(&reply);
        assert_int_equal(verdict.word, rows[i].word);
        assert_true(verdict.retry_after_ns == rows[i].retry_ns);
        assert_string_equal(verdict.reason, rows[i].reason);
        pst_http_reply_done(&reply);
    }
}

static void grpc_codes_by_table(void **state)
{
    /* What each code means, 0..16 and one that does not exist. D: delivered, r: retry, m: retry in
     * a minute, X: rejected, ?: retry a few times. */
    static const char words[] = "Dr?XrXXm?Xrrm?rrmX";
    for (int code = 0; code <= 17; code++) {
        struct pst_export_progress progress = {0};
        struct pst_sending sending = {.progress = &progress};
        struct pst_grpc_reply reply;
        pst_grpc_reply_init(&reply);
        reply.code = code;
        struct pst_export_verdict verdict = pst_sending_grpc(&sending, &reply);
        char word = words[code];
        assert_int_equal(verdict.word, word == 'D'   ? PST_EXPORT_DELIVERED
                                       : word == 'X' ? PST_EXPORT_REJECTED
                                                     : PST_EXPORT_RETRY);
        assert_true(verdict.retry_after_ns == (word == 'm' ? 60 * S : 0));
        for (int i = 1; word == '?' && i < PST_SENDING_DOUBTFUL_MAX; i++)
            verdict = pst_sending_grpc(&sending, &reply);
        if (word == '?')
            assert_int_equal(verdict.word, PST_EXPORT_REJECTED);
        pst_grpc_reply_done(&reply);
    }
}

static struct pst_labels *labels_of(const char *const *pairs, size_t count)
{
    struct pst_labels *labels = pst_labels_new();
    for (size_t i = 0; i < count; i++)
        assert_int_equal(pst_labels_set(labels, pst_str(pairs[2 * i]), pst_str(pairs[2 * i + 1])),
                         0);
    return labels;
}

static void series_labels_are_clean_and_complete(void **state)
{
    static const char *const pairs[] = {
        "service_name", "shop", "namespace",  "web",   "app.kubernetes.io/name", "a",
        "9lives",       "cat",  "__hidden__", "secret"};
    struct pst_labels *labels = labels_of(pairs, 5), *made = NULL;
    char external_names[][16] = {"cluster", "namespace", "service_name"};
    char external_values[][16] = {"c1", "over", "other"};
    struct pst_config_pair external[3];
    for (int i = 0; i < 3; i++)
        external[i] = (struct pst_config_pair){external_names[i], external_values[i]};
    struct pst_config_exporter settings = {.external_labels = {external, 2}};
    struct pst_sending sending = {.settings = &settings};
    struct pst_item item = {.labels = labels, .mode = PST_MODE_CPU};
    assert_int_equal(pst_sending_labels(&sending, &item, &made), 0);
    struct pst_buf text;
    pst_buf_init(&text, 1000);
    assert_int_equal(pst_labels_format(made, &text), 0);
    assert_string_equal(text.data,
                        "{_9lives=\"cat\", __name__=\"process_cpu\", app_kubernetes_io_name=\"a\", "
                        "cluster=\"c1\", namespace=\"over\", service_name=\"shop\"}");
    pst_buf_done(&text);
    pst_labels_free(made);
    pst_labels_free(labels);
}

static void a_profile_without_a_service_gets_one(void **state)
{
    struct pst_labels *labels = pst_labels_new(), *made = NULL;
    struct pst_config_exporter settings = {0};
    struct pst_sending sending = {.settings = &settings};
    struct pst_item item = {.labels = labels, .mode = PST_MODE_GIL};
    assert_int_equal(pst_sending_labels(&sending, &item, &made), 0);
    assert_true(pst_str_eq(pst_labels_get(made, "service_name"), PST_STR("unknown_service")));
    assert_true(pst_str_eq(pst_labels_get(made, "__name__"), PST_STR("gil")));
    pst_labels_free(made);
    pst_labels_free(labels);
}

static void templates_take_labels(void **state)
{
    static const char *const pairs[] = {"namespace", "web", "pod", "shop-0"};
    static const struct {
        const char *text, *result;
    } rows[] = {{"plain", "plain"},
                {"${namespace}", "web"},
                {"a-${namespace}-${pod}!", "a-web-shop-0!"},
                {"${absent}", NULL},
                {"${namespace", NULL},
                {"${}", NULL},
                {"$namespace", "$namespace"},
                {"", ""}};
    struct pst_labels *labels = labels_of(pairs, 2);
    struct pst_buf out;
    pst_buf_init(&out, 20);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pst_buf_reset(&out);
        int r = pst_sending_template(rows[i].text, labels, &out);
        assert_int_equal(r == 0, rows[i].result != NULL);
        if (rows[i].result)
            assert_true(pst_str_eq(pst_buf_view(&out), pst_str(rows[i].result)));
    }
    pst_buf_reset(&out);
    assert_true(pst_sending_template("${namespace}${namespace}${namespace}${namespace}"
                                     "${namespace}${namespace}${namespace}",
                                     labels, &out) < 0);
    pst_buf_done(&out);
    pst_labels_free(labels);
}

/* ---- splitting ---- */

struct receiver {
    int64_t samples, value_ns;
    uint32_t largest, pieces, labels;
    uint32_t refuse_above; /* samples: too large; 0: never */
    uint32_t fail_after;   /* pieces: then retry once; 0: never */
};

static struct pst_export_verdict receive(void *context, const struct pst_item *item,
                                         const struct pst_profile *piece)
{
    struct receiver *receiver = context;
    uint32_t count = pst_profile_sample_count(piece);
    int64_t samples = 0, value_ns = 0;
    if (receiver->refuse_above && count > receiver->refuse_above)
        return pst_sending_rejected(pst_sending_too_large, "no");
    if (receiver->fail_after && receiver->pieces == receiver->fail_after) {
        receiver->fail_after = 0;
        return pst_sending_retry(0, "status_503", "busy");
    }
    pst_profile_total(piece, &samples, &value_ns);
    receiver->samples += samples;
    receiver->value_ns += value_ns;
    receiver->pieces++;
    receiver->largest = count > receiver->largest ? count : receiver->largest;
    for (uint32_t i = 0; i < count; i++) {
        struct pst_profile_sample sample;
        pst_profile_sample(piece, i, &sample);
        receiver->labels += (uint32_t)sample.label_count;
    }
    return pst_sending_delivered();
}

static struct pst_export_verdict send_new(struct pst_sending *sending, const struct pst_item *item,
                                          const struct pst_sending_limits *limits,
                                          struct receiver *receiver)
{
    struct pst_export_progress progress = {0};
    return pst_sending_item(sending, item, &progress, limits, receive, receiver);
}

static struct pst_item *make_item(unsigned threads, unsigned stacks)
{
    struct pst_profile *profile = pst_profile_new(PST_MODE_CPU);
    struct pst_labels *labels = pst_labels_new();
    struct pst_item *item = NULL;
    uint32_t key = 0;
    assert_int_equal(pst_profile_string(profile, PST_STR("thread_name"), &key), 0);
    for (unsigned s = 0; s < stacks; s++) {
        char name[32];
        uint32_t location = 0;
        (void)snprintf(name, sizeof(name), "step_%u", s);
        assert_int_equal(pst_profile_synthetic(profile, name, &location), 0);
        for (unsigned t = 0; t < threads; t++) {
            struct pst_label label = {.key = key};
            (void)snprintf(name, sizeof(name), "worker-%u", t);
            assert_int_equal(pst_profile_string(profile, pst_str(name), &label.str), 0);
            assert_int_equal(pst_profile_add(profile, &location, 1, &label, 1, 1, 10), 0);
        }
    }
    assert_int_equal(pst_item_new(labels, profile, &item), 0);
    pst_labels_free(labels);
    pst_profile_free(profile);
    return item;
}

static void pieces_respect_limits_and_sum_to_the_whole(void **state)
{
    struct pst_config_exporter settings = {0};
    struct pst_sending sending = {.settings = &settings};
    struct pst_sending_limits limits = {.max_samples = 16, .max_raw_bytes = 1 << 20};
    struct pst_item *item = make_item(3, 100);
    struct receiver receiver = {0};
    struct pst_export_verdict verdict = send_new(&sending, item, &limits, &receiver);
    assert_int_equal(verdict.word, PST_EXPORT_DELIVERED);
    assert_int_equal(receiver.samples, 300);
    assert_int_equal(receiver.value_ns, 3000);
    assert_int_equal(receiver.largest, 16);
    assert_int_equal(receiver.pieces, 7); /* stripped of their threads, 100 stacks are left */
    assert_int_equal(receiver.labels, 0);
    limits.max_samples = 0;
    limits.max_raw_bytes = 500;
    struct receiver by_bytes = {0};
    (void)send_new(&sending, item, &limits, &by_bytes);
    assert_int_equal(by_bytes.samples, 300);
    assert_true(by_bytes.pieces > 5);
    pst_item_unref(item);
}

static void wanted_sample_labels_stay(void **state)
{
    static const char *const names[] = {"thread_name"};
    struct pst_config_exporter settings = {0};
    struct pst_sending sending = {.settings = &settings};
    struct pst_sending_limits limits = {
        .max_raw_bytes = 1 << 20, .default_labels = names, .default_label_count = 1};
    struct pst_item *item = make_item(3, 10);
    struct receiver receiver = {0};
    (void)send_new(&sending, item, &limits, &receiver);
    assert_int_equal(receiver.labels, 30);
    settings.sample_labels_set = true; /* an empty list: none */
    struct receiver none = {0};
    (void)send_new(&sending, item, &limits, &none);
    assert_int_equal(none.labels, 0);
    pst_item_unref(item);
}

static void a_retry_goes_on_behind_what_was_delivered(void **state)
{
    struct pst_config_exporter settings = {0};
    struct pst_sending sending = {.settings = &settings}, other = sending;
    struct pst_sending_limits limits = {.max_samples = 10, .max_raw_bytes = 1 << 20};
    struct pst_export_progress progress = {0};
    struct pst_item *item = make_item(1, 100);
    struct receiver receiver = {.fail_after = 4};
    struct pst_export_verdict verdict =
        pst_sending_item(&sending, item, &progress, &limits, receive, &receiver);
    assert_int_equal(verdict.word, PST_EXPORT_RETRY);
    assert_int_equal(progress.samples_done, 40);
    /* By another thread's instance. */
    verdict = pst_sending_item(&other, item, &progress, &limits, receive, &receiver);
    assert_int_equal(verdict.word, PST_EXPORT_DELIVERED);
    assert_int_equal(receiver.samples, 100);
    assert_int_equal(receiver.pieces, 10);
    pst_item_unref(item);
}

static void what_is_too_large_is_halved_once(void **state)
{
    struct pst_config_exporter settings = {0};
    struct pst_sending sending = {.settings = &settings};
    struct pst_sending_limits limits = {.max_raw_bytes = 1 << 20};
    struct pst_item *item = make_item(1, 101);
    struct receiver receiver = {.refuse_above = 60};
    struct pst_export_verdict verdict = send_new(&sending, item, &limits, &receiver);
    assert_int_equal(verdict.word, PST_EXPORT_DELIVERED);
    assert_int_equal(receiver.pieces, 2);
    assert_int_equal(receiver.samples, 101);
    receiver = (struct receiver){.refuse_above = 40};
    verdict = send_new(&sending, item, &limits, &receiver);
    assert_int_equal(verdict.word, PST_EXPORT_REJECTED);
    assert_string_equal(verdict.reason, "too_large");
    pst_item_unref(item);
}

static void a_body_that_cannot_be_read_is_rejected(void **state)
{
    struct pst_config_exporter settings = {0};
    struct pst_sending sending = {.settings = &settings};
    struct pst_sending_limits limits = {.max_raw_bytes = 1 << 20};
    struct pst_profile_meta meta = {.mode = PST_MODE_CPU};
    struct pst_labels *labels = pst_labels_new();
    struct pst_item *item = NULL;
    struct receiver receiver = {0};
    assert_int_equal(pst_item_from_body(labels, &meta, 1, 1, "garbage", 7, &item), 0);
    struct pst_export_verdict verdict = send_new(&sending, item, &limits, &receiver);
    assert_int_equal(verdict.word, PST_EXPORT_REJECTED);
    assert_string_equal(verdict.reason, "malformed");
    assert_int_equal(receiver.pieces, 0);
    pst_item_unref(item);
    pst_labels_free(labels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http_replies_by_table),
        cmocka_unit_test(grpc_codes_by_table),
        cmocka_unit_test(series_labels_are_clean_and_complete),
        cmocka_unit_test(a_profile_without_a_service_gets_one),
        cmocka_unit_test(templates_take_labels),
        cmocka_unit_test(pieces_respect_limits_and_sum_to_the_whole),
        cmocka_unit_test(wanted_sample_labels_stay),
        cmocka_unit_test(a_retry_goes_on_behind_what_was_delivered),
        cmocka_unit_test(what_is_too_large_is_halved_once),
        cmocka_unit_test(a_body_that_cannot_be_read_is_rejected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
