/* From a profile to OTLP, in the shape that every receiver takes: resource and scope there, names
 * inline on them, all seven tables with a zero element first, one value a sample, measured
 * nanoseconds as the sample type. Everything lives in one arena until it is packed. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "encoder.h"

#define ARENA_BYTES ((size_t)4 * PST_MAX_PPROF_BYTES)
#define UNSET       (-1)

/* A key and its value, compared as bytes: no padding. */
struct attribute {
    uint32_t key, unit; /* string indices */
    int64_t number;
    uint32_t text; /* string index, when not numeric */
    uint32_t numeric;
};

void *pst_otlp_make(struct pst_otlp_encoder *encoder, size_t count, size_t size)
{
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    void *memory = pst_arena_alloc(&encoder->arena, bytes ? bytes : 1);
    if (memory)
        memset(memory, 0, bytes);
    return memory;
}

char *pst_otlp_text(struct pst_otlp_encoder *encoder, struct pst_str text)
{
    char *copy = pst_otlp_make(encoder, text.len + 1, 1);
    if (copy)
        memcpy(copy, text.ptr, text.len);
    return copy;
}

static int string_index(struct pst_otlp_encoder *encoder, struct pst_str text, int32_t *ret)
{
    uint32_t id = 0;
    int r = pst_intern_add(encoder->strings, text.ptr, text.len, &id);
    *ret = (int32_t)id;
    return r;
}

static int profile_string(struct pst_otlp_encoder *encoder, uint32_t id, int32_t *ret)
{
    int32_t *known = &encoder->string_of[id];
    int r = 0;
    if (*known == UNSET)
        r = string_index(encoder, pst_profile_text(encoder->profile, id), known);
    *ret = *known;
    return r;
}

/* ---- attributes and links ---- */

/* Names of semantic conventions for our sample labels; others stay as they are. */
static struct pst_str attribute_name(struct pst_str key)
{
    static const char *const names[][2] = {
        {"thread_name", "thread.name"}, {"thread_id", "thread.id"}, {"pid", "process.pid"}};
    for (size_t i = 0; i < PST_ARRAY_SIZE(names); i++) {
        if (pst_str_eq(key, pst_str(names[i][0])))
            return pst_str(names[i][1]);
    }
    return key;
}

static int attribute_index(struct pst_otlp_encoder *encoder, const struct attribute *attribute,
                           int32_t *ret)
{
    uint32_t id = 0;
    int r = pst_intern_add(encoder->attributes, attribute, sizeof(*attribute), &id);
    *ret = (int32_t)id;
    return r;
}

static int text_attribute(struct pst_otlp_encoder *encoder, struct pst_str key, struct pst_str text,
                          int32_t *ret)
{
    int32_t key_index = 0, text_index = 0;
    int r = string_index(encoder, key, &key_index);
    if (r == 0)
        r = string_index(encoder, text, &text_index);
    struct attribute attribute = {.key = (uint32_t)key_index, .text = (uint32_t)text_index};
    return r < 0 ? r : attribute_index(encoder, &attribute, ret);
}

static int label_attribute(struct pst_otlp_encoder *encoder, const struct pst_label *label,
                           int32_t *ret)
{
    struct pst_str key = attribute_name(pst_profile_text(encoder->profile, label->key));
    if (!label->numeric)
        return text_attribute(encoder, key, pst_profile_text(encoder->profile, label->str), ret);
    int32_t key_index = 0;
    int r = string_index(encoder, key, &key_index);
    struct attribute attribute = {.key = (uint32_t)key_index, .number = label->num, .numeric = 1};
    return r < 0 ? r : attribute_index(encoder, &attribute, ret);
}

static bool from_hex(struct pst_str text, unsigned char *bytes, size_t count)
{
    if (text.len != 2 * count)
        return false;
    for (size_t i = 0; i < count; i++) {
        uint64_t byte = 0;
        if (pst_str_u64((struct pst_str){text.ptr + 2 * i, 2}, 16, 255, &byte) != 0)
            return false;
        bytes[i] = (unsigned char)byte;
    }
    return true;
}

/* A span of a trace, when the sample carries both ids as hex. */
static int link_index(struct pst_otlp_encoder *encoder, const struct pst_profile_sample *sample,
                      int32_t *ret)
{
    unsigned char ids[24];
    bool trace = false, span = false;
    for (size_t i = 0; i < sample->label_count; i++) {
        const struct pst_label *label = &sample->labels[i];
        struct pst_str key = pst_profile_text(encoder->profile, label->key);
        if (label->numeric)
            continue;
        if (pst_str_eq(key, PST_STR("trace_id")))
            trace = from_hex(pst_profile_text(encoder->profile, label->str), ids, 16);
        if (pst_str_eq(key, PST_STR("span_id")))
            span = from_hex(pst_profile_text(encoder->profile, label->str), ids + 16, 8);
    }
    uint32_t id = 0;
    int r = trace && span ? pst_intern_add(encoder->links, ids, sizeof(ids), &id) : 0;
    *ret = (int32_t)id;
    return r;
}

static bool is_link_key(struct pst_str key)
{
    return pst_str_eq(key, PST_STR("trace_id")) || pst_str_eq(key, PST_STR("span_id"));
}

/* ---- samples ---- */

static int stack_index(struct pst_otlp_encoder *encoder, const struct pst_profile_sample *sample,
                       int32_t *ret)
{
    int32_t indices[PST_MAX_FRAMES_WALKED + 64];
    uint32_t id = 0;
    if (sample->depth > PST_ARRAY_SIZE(indices))
        return -EFBIG;
    for (size_t i = 0; i < sample->depth; i++)
        indices[i] = (int32_t)sample->locations[i] + 1;
    int r = pst_intern_add(encoder->stacks, indices, sample->depth * sizeof(int32_t), &id);
    *ret = (int32_t)id;
    return r;
}

static int fill_sample(struct pst_otlp_encoder *encoder, uint32_t index, Pst__Otlp__Sample *to)
{
    struct pst_profile_sample sample;
    pst_profile_sample(encoder->profile, index, &sample);
    int64_t *values = pst_otlp_make(encoder, 1, sizeof(*values));
    int32_t *attributes = pst_otlp_make(encoder, sample.label_count, sizeof(*attributes));
    if (!values || !attributes)
        return -ENOMEM;
    values[0] = sample.value_ns;
    to->values = values;
    to->n_values = 1;
    to->attribute_indices = attributes;
    int r = stack_index(encoder, &sample, &to->stack_index);
    if (r == 0)
        r = link_index(encoder, &sample, &to->link_index);
    for (size_t i = 0; r == 0 && i < sample.label_count; i++) {
        struct pst_str key = pst_profile_text(encoder->profile, sample.labels[i].key);
        if (!(to->link_index && is_link_key(key)))
            r = label_attribute(encoder, &sample.labels[i], &attributes[to->n_attribute_indices++]);
    }
    return r;
}

static int fill_samples(struct pst_otlp_encoder *encoder, Pst__Otlp__Profile *profile)
{
    size_t count = pst_profile_sample_count(encoder->profile);
    Pst__Otlp__Sample *samples = pst_otlp_make(encoder, count, sizeof(*samples));
    profile->samples = pst_otlp_make(encoder, count, sizeof(*profile->samples));
    if (!samples || !profile->samples)
        return -ENOMEM;
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++) {
        samples[i] = (Pst__Otlp__Sample)PST__OTLP__SAMPLE__INIT;
        profile->samples[i] = &samples[i];
        r = fill_sample(encoder, (uint32_t)i, &samples[i]);
    }
    profile->n_samples = count;
    return r;
}

/* ---- tables ---- */

/* Frames of ours such as "[torn]" are no code of CPython. */
static bool is_python(const struct pst_otlp_encoder *encoder, uint32_t function)
{
    const struct pst_function *from = pst_profile_function_at(encoder->profile, function);
    return pst_profile_text(encoder->profile, from->filename).len > 0;
}

/* Every function stands there twice in a row, and lines name the second. Parca (up to its main
 * branch of July 2026) reads the entry before the one that is named (pkg/profile/encode.go,
 * EncodeOtelLocation), so that each function would appear under its neighbour's name. */
static int32_t function_index(uint32_t function)
{
    return 2 * (int32_t)function + 2;
}

static int fill_location(struct pst_otlp_encoder *encoder, uint32_t index, Pst__Otlp__Location *to)
{
    uint32_t function = 0;
    int64_t line = 0;
    pst_profile_location_at(encoder->profile, index, &function, &line);
    Pst__Otlp__Line *part = pst_otlp_make(encoder, 1, sizeof(*part));
    Pst__Otlp__Line **parts = pst_otlp_make(encoder, 1, sizeof(*parts));
    if (!part || !parts)
        return -ENOMEM;
    *part = (Pst__Otlp__Line)PST__OTLP__LINE__INIT;
    part->function_index = function_index(function);
    part->line = line;
    parts[0] = part;
    to->lines = parts;
    to->n_lines = 1;
    if (is_python(encoder, function)) {
        to->attribute_indices = &encoder->frame_type;
        to->n_attribute_indices = 1;
    }
    return 0;
}

static int fill_locations(struct pst_otlp_encoder *encoder)
{
    Pst__Otlp__ProfilesDictionary *dictionary = &encoder->dictionary;
    size_t count = pst_profile_location_count(encoder->profile) + 1;
    Pst__Otlp__Location *all = pst_otlp_make(encoder, count, sizeof(*all));
    dictionary->location_table = pst_otlp_make(encoder, count, sizeof(*dictionary->location_table));
    if (!all || !dictionary->location_table)
        return -ENOMEM;
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++) {
        all[i] = (Pst__Otlp__Location)PST__OTLP__LOCATION__INIT;
        dictionary->location_table[i] = &all[i];
        if (i > 0)
            r = fill_location(encoder, (uint32_t)i - 1, &all[i]);
    }
    dictionary->n_location_table = count;
    return r;
}

static int fill_function(struct pst_otlp_encoder *encoder, uint32_t index, Pst__Otlp__Function *to)
{
    const struct pst_function *from = pst_profile_function_at(encoder->profile, index);
    *to = (Pst__Otlp__Function)PST__OTLP__FUNCTION__INIT;
    int r = profile_string(encoder, from->name, &to->name_strindex);
    if (r == 0)
        r = profile_string(encoder, from->system_name, &to->system_name_strindex);
    if (r == 0)
        r = profile_string(encoder, from->filename, &to->filename_strindex);
    to->start_line = from->start_line;
    return r;
}

static int fill_functions(struct pst_otlp_encoder *encoder)
{
    Pst__Otlp__ProfilesDictionary *dictionary = &encoder->dictionary;
    uint32_t count = pst_profile_function_count(encoder->profile);
    Pst__Otlp__Function *all = pst_otlp_make(encoder, (size_t)count + 1, sizeof(*all));
    Pst__Otlp__Function **table = pst_otlp_make(encoder, 2 * (size_t)count + 1, sizeof(*table));
    if (!all || !table)
        return -ENOMEM;
    all[count] = (Pst__Otlp__Function)PST__OTLP__FUNCTION__INIT;
    table[0] = &all[count];
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < count; i++) {
        r = fill_function(encoder, i, &all[i]);
        table[function_index(i) - 1] = &all[i];
        table[function_index(i)] = &all[i];
    }
    dictionary->function_table = table;
    dictionary->n_function_table = 2 * (size_t)count + 1;
    return r;
}

static int fill_stacks(struct pst_otlp_encoder *encoder)
{
    Pst__Otlp__ProfilesDictionary *dictionary = &encoder->dictionary;
    size_t count = pst_intern_count(encoder->stacks);
    Pst__Otlp__Stack *all = pst_otlp_make(encoder, count, sizeof(*all));
    dictionary->stack_table = pst_otlp_make(encoder, count, sizeof(*dictionary->stack_table));
    if (!all || !dictionary->stack_table)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        struct pst_str bytes = pst_intern_get(encoder->stacks, (uint32_t)i);
        all[i] = (Pst__Otlp__Stack)PST__OTLP__STACK__INIT;
        all[i].location_indices = (int32_t *)(uintptr_t)bytes.ptr;
        all[i].n_location_indices = bytes.len / sizeof(int32_t);
        dictionary->stack_table[i] = &all[i];
    }
    dictionary->n_stack_table = count;
    return 0;
}

static int fill_attribute(struct pst_otlp_encoder *encoder, uint32_t index,
                          Pst__Otlp__KeyValueAndUnit *to)
{
    struct attribute from;
    memcpy(&from, pst_intern_get(encoder->attributes, index).ptr, sizeof(from));
    to->value = pst_otlp_make(encoder, 1, sizeof(*to->value));
    if (!to->value)
        return -ENOMEM;
    *to->value = (Pst__Otlp__AnyValue)PST__OTLP__ANY_VALUE__INIT;
    to->key_strindex = (int32_t)from.key;
    if (from.numeric) {
        to->value->value_case = PST__OTLP__ANY_VALUE__VALUE_INT_VALUE;
        to->value->int_value = from.number;
        return 0;
    }
    to->value->value_case = PST__OTLP__ANY_VALUE__VALUE_STRING_VALUE;
    to->value->string_value = pst_otlp_text(encoder, pst_intern_get(encoder->strings, from.text));
    return to->value->string_value ? 0 : -ENOMEM;
}

static int fill_attributes(struct pst_otlp_encoder *encoder)
{
    Pst__Otlp__ProfilesDictionary *dictionary = &encoder->dictionary;
    size_t count = pst_intern_count(encoder->attributes);
    Pst__Otlp__KeyValueAndUnit *all = pst_otlp_make(encoder, count, sizeof(*all));
    dictionary->attribute_table =
        pst_otlp_make(encoder, count, sizeof(*dictionary->attribute_table));
    if (!all || !dictionary->attribute_table)
        return -ENOMEM;
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++) {
        all[i] = (Pst__Otlp__KeyValueAndUnit)PST__OTLP__KEY_VALUE_AND_UNIT__INIT;
        dictionary->attribute_table[i] = &all[i];
        if (i > 0)
            r = fill_attribute(encoder, (uint32_t)i, &all[i]);
    }
    dictionary->n_attribute_table = count;
    return r;
}

static int fill_links(struct pst_otlp_encoder *encoder)
{
    Pst__Otlp__ProfilesDictionary *dictionary = &encoder->dictionary;
    size_t count = pst_intern_count(encoder->links);
    Pst__Otlp__Link *all = pst_otlp_make(encoder, count, sizeof(*all));
    dictionary->link_table = pst_otlp_make(encoder, count, sizeof(*dictionary->link_table));
    if (!all || !dictionary->link_table)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        struct pst_str ids = pst_intern_get(encoder->links, (uint32_t)i);
        all[i] = (Pst__Otlp__Link)PST__OTLP__LINK__INIT;
        dictionary->link_table[i] = &all[i];
        if (ids.len != 24) /* the first: empty ids, since zero bytes are refused by Parca */
            continue;
        all[i].trace_id = (ProtobufCBinaryData){16, (uint8_t *)(uintptr_t)ids.ptr};
        all[i].span_id = (ProtobufCBinaryData){8, (uint8_t *)(uintptr_t)ids.ptr + 16};
    }
    dictionary->n_link_table = count;
    return 0;
}

/* Last: everything else may still add strings. */
static int fill_strings(struct pst_otlp_encoder *encoder)
{
    Pst__Otlp__ProfilesDictionary *dictionary = &encoder->dictionary;
    size_t count = pst_intern_count(encoder->strings);
    dictionary->string_table = pst_otlp_make(encoder, count, sizeof(*dictionary->string_table));
    if (!dictionary->string_table)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        dictionary->string_table[i] =
            pst_otlp_text(encoder, pst_intern_get(encoder->strings, (uint32_t)i));
        if (!dictionary->string_table[i])
            return -ENOMEM;
    }
    dictionary->n_string_table = count;
    return 0;
}

static int fill_mapping(struct pst_otlp_encoder *encoder)
{
    Pst__Otlp__ProfilesDictionary *dictionary = &encoder->dictionary;
    Pst__Otlp__Mapping *none = pst_otlp_make(encoder, 1, sizeof(*none));
    dictionary->mapping_table = pst_otlp_make(encoder, 1, sizeof(*dictionary->mapping_table));
    if (!none || !dictionary->mapping_table)
        return -ENOMEM;
    *none = (Pst__Otlp__Mapping)PST__OTLP__MAPPING__INIT;
    dictionary->mapping_table[0] = none;
    dictionary->n_mapping_table = 1;
    return 0;
}

/* ---- all of it ---- */

static int start(struct pst_otlp_encoder *encoder, const struct pst_profile *profile)
{
    uint32_t id = 0;
    encoder->profile = profile;
    encoder->dictionary = (Pst__Otlp__ProfilesDictionary)PST__OTLP__PROFILES_DICTIONARY__INIT;
    pst_arena_init(&encoder->arena, ARENA_BYTES);
    encoder->strings = pst_intern_new(PST_MAX_PPROF_STRINGS, PST_MAX_PPROF_BYTES);
    encoder->stacks = pst_intern_new(PST_MAX_PPROF_STRINGS, PST_MAX_PPROF_BYTES);
    encoder->attributes = pst_intern_new(PST_MAX_PPROF_STRINGS, PST_MAX_PPROF_BYTES);
    encoder->links = pst_intern_new(PST_MAX_PPROF_STRINGS, PST_MAX_PPROF_BYTES);
    size_t strings = pst_profile_string_count(profile);
    encoder->string_of = pst_otlp_make(encoder, strings, sizeof(*encoder->string_of));
    if (!encoder->strings || !encoder->stacks || !encoder->attributes || !encoder->links ||
        !encoder->string_of)
        return -ENOMEM;
    for (size_t i = 0; i < strings; i++)
        encoder->string_of[i] = UNSET;
    int r = pst_intern_add(encoder->strings, "", 0, &id);
    if (r == 0)
        r = pst_intern_add(encoder->stacks, "", 0, &id);
    if (r == 0)
        r = pst_intern_add(encoder->attributes, "", 0, &id);
    if (r == 0)
        r = pst_intern_add(encoder->links, "", 0, &id);
    return r < 0 ? r
                 : text_attribute(encoder, PST_STR("profile.frame.type"), PST_STR("cpython"),
                                  &encoder->frame_type);
}

static void finish(struct pst_otlp_encoder *encoder)
{
    pst_intern_free(encoder->strings);
    pst_intern_free(encoder->stacks);
    pst_intern_free(encoder->attributes);
    pst_intern_free(encoder->links);
    pst_arena_done(&encoder->arena);
}

static int fill_profile(struct pst_otlp_encoder *encoder, Pst__Otlp__Profile *profile,
                        Pst__Otlp__ValueType *type)
{
    struct pst_profile_meta meta = pst_profile_meta(encoder->profile);
    int r = string_index(encoder, pst_str(pst_mode_word(meta.mode)), &type->type_strindex);
    if (r == 0)
        r = string_index(encoder, PST_STR("nanoseconds"), &type->unit_strindex);
    profile->sample_type = type;
    profile->period_type = type;
    profile->period = meta.period_ns;
    profile->time_unix_nano = (uint64_t)meta.time_ns;
    profile->duration_nano = (uint64_t)meta.duration_ns;
    return r < 0 ? r : fill_samples(encoder, profile);
}

static int fill_dictionary(struct pst_otlp_encoder *encoder)
{
    int r = fill_mapping(encoder);
    r = r < 0 ? r : fill_locations(encoder);
    r = r < 0 ? r : fill_functions(encoder);
    r = r < 0 ? r : fill_stacks(encoder);
    r = r < 0 ? r : fill_links(encoder);
    r = r < 0 ? r : fill_attributes(encoder);
    return r < 0 ? r : fill_strings(encoder);
}

static int pack(struct pst_otlp_encoder *encoder, struct pst_otlp_resource *resource,
                Pst__Otlp__Profile *profile, struct pst_buf *out)
{
    static char scope_name[] = "pystrobe", version[] = PST_VERSION;
    Pst__Otlp__InstrumentationScope scope = PST__OTLP__INSTRUMENTATION_SCOPE__INIT;
    scope.name = scope_name;
    scope.version = version;
    Pst__Otlp__ScopeProfiles scope_profiles = PST__OTLP__SCOPE_PROFILES__INIT;
    scope_profiles.scope = &scope;
    scope_profiles.profiles = &profile;
    scope_profiles.n_profiles = 1;
    Pst__Otlp__ScopeProfiles *scope_list[1] = {&scope_profiles};
    Pst__Otlp__ResourceProfiles resource_profiles = PST__OTLP__RESOURCE_PROFILES__INIT;
    resource_profiles.resource = &resource->message;
    resource_profiles.scope_profiles = scope_list;
    resource_profiles.n_scope_profiles = 1;
    Pst__Otlp__ResourceProfiles *resource_list[1] = {&resource_profiles};
    Pst__Otlp__ExportRequest request = PST__OTLP__EXPORT_REQUEST__INIT;
    request.resource_profiles = resource_list;
    request.n_resource_profiles = 1;
    request.dictionary = &encoder->dictionary;
    size_t size = pst__otlp__export_request__get_packed_size(&request);
    int r = pst_buf_reserve(out, size);
    if (r < 0)
        return r;
    (void)pst__otlp__export_request__pack(&request, (uint8_t *)out->data + out->len);
    out->len += size;
    out->data[out->len] = '\0';
    return 0;
}

int pst_otlp_encode(const struct pst_profile *profile, const struct pst_labels *labels,
                    const struct pst_config_pairs *external, const unsigned char id[16],
                    struct pst_buf *out)
{
    struct pst_otlp_encoder encoder = {0};
    Pst__Otlp__ValueType type = PST__OTLP__VALUE_TYPE__INIT;
    Pst__Otlp__Profile message = PST__OTLP__PROFILE__INIT;
    message.profile_id = (ProtobufCBinaryData){16, (uint8_t *)(uintptr_t)id};
    int r = start(&encoder, profile);
    struct pst_otlp_resource *resource =
        r < 0 ? NULL : pst_otlp_make(&encoder, 1, sizeof(*resource));
    if (r == 0 && !resource)
        r = -ENOMEM;
    if (r == 0)
        r = pst_otlp_fill_resource(&encoder, labels, external, resource);
    if (r == 0)
        r = fill_profile(&encoder, &message, &type);
    if (r == 0)
        r = fill_dictionary(&encoder);
    if (r == 0)
        r = pack(&encoder, resource, &message, out);
    finish(&encoder);
    return r == -ENOSPC ? -EFBIG : r;
}

bool pst_otlp_refused(struct pst_str reply, char *text, size_t size)
{
    bool refused = false;
    Pst__Otlp__ExportResponse *response =
        pst__otlp__export_response__unpack(NULL, reply.len, (const uint8_t *)reply.ptr);
    text[0] = '\0';
    if (response && response->partial_success) {
        const char *message = response->partial_success->error_message;
        (void)snprintf(text, size, "%s", message ? message : "");
        refused = response->partial_success->rejected_profiles > 0;
    }
    if (response)
        pst__otlp__export_response__free_unpacked(response, NULL);
    return refused;
}
