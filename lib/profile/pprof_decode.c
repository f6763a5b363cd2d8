/* Reads pprof from anyone: bounded gunzip, then one pass over the outermost fields per table, since
 * samples come before what they name. Each entry is one small protobuf-c message; every index and
 * id is checked before it is used. Refuses what it cannot represent: negative values, repeated
 * ids, types whose last is not (cpu|wall|gil, nanoseconds). */
#include "profile/pprof.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "ids.h"
#include "inflate.h"
#include "pprof.pb-c.h"
#include "tables.h"
#include "wire.h"

/* Hands memory to protobuf-c for one entry at a time and remembers why it stopped. */
struct budget {
    ProtobufCAllocator allocator;
    size_t left_bytes;
    bool out_of_memory;
};

/* A location of the file is one or more of ours: inlined calls, innermost first. */
struct frames {
    uint32_t first, count;
};

struct decoder {
    struct pst_str raw;
    struct pst_profile *profile;
    struct budget budget;
    /* From the first pass. */
    struct pst_str *strings;
    uint32_t *string_ids; /* of the profile */
    size_t string_count, string_cap;
    struct pst_str types[PST_MAX_PPROF_SAMPLE_TYPES];
    size_t type_count;
    uint64_t comments[PST_MAX_PPROF_COMMENTS];
    size_t comment_count;
    struct pst_profile_meta meta;
    bool time_seen;
    int samples_type; /* -1: none counts */
    /* From the later ones. */
    struct pst_ids *mappings;  /* id -> string id of the file name */
    struct pst_ids *builds;    /* id -> string id of the build id */
    struct pst_ids *functions; /* id -> function of the profile */
    struct pst_ids *locations; /* id -> index of its struct frames */
    struct frames *frame_sets;
    size_t frame_set_count, frame_set_cap;
    uint32_t *frames;
    size_t frame_count, frame_cap;
    uint32_t stack[PST_MAX_FRAMES_WALKED];
};

enum { ENTRY_BYTES = 64 * PST_MAX_PPROF_MESSAGE_BYTES };

static void *budget_alloc(void *data, size_t size)
{
    struct budget *budget = data;
    void *memory = NULL;

    if (size <= budget->left_bytes)
        memory = malloc(size);
    if (memory)
        budget->left_bytes -= size;
    else
        budget->out_of_memory = true;
    return memory;
}

static void budget_free(void *data, void *memory)
{
    (void)data;
    free(memory);
}

static int unpack(struct decoder *d, const ProtobufCMessageDescriptor *type, struct pst_str bytes,
                  ProtobufCMessage **ret)
{
    if (bytes.len > PST_MAX_PPROF_MESSAGE_BYTES)
        return -EFBIG;
    d->budget.left_bytes = ENTRY_BYTES;
    d->budget.out_of_memory = false;
    *ret = protobuf_c_message_unpack(type, &d->budget.allocator, bytes.len,
                                     (const uint8_t *)bytes.ptr);
    if (*ret)
        return 0;
    return d->budget.out_of_memory ? -ENOMEM : -EBADMSG;
}

static void release(struct decoder *d, ProtobufCMessage *message)
{
    protobuf_c_message_free_unpacked(message, &d->budget.allocator);
}

/* Doubles an array whose items number `count`; items never exceed PPROF_STRINGS. */
static int grow(void **items, size_t item_bytes, size_t count, size_t *cap)
{
    size_t more = *cap ? *cap * 2 : 64;
    void *grown;

    if (count < *cap)
        return 0;
    if (count >= PST_MAX_PPROF_STRINGS)
        return -EFBIG;
    grown = realloc(*items, more * item_bytes);
    if (!grown)
        return -ENOMEM;
    *items = grown;
    *cap = more;
    return 0;
}

/* The string of the profile for an index of the file. */
static int string_id(const struct decoder *d, int64_t index, uint32_t *ret_id)
{
    if (index < 0 || (uint64_t)index >= d->string_count)
        return -EBADMSG;
    *ret_id = d->string_ids[index];
    return 0;
}

/* First pass. */

static int take_string(struct decoder *d, const struct pst_wire_field *field)
{
    void *items = d->strings;
    int rc = grow(&items, sizeof(*d->strings), d->string_count, &d->string_cap);

    d->strings = items;
    if (rc == 0)
        d->strings[d->string_count++] = field->bytes;
    return rc;
}

static int take_comment(struct decoder *d, uint64_t index)
{
    if (d->comment_count == PST_MAX_PPROF_COMMENTS)
        return -EFBIG;
    d->comments[d->comment_count++] = index;
    return 0;
}

static int take_comments(struct decoder *d, const struct pst_wire_field *field)
{
    struct pst_str rest = field->bytes;
    int rc = 0;

    if (field->type == PST_WIRE_VARINT)
        return take_comment(d, field->varint);
    while (rest.len && rc == 0) {
        uint64_t index;

        rc = pst_wire_take_varint(&rest, &index) ? take_comment(d, index) : -EBADMSG;
    }
    return rc;
}

static int take_scalar(struct decoder *d, const struct pst_wire_field *field)
{
    int64_t value = (int64_t)field->varint;

    if (field->number == 9) {
        /* Twice means two profiles behind each other, which nobody can read as one. */
        if (d->time_seen)
            return -EBADMSG;
        d->time_seen = true;
        d->meta.time_ns = value;
    } else if (field->number == 10) {
        d->meta.duration_ns = value < 0 ? 0 : value;
    } else if (field->number == 12) {
        d->meta.period_ns = value < 0 ? 0 : value;
    }
    return 0;
}

static int take_type(struct decoder *d, const struct pst_wire_field *field)
{
    if (d->type_count == PST_MAX_PPROF_SAMPLE_TYPES)
        return -EFBIG;
    d->types[d->type_count++] = field->bytes;
    return 0;
}

static int first_pass(struct decoder *d)
{
    struct pst_str rest = d->raw;
    struct pst_wire_field field;
    int rc;

    while ((rc = pst_wire_next(&rest, &field)) > 0) {
        bool bytes = field.type == PST_WIRE_BYTES;

        rc = 0;
        if (field.number == 1)
            rc = bytes ? take_type(d, &field) : -EBADMSG;
        else if (field.number == 6)
            rc = bytes ? take_string(d, &field) : -EBADMSG;
        else if (field.number >= 2 && field.number <= 5)
            rc = bytes ? 0 : -EBADMSG;
        else if (field.number == 13)
            rc = bytes || field.type == PST_WIRE_VARINT ? take_comments(d, &field) : -EBADMSG;
        else if (field.number == 9 || field.number == 10 || field.number == 12)
            rc = field.type == PST_WIRE_VARINT ? take_scalar(d, &field) : -EBADMSG;
        if (rc < 0)
            break;
    }
    if (rc == 0 && (!d->string_count || d->strings[0].len))
        rc = -EBADMSG;
    return rc;
}

/* Which sample type carries the time and which counts, and thereby the mode. */
static int read_types(struct decoder *d)
{
    struct pst_str type = {NULL, 0}, unit = {NULL, 0};

    d->samples_type = -1;
    for (size_t i = 0; i < d->type_count; i++) {
        Pystrobe__Pprof__ValueType *message;
        ProtobufCMessage *base;
        int rc = unpack(d, &pystrobe__pprof__value_type__descriptor, d->types[i], &base);
        bool good;

        if (rc < 0)
            return rc;
        message = (Pystrobe__Pprof__ValueType *)base;
        good = message->type >= 0 && (uint64_t)message->type < d->string_count &&
               message->unit >= 0 && (uint64_t)message->unit < d->string_count;
        if (good) {
            type = d->strings[message->type];
            unit = d->strings[message->unit];
        }
        release(d, base);
        if (!good)
            return -EBADMSG;
        if (d->samples_type < 0 && pst_str_eq(unit, PST_STR("count")))
            d->samples_type = (int)i;
    }
    if (!pst_str_eq(unit, PST_STR("nanoseconds")) || pst_mode_parse(type, &d->meta.mode) < 0)
        return -EBADMSG;
    return 0;
}

static int intern_strings(struct decoder *d)
{
    d->string_ids = calloc(d->string_count, sizeof(*d->string_ids));
    if (!d->string_ids)
        return -ENOMEM;
    for (size_t i = 0; i < d->string_count; i++) {
        int rc = pst_profile_string(d->profile, d->strings[i], &d->string_ids[i]);

        if (rc < 0)
            return rc;
    }
    for (size_t i = 0; i < d->comment_count; i++) {
        int rc;

        if (d->comments[i] >= d->string_count)
            return -EBADMSG;
        rc = pst_profile_add_comment(d->profile, d->strings[d->comments[i]]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Later passes. */

static int on_mapping(struct decoder *d, const ProtobufCMessage *base)
{
    const Pystrobe__Pprof__Mapping *message = (const void *)base;
    uint32_t file, build;
    int rc = string_id(d, message->filename, &file);

    if (rc == 0)
        rc = string_id(d, message->build_id, &build);
    if (rc == 0)
        rc = pst_ids_put(d->builds, message->id, build);
    return rc < 0 ? rc : pst_ids_put(d->mappings, message->id, file);
}

static int on_function(struct decoder *d, const ProtobufCMessage *base)
{
    const Pystrobe__Pprof__Function *message = (const void *)base;
    struct pst_function function = {.start_line = message->start_line};
    uint32_t id;
    int rc = string_id(d, message->name, &function.name);

    if (rc == 0)
        rc = string_id(d, message->system_name, &function.system_name);
    if (rc == 0)
        rc = string_id(d, message->filename, &function.filename);
    /* Any index may name an empty text, not 0 alone. */
    if (function.system_name == PST_STRING_EMPTY)
        function.system_name = function.name;
    if (rc == 0)
        rc = pst_profile_function(d->profile, &function, &id);
    return rc < 0 ? rc : pst_ids_put(d->functions, message->id, id);
}

static int push_frame(struct decoder *d, uint32_t location)
{
    void *items = d->frames;
    int rc = grow(&items, sizeof(*d->frames), d->frame_count, &d->frame_cap);

    d->frames = items;
    if (rc == 0)
        d->frames[d->frame_count++] = location;
    return rc;
}

/* An unsymbolised address: named by its mapping and address. */
static int push_address(struct decoder *d, const Pystrobe__Pprof__Location *message)
{
    struct pst_str base = {NULL, 0};
    char name[160];
    uint32_t location, file;
    bool known = pst_ids_get(d->mappings, message->mapping_id, &file);
    int rc;

    if (message->mapping_id && !known)
        return -EBADMSG;
    if (known)
        base = pst_str_basename(pst_profile_text(d->profile, file));
    (void)snprintf(name, sizeof(name), "[%.*s 0x%llx]", base.len > 100 ? 100 : (int)base.len,
                   base.len ? base.ptr : "", (unsigned long long)message->address);
    rc = pst_profile_synthetic(d->profile, name, &location);
    return rc < 0 ? rc : push_frame(d, location);
}

static int push_frame_set(struct decoder *d, uint64_t id, const struct frames *set)
{
    void *items = d->frame_sets;
    int rc = grow(&items, sizeof(*d->frame_sets), d->frame_set_count, &d->frame_set_cap);

    d->frame_sets = items;
    if (rc == 0)
        rc = pst_ids_put(d->locations, id, (uint32_t)d->frame_set_count);
    if (rc == 0)
        d->frame_sets[d->frame_set_count++] = *set;
    return rc;
}

static int on_location(struct decoder *d, const ProtobufCMessage *base)
{
    const Pystrobe__Pprof__Location *message = (const void *)base;
    struct frames set = {.first = (uint32_t)d->frame_count};
    struct pst_origin origin = {.address = message->address};
    int rc = 0;

    (void)pst_ids_get(d->mappings, message->mapping_id, &origin.binary);
    (void)pst_ids_get(d->builds, message->mapping_id, &origin.build_id);

    for (size_t i = 0; i < message->n_line && rc == 0; i++) {
        uint32_t location, function;

        if (!pst_ids_get(d->functions, message->line[i]->function_id, &function))
            return -EBADMSG;
        rc = pst_profile_native_location(d->profile, function, message->line[i]->line, &origin,
                                         &location);
        if (rc == 0)
            rc = push_frame(d, location);
    }
    if (rc == 0 && !message->n_line)
        rc = push_address(d, message);
    set.count = (uint32_t)d->frame_count - set.first;
    return rc < 0 ? rc : push_frame_set(d, message->id, &set);
}

static int read_stack(struct decoder *d, const Pystrobe__Pprof__Sample *message, size_t *ret_depth)
{
    size_t depth = 0;

    for (size_t i = 0; i < message->n_location_id; i++) {
        const struct frames *frames;
        uint32_t set;

        if (!pst_ids_get(d->locations, message->location_id[i], &set))
            return -EBADMSG;
        frames = &d->frame_sets[set];
        if (frames->count > PST_MAX_FRAMES_WALKED - depth)
            return -EFBIG;
        for (uint32_t at = 0; at < frames->count; at++)
            d->stack[depth++] = d->frames[frames->first + at];
    }
    *ret_depth = depth;
    return depth ? 0 : pst_profile_synthetic(d->profile, "[no stack]", &d->stack[(*ret_depth)++]);
}

static int read_label(const struct decoder *d, const Pystrobe__Pprof__Label *message,
                      struct pst_label *ret)
{
    int rc = string_id(d, message->key, &ret->key);

    ret->numeric = message->str == 0;
    ret->num = message->num;
    if (rc == 0)
        rc = string_id(d, message->str, &ret->str);
    return rc < 0 ? rc : string_id(d, message->num_unit, &ret->unit);
}

static int on_sample(struct decoder *d, const ProtobufCMessage *base)
{
    const Pystrobe__Pprof__Sample *message = (const void *)base;
    struct pst_label labels[PST_MAX_SAMPLE_LABELS];
    int64_t samples, value_ns;
    size_t depth;
    int rc;

    if (message->n_value != d->type_count)
        return -EBADMSG;
    value_ns = message->value[d->type_count - 1];
    samples = d->samples_type < 0 ? 0 : message->value[d->samples_type];
    if (value_ns < 0 || samples < 0)
        return -EBADMSG;
    if (message->n_label > PST_MAX_SAMPLE_LABELS)
        return -EFBIG;
    memset(labels, 0, sizeof(labels));
    for (size_t i = 0; i < message->n_label; i++)
        if ((rc = read_label(d, message->label[i], &labels[i])) < 0)
            return rc;
    rc = read_stack(d, message, &depth);
    if (rc < 0)
        return rc;
    return pst_profile_add(d->profile, d->stack, depth, labels, message->n_label, samples,
                           value_ns);
}

static int pass(struct decoder *d, uint32_t number, const ProtobufCMessageDescriptor *type,
                int (*on_entry)(struct decoder *, const ProtobufCMessage *))
{
    struct pst_str rest = d->raw;
    struct pst_wire_field field;
    int rc;

    while ((rc = pst_wire_next(&rest, &field)) > 0) {
        ProtobufCMessage *message;

        if (field.number != number)
            continue;
        rc = unpack(d, type, field.bytes, &message);
        if (rc < 0)
            return rc;
        rc = on_entry(d, message);
        release(d, message);
        if (rc < 0)
            return rc;
    }
    return rc;
}

static int decode(struct decoder *d)
{
    int rc = first_pass(d);

    if (rc == 0)
        rc = read_types(d);
    if (rc < 0)
        return rc;
    d->profile = pst_profile_new(d->meta.mode);
    d->mappings = pst_ids_new();
    d->builds = pst_ids_new();
    d->functions = pst_ids_new();
    d->locations = pst_ids_new();
    if (!d->profile || !d->mappings || !d->builds || !d->functions || !d->locations)
        return -ENOMEM;
    pst_profile_set_max_bytes(d->profile, PST_MAX_PPROF_BYTES);
    pst_profile_set_meta(d->profile, &d->meta);
    rc = intern_strings(d);
    if (rc == 0)
        rc = pass(d, 3, &pystrobe__pprof__mapping__descriptor, on_mapping);
    if (rc == 0)
        rc = pass(d, 5, &pystrobe__pprof__function__descriptor, on_function);
    if (rc == 0)
        rc = pass(d, 4, &pystrobe__pprof__location__descriptor, on_location);
    if (rc == 0)
        rc = pass(d, 2, &pystrobe__pprof__sample__descriptor, on_sample);
    return rc;
}

static void decoder_done(struct decoder *d)
{
    free(d->strings);
    free(d->string_ids);
    free(d->frames);
    free(d->frame_sets);
    pst_ids_free(d->mappings);
    pst_ids_free(d->builds);
    pst_ids_free(d->functions);
    pst_ids_free(d->locations);
    pst_profile_free(d->profile);
}

static int decode_raw(struct pst_str raw, struct pst_profile **ret)
{
    pst_autofree struct decoder *d = calloc(1, sizeof(*d));
    int rc;

    if (!d)
        return -ENOMEM;
    d->raw = raw;
    d->budget.allocator = (ProtobufCAllocator){budget_alloc, budget_free, &d->budget};
    rc = decode(d);
    if (rc == 0)
        *ret = PST_STEAL(d->profile);
    decoder_done(d);
    /* A table or the profile is full. */
    return rc == -ENOSPC ? -EFBIG : rc;
}

int pst_pprof_decode(const void *data, size_t len, struct pst_profile **ret)
{
    struct pst_str raw = {data, len};
    struct pst_buf plain;
    int rc = 0;

    pst_buf_init(&plain, PST_MAX_PPROF_BYTES);
    if (pst_gzip_sniff(raw)) {
        rc = pst_gunzip(raw, &plain);
        raw = pst_buf_view(&plain);
    } else if (len > PST_MAX_PPROF_BYTES) {
        rc = -EFBIG;
    }
    if (rc == 0)
        rc = decode_raw(raw, ret);
    pst_buf_done(&plain);
    return rc;
}
