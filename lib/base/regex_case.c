/* Upper and lower case, one letter to one letter, as Unicode's simple mappings have it. PCRE2 knows
 * for each letter one other that is equal to it but for case; where that is not the mapping, the
 * table below is. No locale takes part: in a container there may be none. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <errno.h>
#include <pcre2.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/regex.h"

/* Letters from..to and how far their lower and upper case lie from them. */
static const struct irregular {
    uint32_t from, to;
    int32_t lower, upper;
} irregular[] = {
    {0xb5, 0xb5, 0, 743},       {0xdf, 0xdf, 0, 0},         {0x130, 0x130, -199, 0},
    {0x131, 0x131, 0, -232},    {0x17f, 0x17f, 0, -300},    {0x1c5, 0x1c5, 1, -1},
    {0x1c8, 0x1c8, 1, -1},      {0x1cb, 0x1cb, 1, -1},      {0x1f2, 0x1f2, 1, -1},
    {0x345, 0x345, 0, 84},      {0x3b9, 0x3b9, 0, -32},     {0x3bc, 0x3bc, 0, -32},
    {0x3c2, 0x3c2, 0, -31},     {0x3d0, 0x3d0, 0, -62},     {0x3d1, 0x3d1, 0, -57},
    {0x3d5, 0x3d5, 0, -47},     {0x3d6, 0x3d6, 0, -54},     {0x3f0, 0x3f0, 0, -86},
    {0x3f1, 0x3f1, 0, -80},     {0x3f5, 0x3f5, 0, -96},     {0x1c80, 0x1c80, 0, -6254},
    {0x1c81, 0x1c81, 0, -6253}, {0x1c82, 0x1c82, 0, -6244}, {0x1c83, 0x1c84, 0, -6242},
    {0x1c85, 0x1c85, 0, -6243}, {0x1c86, 0x1c86, 0, -6236}, {0x1c87, 0x1c87, 0, -6181},
    {0x1c88, 0x1c88, 0, 35266}, {0x1e9b, 0x1e9b, 0, -59},   {0x1f88, 0x1f8f, -8, 0},
    {0x1f98, 0x1f9f, -8, 0},    {0x1fa8, 0x1faf, -8, 0},    {0x1fbc, 0x1fbc, -9, 0},
    {0x1fbe, 0x1fbe, 0, -7205}, {0x1fcc, 0x1fcc, -9, 0},    {0x1ffc, 0x1ffc, -9, 0},
    {0x2160, 0x216f, 16, 0},    {0x2170, 0x217f, 0, -16},   {0x24b6, 0x24cf, 26, 0},
    {0x24d0, 0x24e9, 0, -26},   {0xa64b, 0xa64b, 0, -1},
};

/* Of valid UTF-8. */
static size_t decode(const char *text, uint32_t *ret)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t size = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    uint32_t c = size == 1 ? p[0] : p[0] & (0x7fU >> size);

    for (size_t i = 1; i < size; i++)
        c = c << 6 | (p[i] & 0x3fU);
    *ret = c;
    return size;
}

/* Below the surrogates, as all of the table is. */
static int append(struct pst_buf *out, uint32_t c)
{
    char text[3] = {(char)c};

    if (c < 0x80)
        return pst_buf_append(out, text, 1);
    if (c < 0x800) {
        text[0] = (char)(0xc0 | c >> 6);
        text[1] = (char)(0x80 | (c & 0x3f));
        return pst_buf_append(out, text, 2);
    }
    text[0] = (char)(0xe0 | c >> 12);
    text[1] = (char)(0x80 | (c >> 6 & 0x3f));
    text[2] = (char)(0x80 | (c & 0x3f));
    return pst_buf_append(out, text, 3);
}

static const struct irregular *irregular_of(uint32_t c)
{
    for (size_t i = 0; c >= irregular[0].from && i < PST_ARRAY_SIZE(irregular); i++)
        if (c >= irregular[i].from && c <= irregular[i].to)
            return &irregular[i];
    return NULL;
}

static int regular(const pcre2_code *all, struct pst_str text, bool upper, struct pst_buf *out)
{
    PCRE2_SIZE size = 2 * text.len + 64;
    char *changed = malloc(size);
    int status = changed ? 0 : -ENOMEM;

    if (status == 0 &&
        pcre2_substitute(all, (PCRE2_SPTR)text.ptr, text.len, 0, PCRE2_SUBSTITUTE_EXTENDED, NULL,
                         NULL, (PCRE2_SPTR)(upper ? "\\U$0" : "\\L$0"), 4, (PCRE2_UCHAR *)changed,
                         &size) < 0)
        status = -EFBIG;
    if (status == 0)
        status = pst_buf_append(out, changed, size);
    free(changed);
    return status;
}

int pst_regex_case(struct pst_str text, bool upper, struct pst_buf *out)
{
    int code, status = 0;
    PCRE2_SIZE at;
    size_t done = 0;

    if (pst_utf8_valid_prefix(text) < text.len)
        return pst_buf_str(out, text);
    pcre2_code *all =
        pcre2_compile((PCRE2_SPTR) ".+", 2, PCRE2_UTF | PCRE2_UCP | PCRE2_DOTALL, &code, &at, NULL);
    if (!all)
        return -ENOMEM;
    for (size_t i = 0; i < text.len && status == 0;) {
        uint32_t c;
        size_t size = decode(text.ptr + i, &c);
        const struct irregular *row = irregular_of(c);
        if (row) {
            if (i > done)
                status = regular(all, (struct pst_str){text.ptr + done, i - done}, upper, out);
            if (status == 0)
                status = append(out, (uint32_t)((int32_t)c + (upper ? row->upper : row->lower)));
            done = i + size;
        }
        i += size;
    }
    if (status == 0 && done < text.len)
        status = regular(all, (struct pst_str){text.ptr + done, text.len - done}, upper, out);
    pcre2_code_free(all);
    return status;
}
