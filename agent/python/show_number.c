/* Numbers: ints of any size, floats as Python prints them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "show.h"

enum {
    DIGIT_BITS = 30,
    DECIMAL_DIGITS_MAX = 480, /* CPython's digits: 14,400 bits, its own bound for decimal text */
    HEX_DIGITS_READ = 64,     /* of a larger one, from the top */
    BASE = 1000000000,        /* nine decimal places a cell */
    CELLS = DECIMAL_DIGITS_MAX * DIGIT_BITS / 29 + 1,
    SIGN_NEGATIVE = 2,
    REPR_EXPONENT = 16, /* from 1e16 on with an exponent, as below 1e-4 */
    PRECISION = 17,
};

struct digits {
    bool negative;
    uint64_t count;
    uint64_t address;
};

static bool read_size(struct pst_show *value, uint64_t address, struct digits *ret)
{
    const struct pst_layout *l = value->layout;
    const unsigned char *bytes = pst_show_read(value, address + l->object.bytes_size, 8);

    if (!bytes)
        return false;
    uint64_t word = pst_word(bytes, 0);
    ret->address = address + l->object.int_digits;
    if (l->int_kind == PST_INT_TAGGED) {
        ret->negative = (word & 3) == SIGN_NEGATIVE;
        ret->count = (word & 3) == 1 ? 0 : word >> 3;
    } else {
        ret->negative = (int64_t)word < 0;
        ret->count = ret->negative ? 0 - word : word;
    }
    if (ret->count > UINT32_MAX)
        value->failed = true;
    return !value->failed;
}

/* cells = cells * 2^30 + digit; cells are the decimal number, lowest first. */
static size_t push_digit(uint32_t *cells, size_t count, uint32_t digit)
{
    uint64_t carry = digit;

    for (size_t i = 0; i < count; i++) {
        carry += (uint64_t)cells[i] << DIGIT_BITS;
        cells[i] = (uint32_t)(carry % BASE);
        carry /= BASE;
    }
    for (; carry; carry /= BASE)
        cells[count++] = (uint32_t)(carry % BASE);
    return count;
}

static void write_decimal(struct pst_show *value, const struct digits *digits)
{
    uint32_t cells[CELLS];
    char text[16];
    size_t count = 0;
    const unsigned char *raw = pst_show_read(value, digits->address, digits->count * 4);

    if (!raw)
        return;
    for (size_t i = digits->count; i-- > 0;) {
        uint32_t digit = pst_half(raw, (uint32_t)(i * 4));
        if (digit >> DIGIT_BITS) {
            value->failed = true;
            return;
        }
        count = push_digit(cells, count, digit);
    }
    (void)snprintf(text, sizeof(text), "%u", count ? cells[count - 1] : 0);
    pst_show_ascii(value, text);
    for (size_t i = count; i-- > 1;) {
        (void)snprintf(text, sizeof(text), "%09u", cells[i - 1]);
        pst_show_ascii(value, text);
    }
}

/* Bit by bit from the top, so that the hexadecimal places come out whole. */
static void write_hex(struct pst_show *value, const struct digits *digits)
{
    uint64_t first = digits->count - HEX_DIGITS_READ;
    uint64_t bits = digits->count * DIGIT_BITS;
    const unsigned char *raw =
        pst_show_read(value, digits->address + first * 4, (size_t)HEX_DIGITS_READ * 4);
    bool started = false;
    unsigned place = 0;

    pst_show_ascii(value, "0x");
    for (uint64_t bit = bits; raw && bit-- > first * DIGIT_BITS;) {
        uint32_t digit = pst_half(raw, (uint32_t)((bit / DIGIT_BITS - first) * 4));
        place = place << 1 | (digit >> (bit % DIGIT_BITS) & 1);
        if (bit % 4 != 0)
            continue;
        started = started || place != 0;
        if (started)
            pst_show_char(value, (unsigned char)"0123456789abcdef"[place], 0);
        place = 0;
    }
    value->full = true; /* there is more below */
}

void pst_show_int(struct pst_show *value, uint64_t address)
{
    struct digits digits = {0};

    if (!read_size(value, address, &digits))
        return;
    if (digits.negative)
        pst_show_ascii(value, "-");
    if (digits.count <= DECIMAL_DIGITS_MAX)
        write_decimal(value, &digits);
    else
        write_hex(value, &digits);
}

void pst_show_long(struct pst_show *value, uint64_t address)
{
    pst_show_int(value, address);
    pst_show_ascii(value, "L");
}

void pst_show_machine_int(struct pst_show *value, uint64_t address)
{
    uint64_t number = pst_show_word(value, address + value->layout->object.bytes_size);
    char text[32];

    (void)snprintf(text, sizeof(text), "%lld", (long long)number);
    pst_show_ascii(value, text);
}

void pst_show_bool(struct pst_show *value, uint64_t address)
{
    struct digits digits = {0};

    if (value->layout->int_kind == PST_INT_MACHINE)
        digits.count = pst_show_word(value, address + value->layout->object.bytes_size) != 0;
    else if (!read_size(value, address, &digits))
        return;
    pst_show_ascii(value, digits.count ? "True" : "False");
}

/* The shortest text that reads back as the same number, as an integer of digits and an exponent. */
static int shortest(double number, char *digits, size_t size)
{
    char text[40];

    for (int precision = 0; precision < PRECISION; precision++) {
        (void)snprintf(text, sizeof(text), "%.*e", precision, number);
        if (strtod(text, NULL) == number)
            break;
    }
    char *mark = strchr(text, 'e');
    size_t used = 0;
    for (const char *at = text; at < mark && used + 1 < size; at++) {
        if (*at >= '0' && *at <= '9')
            digits[used++] = *at;
    }
    digits[used] = 0;
    return (int)strtol(mark + 1, NULL, 10);
}

static void write_fixed(struct pst_show *value, const char *digits, int exponent)
{
    int count = (int)strlen(digits);

    if (exponent < 0)
        pst_show_ascii(value, "0.");
    for (int i = exponent; i < -1; i++)
        pst_show_ascii(value, "0");
    for (int i = 0; i < count || i <= exponent; i++) {
        pst_show_char(value, i < count ? (unsigned char)digits[i] : '0', 0);
        if (i == exponent)
            pst_show_ascii(value, i + 1 < count ? "." : ".0");
    }
}

void pst_show_double(struct pst_show *value, double number)
{
    char digits[32], exponent_text[16];

    if (isnan(number)) {
        pst_show_ascii(value, "nan");
        return;
    }
    if (signbit(number))
        pst_show_ascii(value, "-");
    if (isinf(number)) {
        pst_show_ascii(value, "inf");
        return;
    }
    int exponent = shortest(fabs(number), digits, sizeof(digits));
    if (exponent >= -4 && exponent < REPR_EXPONENT) {
        write_fixed(value, digits, exponent);
        return;
    }
    pst_show_char(value, (unsigned char)digits[0], 0);
    if (digits[1]) {
        pst_show_ascii(value, ".");
        pst_show_ascii(value, digits + 1);
    }
    (void)snprintf(exponent_text, sizeof(exponent_text), "e%c%02d", exponent < 0 ? '-' : '+',
                   abs(exponent));
    pst_show_ascii(value, exponent_text);
}

void pst_show_float(struct pst_show *value, uint64_t address)
{
    const unsigned char *raw =
        pst_show_read(value, address + value->layout->object.float_value, sizeof(double));
    double number;

    if (!raw)
        return;
    memcpy(&number, raw, sizeof(number));
    pst_show_double(value, number);
}
