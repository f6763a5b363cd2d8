/* Decodes co_lnotab and co_linetable of every CPython into sorted runs of (offset, line). Takes
 * bytes that were already copied and trusts none of them. */
#include "lines.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

enum {
    NO_LINE_DELTA = -128, /* 3.10 */
    LOCATION_LONG = 14,
    LOCATION_NO_COLUMNS = 13,
    LOCATION_NONE = 15,
    VARINT_BITS_MAX = 30, /* further groups cannot belong to a line number */
};

struct builder {
    struct pst_lines *lines;
    uint32_t cap;
};

static int grow(struct builder *builder)
{
    uint32_t cap = builder->cap ? builder->cap * 2 : 16;
    struct pst_line_run *runs = realloc(builder->lines->runs, cap * sizeof(*runs));

    if (!runs)
        return -ENOMEM;
    builder->lines->runs = runs;
    builder->cap = cap;
    return 0;
}

/* Appends a run; one at the same offset replaces the last, an equal line extends it. */
static int add(struct builder *builder, uint32_t start, int32_t line)
{
    struct pst_lines *lines = builder->lines;

    if (lines->count > 0 && lines->runs[lines->count - 1].start == start)
        lines->count--;
    if (lines->count > 0 && lines->runs[lines->count - 1].line == line)
        return 0;
    if (lines->count == builder->cap) {
        int error = grow(builder);
        if (error < 0)
            return error;
    }
    lines->runs[lines->count++] = (struct pst_line_run){start, line};
    return 0;
}

/* Line numbers are ints in CPython; a hostile table may run away from them. */
static int32_t moved(int32_t line, int64_t delta)
{
    int64_t sum = (int64_t)line + delta;
    return sum > INT32_MAX ? INT32_MAX : sum < INT32_MIN ? INT32_MIN : (int32_t)sum;
}

static int decode_lnotab(struct builder *builder, bool is_signed, int32_t line,
                         const unsigned char *table, size_t len)
{
    uint32_t offset = 0;
    int error = add(builder, 0, line);

    for (size_t i = 0; i + 1 < len && error == 0; i += 2) {
        offset += table[i];
        line = moved(line, is_signed ? (int8_t)table[i + 1] : table[i + 1]);
        error = add(builder, offset, line);
    }
    return error;
}

static int decode_ranges(struct builder *builder, int32_t line, const unsigned char *table,
                         size_t len)
{
    uint32_t offset = 0;
    int error = 0;

    for (size_t i = 0; i + 1 < len && error == 0; i += 2) {
        int8_t delta = (int8_t)table[i + 1];
        if (delta != NO_LINE_DELTA)
            line = moved(line, delta);
        if (table[i] != 0)
            error = add(builder, offset, delta == NO_LINE_DELTA ? 0 : line);
        offset += table[i];
    }
    return error;
}

struct reader {
    const unsigned char *at, *end;
};

static uint32_t varint(struct reader *reader)
{
    uint32_t value = 0;
    unsigned shift = 0;

    while (reader->at < reader->end) {
        unsigned char byte = *reader->at++;
        if (shift < VARINT_BITS_MAX + 6)
            value |= (uint32_t)(byte & 63) << (shift > 31 ? 31 : shift);
        shift += 6;
        if (!(byte & 64))
            break;
    }
    return value;
}

static int64_t signed_varint(struct reader *reader)
{
    uint32_t value = varint(reader);
    return value & 1 ? -(int64_t)(value >> 1) : (int64_t)(value >> 1);
}

/* The line delta of one entry, its columns skipped. */
static int64_t location_delta(struct reader *reader, unsigned code)
{
    int64_t delta = 0;

    if (code < 10) {
        reader->at += 1;
    } else if (code <= 12) {
        delta = (int64_t)code - 10;
        reader->at += 2;
    } else if (code == LOCATION_NO_COLUMNS) {
        delta = signed_varint(reader);
    } else if (code == LOCATION_LONG) {
        delta = signed_varint(reader);
        (void)varint(reader);
        (void)varint(reader);
        (void)varint(reader);
    }
    return delta;
}

static int decode_locations(struct builder *builder, int32_t line, const unsigned char *table,
                            size_t len)
{
    struct reader reader = {table, table + len};
    uint32_t offset = 0;
    int error = 0;

    while (reader.at < reader.end && error == 0) {
        unsigned char head = *reader.at++;
        if (!(head & 0x80))
            return -EINVAL;
        unsigned code = (head >> 3) & 15;
        line = moved(line, location_delta(&reader, code));
        if (reader.at > reader.end)
            return -EINVAL;
        error = add(builder, offset, code == LOCATION_NONE ? 0 : line);
        offset += 2 * ((head & 7u) + 1);
    }
    return error;
}

int pst_lines_decode(enum pst_lines_kind kind, int32_t first_line, const unsigned char *table,
                     size_t len, struct pst_lines *ret)
{
    struct builder builder = {ret, 0};
    int error;

    *ret = (struct pst_lines){.first_line = first_line};
    switch (kind) {
    case PST_LINES_LNOTAB_UNSIGNED:
        error = decode_lnotab(&builder, false, first_line, table, len);
        break;
    case PST_LINES_LNOTAB_SIGNED:
        error = decode_lnotab(&builder, true, first_line, table, len);
        break;
    case PST_LINES_RANGES:
        error = decode_ranges(&builder, first_line, table, len);
        break;
    default:
        error = decode_locations(&builder, first_line, table, len);
        break;
    }
    if (ret->count < builder.cap && ret->count > 0) {
        struct pst_line_run *fitted = realloc(ret->runs, ret->count * sizeof(*fitted));
        if (fitted)
            ret->runs = fitted;
    }
    return error;
}

void pst_lines_done(struct pst_lines *lines)
{
    free(lines->runs);
    *lines = (struct pst_lines){0};
}

int32_t pst_lines_find(const struct pst_lines *lines, int64_t offset)
{
    uint32_t low = 0, high = lines->count;

    if (offset < 0)
        return lines->first_line;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (lines->runs[middle].start <= (uint64_t)offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 ? lines->runs[low - 1].line : 0;
}
