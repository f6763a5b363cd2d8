/* Notations of single values. Pure functions over untrusted text; no locale, no strto*. */
#include "config/value.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/clock.h"

/* Digits with an optional fraction at the front of *rest: value * 10^decimals in *ret_scaled.
 * At most 18 digits in all, so that the result fits and double division is exact enough. */
static int take_decimal(struct pst_str *rest, uint64_t *ret_scaled, unsigned *ret_decimals)
{
    uint64_t scaled = 0;
    unsigned digits = 0, decimals = 0;
    bool dot = false;
    size_t at = 0;

    for (; at < rest->len; at++) {
        char c = rest->ptr[at];
        if (c == '.' && !dot && digits > 0) {
            dot = true;
            continue;
        }
        if (c < '0' || c > '9')
            break;
        if (scaled > 0 || c != '0')
            digits++;
        else if (digits == 0)
            digits = 1;
        if (digits > 18)
            return -ERANGE;
        scaled = scaled * 10 + (unsigned)(c - '0');
        decimals += dot;
        if (decimals > 18)
            return -ERANGE;
    }
    if (digits == 0 || (dot && decimals == 0))
        return -EINVAL;
    rest->ptr += at;
    rest->len -= at;
    *ret_scaled = scaled;
    *ret_decimals = decimals;
    return 0;
}

static uint64_t power_of_ten(unsigned exponent)
{
    uint64_t power = 1;
    while (exponent-- > 0)
        power *= 10;
    return power;
}

int pst_value_float(struct pst_str text, double *ret)
{
    uint64_t scaled;
    unsigned decimals;
    int rc = take_decimal(&text, &scaled, &decimals);

    if (rc < 0)
        return rc;
    if (text.len != 0)
        return -EINVAL;
    *ret = (double)scaled / (double)power_of_ten(decimals);
    return 0;
}

struct unit {
    const char *name;
    uint64_t factor;
};

/* Falling, so that the order of a compound duration can be checked by index. */
static const struct unit durations[] = {
    {"d", 86400 * PST_NS_PER_S},
    {"h", 3600 * PST_NS_PER_S},
    {"m", 60 * PST_NS_PER_S},
    {"s", PST_NS_PER_S},
    {"ms", PST_NS_PER_MS},
    {"us", 1000},
    {"ns", 1},
};

static const struct unit sizes[] = {
    {"TiB", 1ULL << 40},   {"GiB", 1ULL << 30},     {"MiB", 1ULL << 20},
    {"KiB", 1ULL << 10},   {"Ti", 1ULL << 40},      {"Gi", 1ULL << 30},
    {"Mi", 1ULL << 20},    {"Ki", 1ULL << 10},      {"TB", 1000000000000ULL},
    {"GB", 1000000000ULL}, {"MB", 1000000ULL},      {"kB", 1000ULL},
    {"KB", 1000ULL},       {"T", 1000000000000ULL}, {"G", 1000000000ULL},
    {"M", 1000000ULL},     {"k", 1000ULL},          {"B", 1},
};

/* Takes the letters at the front of *rest; their row, or count when there is none. */
static size_t take_unit(struct pst_str *rest, const struct unit *units, size_t count)
{
    size_t len = 0;

    while (len < rest->len && isalpha((unsigned char)rest->ptr[len]))
        len++;
    for (size_t i = 0; i < count; i++)
        if (pst_str_eq(pst_str(units[i].name), (struct pst_str){rest->ptr, len})) {
            rest->ptr += len;
            rest->len -= len;
            return i;
        }
    return count;
}

/* scaled / 10^decimals * factor, rounded to the nearest whole. */
static int multiply(uint64_t scaled, unsigned decimals, uint64_t factor, uint64_t *ret)
{
    __extension__ typedef unsigned __int128 wide;
    wide power = power_of_ten(decimals);
    wide product = ((wide)scaled * factor + power / 2) / power;

    if (product > INT64_MAX)
        return -ERANGE;
    *ret = (uint64_t)product;
    return 0;
}

int pst_value_duration(struct pst_str text, uint64_t *ret_ns)
{
    size_t last = 0;
    uint64_t total = 0;
    bool first = true;

    do {
        uint64_t scaled, part;
        unsigned decimals;
        size_t unit;
        int rc = take_decimal(&text, &scaled, &decimals);

        if (rc < 0)
            return rc;
        if (first && text.len == 0)
            return multiply(scaled, decimals, PST_NS_PER_S, ret_ns);
        unit = take_unit(&text, durations, PST_ARRAY_SIZE(durations));
        if (unit == PST_ARRAY_SIZE(durations) || (!first && unit <= last))
            return -EINVAL;
        rc = multiply(scaled, decimals, durations[unit].factor, &part);
        if (rc < 0)
            return rc;
        if (__builtin_add_overflow(total, part, &total) || total > INT64_MAX)
            return -ERANGE;
        last = unit;
        first = false;
    } while (text.len != 0);
    *ret_ns = total;
    return 0;
}

int pst_value_size(struct pst_str text, uint64_t *ret_bytes)
{
    uint64_t scaled, factor = 1;
    unsigned decimals;
    int rc = take_decimal(&text, &scaled, &decimals);

    if (rc < 0)
        return rc;
    if (text.len != 0) {
        size_t unit = take_unit(&text, sizes, PST_ARRAY_SIZE(sizes));
        if (unit == PST_ARRAY_SIZE(sizes) || text.len != 0)
            return -EINVAL;
        factor = sizes[unit].factor;
    } else if (decimals > 0) {
        return -EINVAL;
    }
    return multiply(scaled, decimals, factor, ret_bytes);
}

int pst_value_percent(struct pst_str text, double *ret_ratio)
{
    double number;
    int rc;

    if (pst_str_eq(text, PST_STR("0"))) {
        *ret_ratio = 0;
        return 0;
    }
    if (!pst_str_ends(text, PST_STR("%")))
        return -EINVAL;
    rc = pst_value_float((struct pst_str){text.ptr, text.len - 1}, &number);
    if (rc < 0)
        return rc;
    *ret_ratio = number / 100;
    return 0;
}

int pst_value_bool(struct pst_str text, bool *ret)
{
    static const char *const yes[] = {"true", "True", "TRUE"};
    static const char *const no[] = {"false", "False", "FALSE"};

    for (size_t i = 0; i < PST_ARRAY_SIZE(yes); i++) {
        if (pst_str_eq(text, pst_str(yes[i])) || pst_str_eq(text, pst_str(no[i]))) {
            *ret = pst_str_eq(text, pst_str(yes[i]));
            return 0;
        }
    }
    return -EINVAL;
}

void pst_value_format_duration(uint64_t ns, char *text, size_t size)
{
    size_t used = 0;

    if (size == 0)
        return;
    (void)snprintf(text, size, "0s");
    for (size_t i = 0; i < PST_ARRAY_SIZE(durations) && ns > 0; i++) {
        uint64_t count = ns / durations[i].factor;
        int more;
        /* 24h reads better than 1d, and is what people write; whole weeks stay in days. */
        if (count == 0 || (i == 0 && ns < 2 * durations[0].factor))
            continue;
        more = snprintf(text + used, size - used, "%llu%s", (unsigned long long)count,
                        durations[i].name);
        if (more < 0 || (size_t)more >= size - used)
            return;
        used += (size_t)more;
        ns -= count * durations[i].factor;
    }
}

void pst_value_format_size(uint64_t bytes, char *text, size_t size)
{
    for (size_t i = 0; i < 4 && bytes > 0; i++)
        if (bytes % sizes[i].factor == 0) {
            (void)snprintf(text, size, "%llu%s", (unsigned long long)(bytes / sizes[i].factor),
                           sizes[i].name);
            return;
        }
    (void)snprintf(text, size, "%llu", (unsigned long long)bytes);
}

void pst_value_format_float(double value, char *text, size_t size)
{
    size_t len;

    (void)snprintf(text, size, "%.6f", value);
    len = strlen(text);
    while (len > 0 && text[len - 1] == '0')
        text[--len] = 0;
    if (len > 0 && text[len - 1] == '.')
        text[--len] = 0;
}

#define DISTANCE_MAX 40

static unsigned smaller(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

unsigned pst_value_distance(struct pst_str a, struct pst_str b)
{
    unsigned rows[3][DISTANCE_MAX + 1];
    unsigned *before = rows[0], *above = rows[1], *row = rows[2];

    if (a.len > DISTANCE_MAX || b.len > DISTANCE_MAX)
        return 99;
    for (size_t j = 0; j <= b.len; j++)
        above[j] = (unsigned)j;
    memset(before, 0, sizeof rows[0]);
    for (size_t i = 1; i <= a.len; i++) {
        unsigned *free_row = before;
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b.len; j++) {
            bool same = a.ptr[i - 1] == b.ptr[j - 1];
            row[j] = smaller(smaller(above[j] + 1, row[j - 1] + 1), above[j - 1] + !same);
            if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1])
                row[j] = smaller(row[j], before[j - 2] + 1);
        }
        before = above;
        above = row;
        row = free_row;
    }
    return above[b.len];
}

static bool contains_ignoring_case(struct pst_str text, const char *word)
{
    size_t len = strlen(word);

    for (size_t at = 0; at + len <= text.len; at++) {
        size_t same = 0;
        while (same < len && tolower((unsigned char)text.ptr[at + same]) == word[same])
            same++;
        if (same == len)
            return true;
    }
    return false;
}

bool pst_value_secret_name(struct pst_str name)
{
    static const char *const words[] = {"passw", "token",         "secret", "key",
                                        "dsn",   "authorization", "cookie", "credential"};

    for (size_t i = 0; i < PST_ARRAY_SIZE(words); i++)
        if (contains_ignoring_case(name, words[i]))
            return true;
    return false;
}
