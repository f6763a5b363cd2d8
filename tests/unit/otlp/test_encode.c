/* The OTLP encoding, checked by unpacking it: shape, sums, names, links, and failing allocations.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "otlp.pb-c.h"
#include "otlp/otlp.h"

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define SPAN  "b7ad6b7169203331"

static const unsigned char id[16] = {1, 2, 3};

static uint32_t text(struct pst_profile *profile, const char *words)
{
    uint32_t string = 0;
    assert_int_equal(pst_profile_string(profile, pst_str(words), &string), 0);
    return string;
}

static void add(struct pst_profile *profile, const char *leaf, const char *const (*labels)[2],
                size_t count, int64_t value_ns)
{
    struct pst_function function = {.start_line = 3};
    struct pst_label list[4] = {{0}};
    uint32_t number = 0, stack[2] = {0};
    function.name = text(profile, leaf);
    function.system_name = function.name;
    function.filename = text(profile, "/app/a.py");
    assert_int_equal(pst_profile_function(profile, &function, &number), 0);
    assert_int_equal(pst_profile_location(profile, number, 7, &stack[0]), 0);
    assert_int_equal(pst_profile_synthetic(profile, "[torn]", &stack[1]), 0);
    for (size_t i = 0; i < count; i++) {
        list[i].key = text(profile, labels[i][0]);
        list[i].str = text(profile, labels[i][1]);
    }
    assert_int_equal(pst_profile_add(profile, stack, 2, list, count, 1, value_ns), 0);
}

static struct pst_profile *make(void)
{
    static const char *const one[][2] = {{"thread_name", "MainThread"}};
    static const char *const spans[][2] = {
        {"thread_name", "MainThread"}, {"trace_id", TRACE}, {"span_id", SPAN}};
    static const char *const odd[][2] = {{"trace_id", "short"}, {"span_id", SPAN}};
    struct pst_profile *profile = pst_profile_new(PST_MODE_WALL);
    struct pst_profile_meta meta = {PST_MODE_WALL, 1795457585000000000, 10000000000, 52631578};
    pst_profile_set_meta(profile, &meta);
    add(profile, "handle", one, 1, 100);
    add(profile, "handle", spans, 3, 20);
    add(profile, "other", odd, 2, 3);
    return profile;
}

static struct pst_labels *make_labels(void)
{
    struct pst_labels *labels = pst_labels_new();
    assert_int_equal(pst_labels_set(labels, PST_STR("service_name"), PST_STR("shop")), 0);
    assert_int_equal(pst_labels_set(labels, PST_STR("namespace"), PST_STR("web")), 0);
    return labels;
}

static Pst__Otlp__ExportRequest *encode(void)
{
    struct pst_profile *profile = make();
    struct pst_labels *labels = make_labels();
    struct pst_buf out;
    pst_buf_init(&out, 1 << 20);
    assert_int_equal(pst_otlp_encode(profile, labels, NULL, id, &out), 0);
    Pst__Otlp__ExportRequest *request =
        pst__otlp__export_request__unpack(NULL, out.len, (const uint8_t *)out.data);
    assert_non_null(request);
    pst_buf_done(&out);
    pst_labels_free(labels);
    pst_profile_free(profile);
    return request;
}

static void every_table_starts_with_nothing(void **state)
{
    Pst__Otlp__ExportRequest *request = encode();
    Pst__Otlp__ProfilesDictionary *dictionary = request->dictionary;
    assert_int_equal(dictionary->n_mapping_table, 1);
    assert_int_equal(dictionary->location_table[0]->n_lines, 0);
    assert_int_equal(dictionary->function_table[0]->name_strindex, 0);
    assert_int_equal(dictionary->link_table[0]->trace_id.len, 0);
    assert_int_equal(dictionary->link_table[0]->span_id.len, 0);
    assert_string_equal(dictionary->string_table[0], "");
    assert_null(dictionary->attribute_table[0]->value);
    assert_int_equal(dictionary->stack_table[0]->n_location_indices, 0);
    pst__otlp__export_request__free_unpacked(request, NULL);
}

static void the_profile_says_what_was_measured(void **state)
{
    Pst__Otlp__ExportRequest *request = encode();
    char **strings = request->dictionary->string_table;
    Pst__Otlp__Profile *profile = request->resource_profiles[0]->scope_profiles[0]->profiles[0];
    assert_string_equal(strings[profile->sample_type->type_strindex], "wall");
    assert_string_equal(strings[profile->sample_type->unit_strindex], "nanoseconds");
    assert_string_equal(strings[profile->period_type->type_strindex], "wall");
    assert_true(profile->period == 52631578);
    assert_true(profile->time_unix_nano == 1795457585000000000);
    assert_true(profile->duration_nano == 10000000000);
    assert_int_equal(profile->profile_id.len, 16);
    int64_t sum = 0;
    for (size_t i = 0; i < profile->n_samples; i++) {
        assert_int_equal(profile->samples[i]->n_values, 1);
        sum += profile->samples[i]->values[0];
    }
    assert_true(sum == 123);
    assert_int_equal(profile->n_samples, 3);
    assert_int_equal(request->dictionary->n_stack_table, 3); /* equal stacks stand there once */
    pst__otlp__export_request__free_unpacked(request, NULL);
}

static void lines_name_a_function_under_either_reading(void **state)
{
    Pst__Otlp__ExportRequest *request = encode();
    Pst__Otlp__ProfilesDictionary *dictionary = request->dictionary;
    for (size_t i = 1; i < dictionary->n_location_table; i++) {
        int32_t function = dictionary->location_table[i]->lines[0]->function_index;
        assert_in_range(function, 1, dictionary->n_function_table - 1);
        int32_t name = dictionary->function_table[function]->name_strindex;
        assert_int_equal(dictionary->function_table[function - 1]->name_strindex, name);
        bool ours = dictionary->string_table[name][0] == '[';
        assert_int_equal(dictionary->location_table[i]->n_attribute_indices, ours ? 0 : 1);
    }
    pst__otlp__export_request__free_unpacked(request, NULL);
}

static void spans_become_links_and_odd_ids_stay_attributes(void **state)
{
    Pst__Otlp__ExportRequest *request = encode();
    Pst__Otlp__ProfilesDictionary *dictionary = request->dictionary;
    Pst__Otlp__Profile *profile = request->resource_profiles[0]->scope_profiles[0]->profiles[0];
    assert_int_equal(dictionary->n_link_table, 2);
    assert_int_equal(dictionary->link_table[1]->trace_id.len, 16);
    assert_int_equal(dictionary->link_table[1]->trace_id.data[0], 0x0a);
    assert_int_equal(dictionary->link_table[1]->span_id.len, 8);
    unsigned linked = 0, attributes = 0;
    for (size_t i = 0; i < profile->n_samples; i++) {
        linked += profile->samples[i]->link_index == 1;
        attributes += (unsigned)profile->samples[i]->n_attribute_indices;
    }
    assert_int_equal(linked, 1);
    assert_int_equal(attributes, 1 + 1 + 2);
    pst__otlp__export_request__free_unpacked(request, NULL);
}

static void the_resource_has_inline_names(void **state)
{
    Pst__Otlp__ExportRequest *request = encode();
    Pst__Otlp__Resource *resource = request->resource_profiles[0]->resource;
    assert_string_equal(resource->attributes[0]->key, "service.name");
    assert_string_equal(resource->attributes[0]->value->string_value, "shop");
    unsigned found = 0;
    for (size_t i = 0; i < resource->n_attributes; i++) {
        const char *key = resource->attributes[i]->key;
        found += strcmp(key, "k8s.namespace.name") == 0 || strcmp(key, "service.namespace") == 0;
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(key, resource->attributes[k]->key);
    }
    assert_int_equal(found, 2);
    pst__otlp__export_request__free_unpacked(request, NULL);
}

static void a_bound_is_answered_not_crossed(void **state)
{
    struct pst_profile *profile = make();
    struct pst_labels *labels = make_labels();
    struct pst_buf out;
    pst_buf_init(&out, 100);
    assert_true(pst_otlp_encode(profile, labels, NULL, id, &out) < 0);
    assert_int_equal(out.len, 0);
    pst_buf_done(&out);
    pst_labels_free(labels);
    pst_profile_free(profile);
}

static void a_partial_success_is_read(void **state)
{
    char words[32];
    assert_true(pst_otlp_refused(PST_STR("\x0a\x06\x08\x01\x12\x02no"), words, sizeof(words)));
    assert_string_equal(words, "no");
    assert_false(pst_otlp_refused(PST_STR("\x0a\x04\x12\x02no"), words, sizeof(words)));
    assert_string_equal(words, "no");
    assert_false(pst_otlp_refused(PST_STR(""), words, sizeof(words)));
    assert_false(pst_otlp_refused(PST_STR("<html>"), words, sizeof(words)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_table_starts_with_nothing),
        cmocka_unit_test(the_profile_says_what_was_measured),
        cmocka_unit_test(lines_name_a_function_under_either_reading),
        cmocka_unit_test(spans_become_links_and_odd_ids_stay_attributes),
        cmocka_unit_test(the_resource_has_inline_names),
        cmocka_unit_test(a_bound_is_answered_not_crossed),
        cmocka_unit_test(a_partial_success_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
