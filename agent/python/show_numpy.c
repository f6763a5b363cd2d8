/* numpy: its scalars, and of an array the shape and the type of its elements. The layouts are those
 * of its public C structures, which have not changed since its first release. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "show.h"

enum {
    DIMENSIONS_MAX = 64,
    HEAD_TO_COUNT = 8,
    HEAD_TO_DIMENSIONS = 16,
    HEAD_TO_ELEMENT = 40, /* behind strides and base */
};

struct scalar {
    const char *name;
    char kind; /* b bool, i signed, u unsigned, f floating */
    uint8_t width;
};

static const struct scalar scalars[] = {
    {"bool_", 'b', 1},   {"bool", 'b', 1},      {"int8", 'i', 1},    {"int16", 'i', 2},
    {"int32", 'i', 4},   {"int64", 'i', 8},     {"intc", 'i', 4},    {"longlong", 'i', 8},
    {"uint8", 'u', 1},   {"uint16", 'u', 2},    {"uint32", 'u', 4},  {"uint64", 'u', 8},
    {"uintc", 'u', 4},   {"ulonglong", 'u', 8}, {"float16", 'f', 2}, {"float32", 'f', 4},
    {"float64", 'f', 8},
};

static uint64_t head_bytes(const struct pst_show *value)
{
    return value->layout->object.type + 8;
}

static double half_float(uint16_t bits)
{
    double fraction = (bits & 0x3ff) / 1024.0;
    int exponent = bits >> 10 & 31;
    double magnitude = exponent == 31  ? (fraction > 0 ? __builtin_nan("") : __builtin_inf())
                       : exponent == 0 ? fraction / 16384.0
                                       : (1 + fraction) * (double)(1u << exponent) / 32768.0;

    return bits >> 15 ? -magnitude : magnitude;
}

static double floating(const unsigned char *raw, unsigned width)
{
    double wide;
    float narrow;
    uint16_t bits;

    if (width == sizeof(wide)) {
        memcpy(&wide, raw, sizeof(wide));
        return wide;
    }
    if (width == sizeof(bits)) {
        memcpy(&bits, raw, sizeof(bits));
        return half_float(bits);
    }
    memcpy(&narrow, raw, sizeof(narrow));
    return (double)narrow;
}

/* float32 and float16: as few digits as tell the number from its neighbours of that width. */
static void write_narrow(struct pst_show *value, const unsigned char *raw, unsigned width)
{
    double number = floating(raw, width);
    char text[40];

    for (int precision = 1; precision <= 9; precision++) {
        (void)snprintf(text, sizeof(text), "%.*g", precision, number);
        if ((float)strtod(text, NULL) == (float)number)
            break;
    }
    pst_show_double(value, strtod(text, NULL));
}

static void write_scalar(struct pst_show *value, uint64_t address, const struct scalar *scalar)
{
    const unsigned char *raw = pst_show_read(value, address + head_bytes(value), scalar->width);
    uint64_t bits = 0;
    char text[32];

    if (!raw)
        return;
    memcpy(&bits, raw, scalar->width);
    unsigned shift = 64 - 8u * scalar->width;
    switch (scalar->kind) {
    case 'b':
        pst_show_ascii(value, bits ? "True" : "False");
        return;
    case 'f':
        if (scalar->width == sizeof(double))
            pst_show_double(value, floating(raw, scalar->width));
        else
            write_narrow(value, raw, scalar->width);
        return;
    case 'i':
        (void)snprintf(text, sizeof(text), "%" PRId64, (int64_t)(bits << shift) >> shift);
        break;
    default:
        (void)snprintf(text, sizeof(text), "%" PRIu64, bits);
    }
    pst_show_ascii(value, text);
}

static void write_shape(struct pst_show *value, uint64_t dimensions, uint32_t count)
{
    char text[32];
    const unsigned char *raw = NULL;

    if (count > 0)
        raw = pst_show_read(value, dimensions, count * 8ull);
    for (uint32_t i = 0; raw && i < count; i++) {
        (void)snprintf(text, sizeof(text), "%s%" PRId64, i ? ", " : "",
                       (int64_t)pst_word(raw, i * 8));
        pst_show_ascii(value, text);
    }
    pst_show_ascii(value, count == 1 ? ",)" : ")");
}

static void write_array(struct pst_show *value, uint64_t address)
{
    uint64_t fields = address + head_bytes(value);
    uint64_t count = pst_show_word(value, fields + HEAD_TO_COUNT) & UINT32_MAX;
    uint64_t dimensions = pst_show_word(value, fields + HEAD_TO_DIMENSIONS);
    uint64_t element = pst_show_word(value, fields + HEAD_TO_ELEMENT);
    struct pst_show_type type;

    if (value->full || value->failed)
        return;
    if (count > DIMENSIONS_MAX || !pst_memory_plausible(element)) {
        value->failed = true;
        return;
    }
    pst_show_ascii(value, "<numpy.ndarray shape=(");
    write_shape(value, dimensions, (uint32_t)count);
    /* The element's description names the type of a scalar. */
    uint64_t scalar = pst_show_word(value, element + head_bytes(value));
    if (!pst_show_type_at(value, scalar, &type))
        return;
    pst_show_ascii(value, " dtype=");
    pst_show_name(value, strncmp(type.name, "numpy.", 6) == 0 ? type.name + 6 : type.name);
    pst_show_ascii(value, ">");
}

bool pst_show_numpy(struct pst_show *value, uint64_t address, const struct pst_show_type *type)
{
    if (strncmp(type->name, "numpy.", 6) != 0)
        return false;
    if (strcmp(type->name + 6, "ndarray") == 0) {
        write_array(value, address);
        return true;
    }
    for (size_t i = 0; i < PST_ARRAY_SIZE(scalars); i++) {
        if (strcmp(type->name + 6, scalars[i].name) != 0)
            continue;
        pst_show_ascii(value, type->name);
        pst_show_ascii(value, "(");
        write_scalar(value, address, &scalars[i]);
        pst_show_ascii(value, ")");
        return true;
    }
    return false;
}
