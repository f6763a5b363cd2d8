/* Writes pprof: every entry of every table is one protobuf-c message packed alone and pushed into
 * the sink, since repeated messages may simply be concatenated on the wire. Memory stays at one
 * sample plus deflate's window, whatever the profile's size. */
#include "profile/pprof.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "pprof.pb-c.h"
#include "sink.h"
#include "tables.h"
#include "wire.h"

/* Field numbers of the outermost message. */
enum {
    FIELD_SAMPLE_TYPE = 1,
    FIELD_SAMPLE = 2,
    FIELD_MAPPING = 3,
    FIELD_LOCATION = 4,
    FIELD_FUNCTION = 5,
    FIELD_STRING = 6,
    FIELD_TIME = 9,
    FIELD_DURATION = 10,
    FIELD_PERIOD_TYPE = 11,
    FIELD_PERIOD = 12,
    FIELD_COMMENT = 13,
    FIELD_DEFAULT_TYPE = 14,
};

enum { PYTHON_MAPPING = 1 };

struct encoder {
    const struct pst_profile *profile;
    struct pst_sink sink;
    struct pst_buf scratch; /* one packed message */
    int error;
    uint64_t location_ids[PST_MAX_FRAMES_WALKED];
    Pystrobe__Pprof__Label labels[PST_MAX_SAMPLE_LABELS];
    Pystrobe__Pprof__Label *label_list[PST_MAX_SAMPLE_LABELS];
};

static void put_tag(struct encoder *e, uint32_t field, enum pst_wire_type type, uint64_t value)
{
    uint8_t head[2 * PST_WIRE_VARINT_BYTES];
    size_t len = pst_wire_put_varint(head, (uint64_t)field << 3 | type);

    len += pst_wire_put_varint(head + len, value);
    pst_sink_write(&e->sink, head, len);
}

/* Proto3 leaves a zero out. */
static void put_int(struct encoder *e, uint32_t field, int64_t value)
{
    if (value)
        put_tag(e, field, PST_WIRE_VARINT, (uint64_t)value);
}

static void put_bytes(struct encoder *e, uint32_t field, struct pst_str bytes)
{
    put_tag(e, field, PST_WIRE_BYTES, bytes.len);
    pst_sink_write(&e->sink, bytes.ptr, bytes.len);
}

static void put_message(struct encoder *e, uint32_t field, const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);

    if (e->error < 0)
        return;
    pst_buf_reset(&e->scratch);
    e->error = pst_buf_reserve(&e->scratch, len);
    if (e->error < 0)
        return;
    protobuf_c_message_pack(message, (uint8_t *)e->scratch.data);
    put_bytes(e, field, (struct pst_str){e->scratch.data, len});
}

static void put_value_type(struct encoder *e, uint32_t field, int64_t type, int64_t unit)
{
    Pystrobe__Pprof__ValueType message = PYSTROBE__PPROF__VALUE_TYPE__INIT;

    message.type = type;
    message.unit = unit;
    put_message(e, field, &message.base);
}

static void fill_label(Pystrobe__Pprof__Label *dst, const struct pst_label *label)
{
    pystrobe__pprof__label__init(dst);
    dst->key = label->key;
    if (label->numeric) {
        dst->num = label->num;
        dst->num_unit = label->unit;
    } else {
        dst->str = label->str;
    }
}

static void put_samples(struct encoder *e)
{
    uint32_t count = pst_profile_sample_count(e->profile);

    for (uint32_t i = 0; i < count && e->error == 0; i++) {
        Pystrobe__Pprof__Sample message = PYSTROBE__PPROF__SAMPLE__INIT;
        struct pst_profile_sample sample;
        int64_t values[2];

        pst_profile_sample(e->profile, i, &sample);
        for (size_t at = 0; at < sample.depth; at++)
            e->location_ids[at] = sample.locations[at] + 1;
        for (size_t at = 0; at < sample.label_count; at++)
            fill_label(&e->labels[at], &sample.labels[at]);
        values[0] = sample.samples;
        values[1] = sample.value_ns;
        message.n_location_id = sample.depth;
        message.location_id = e->location_ids;
        message.n_value = 2;
        message.value = values;
        message.n_label = sample.label_count;
        message.label = e->label_list;
        put_message(e, FIELD_SAMPLE, &message.base);
    }
}

/* One mapping for all Python frames, and one for each binary of native ones. They say that
 * everything is symbolised already, so that no reader looks for a binary. */
static void put_mapping(struct encoder *e, uint64_t id, const struct pst_origin *binary)
{
    Pystrobe__Pprof__Mapping message = PYSTROBE__PPROF__MAPPING__INIT;

    message.id = id;
    message.filename = binary->binary;
    message.build_id = binary->build_id;
    message.has_functions = 1;
    message.has_filenames = 1;
    message.has_line_numbers = 1;
    message.has_inline_frames = 1;
    put_message(e, FIELD_MAPPING, &message.base);
}

static void put_mappings(struct encoder *e)
{
    struct pst_origin binary = {0};

    put_mapping(e, PYTHON_MAPPING, &binary);
    for (uint32_t i = 0; i < pst_profile_binary_count(e->profile) && e->error == 0; i++) {
        pst_profile_binary_at(e->profile, i, &binary);
        put_mapping(e, PYTHON_MAPPING + 1 + (uint64_t)i, &binary);
    }
}

static void put_locations(struct encoder *e)
{
    uint32_t count = pst_profile_location_count(e->profile);

    for (uint32_t i = 0; i < count && e->error == 0; i++) {
        Pystrobe__Pprof__Location message = PYSTROBE__PPROF__LOCATION__INIT;
        Pystrobe__Pprof__Line line = PYSTROBE__PPROF__LINE__INIT;
        Pystrobe__Pprof__Line *lines = &line;
        struct pst_origin origin;
        uint32_t function, binary;

        pst_profile_location_at(e->profile, i, &function, &line.line);
        line.function_id = (uint64_t)function + 1;
        message.id = (uint64_t)i + 1;
        message.mapping_id = PYTHON_MAPPING;
        if (pst_profile_location_binary(e->profile, i, &binary)) {
            pst_profile_location_origin(e->profile, i, &origin);
            message.mapping_id = PYTHON_MAPPING + 1 + (uint64_t)binary;
            message.address = origin.address;
        }
        message.n_line = 1;
        message.line = &lines;
        put_message(e, FIELD_LOCATION, &message.base);
    }
}

/* `go tool pprof` takes a name with brackets for demangled C++ and strips it ("<module>" becomes
 * nothing), unless the system name differs. Such a function goes without one. */
static bool looks_like_cplusplus(struct pst_str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (memchr("<>[]", name.ptr[i], 4) ||
            (i > 0 && name.ptr[i] == ':' && name.ptr[i - 1] == ':'))
            return true;
    return false;
}

static void put_functions(struct encoder *e)
{
    uint32_t count = pst_profile_function_count(e->profile);

    for (uint32_t i = 0; i < count && e->error == 0; i++) {
        Pystrobe__Pprof__Function message = PYSTROBE__PPROF__FUNCTION__INIT;
        const struct pst_function *function = pst_profile_function_at(e->profile, i);

        message.id = (uint64_t)i + 1;
        message.name = function->name;
        message.system_name = function->system_name;
        if (function->system_name == function->name &&
            looks_like_cplusplus(pst_profile_text(e->profile, function->name)))
            message.system_name = PST_STRING_EMPTY;
        message.filename = function->filename;
        message.start_line = function->start_line;
        put_message(e, FIELD_FUNCTION, &message.base);
    }
}

static void put_all(struct encoder *e)
{
    struct pst_profile_meta meta = pst_profile_meta(e->profile);
    uint32_t strings = pst_profile_string_count(e->profile);
    uint32_t comments = pst_profile_comment_count(e->profile);

    put_value_type(e, FIELD_SAMPLE_TYPE, PST_STRING_SAMPLES, PST_STRING_COUNT);
    put_value_type(e, FIELD_SAMPLE_TYPE, PST_STRING_MODE, PST_STRING_NANOSECONDS);
    put_samples(e);
    put_mappings(e);
    put_locations(e);
    put_functions(e);
    for (uint32_t i = 0; i < strings; i++)
        put_bytes(e, FIELD_STRING, pst_profile_text(e->profile, i));
    put_int(e, FIELD_TIME, meta.time_ns);
    put_int(e, FIELD_DURATION, meta.duration_ns);
    put_value_type(e, FIELD_PERIOD_TYPE, PST_STRING_MODE, PST_STRING_NANOSECONDS);
    put_int(e, FIELD_PERIOD, meta.period_ns);
    for (uint32_t i = 0; i < comments; i++)
        put_tag(e, FIELD_COMMENT, PST_WIRE_VARINT, pst_profile_comment_string(e->profile, i));
    put_int(e, FIELD_DEFAULT_TYPE, PST_STRING_MODE);
}

/* out NULL only counts into *ret_raw_bytes. */
static int encode(const struct pst_profile *profile, bool gzip, struct pst_buf *out,
                  size_t *ret_raw_bytes)
{
    pst_autofree struct encoder *e = malloc(sizeof(*e));
    int rc;

    if (!e)
        return -ENOMEM;
    e->profile = profile;
    e->error = 0;
    for (size_t i = 0; i < PST_MAX_SAMPLE_LABELS; i++)
        e->label_list[i] = &e->labels[i];
    rc = pst_sink_init(&e->sink, out, gzip, PST_MAX_PPROF_BYTES);
    if (rc < 0)
        return rc;
    pst_buf_init(&e->scratch, PST_MAX_PPROF_MESSAGE_BYTES);
    put_all(e);
    pst_buf_done(&e->scratch);
    if (e->error < 0 && e->sink.error == 0)
        e->sink.error = e->error;
    rc = pst_sink_finish(&e->sink);
    *ret_raw_bytes = e->sink.raw_bytes;
    return rc;
}

int pst_pprof_encode(const struct pst_profile *profile, bool gzip, struct pst_buf *out)
{
    size_t raw_bytes;

    return encode(profile, gzip, out, &raw_bytes);
}

size_t pst_pprof_raw_size(const struct pst_profile *profile)
{
    size_t raw_bytes = 0;

    /* Out of memory: as if too large for any backend, which makes the caller split or refuse. */
    if (encode(profile, false, NULL, &raw_bytes) == -ENOMEM)
        return SIZE_MAX;
    return raw_bytes;
}
