/* A profile in memory: interned strings, functions, locations, stacks and label sets, and one row
 * per (stack, label set). Owns every byte of it and refuses what would pass its bound. */
#include "profile/profile.h"

#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/intern.h"
#include "base/limits.h"
#include "base/map.h"
#include "tables.h"

struct location {
    uint32_t function, origin; /* 0: none, else into origins + 1 */
    int64_t line;
};

struct binary {
    uint32_t path, build_id;
};

struct origin {
    uint32_t binary, zero;
    uint64_t address;
};

struct row {
    uint32_t stack, labels;
    int64_t samples, value_ns;
};

struct row_key {
    uint32_t stack, labels;
};

struct pst_profile {
    struct pst_profile_meta meta;
    size_t max_bytes;
    struct pst_intern *strings, *functions, *locations, *stacks, *labels;
    struct pst_intern *binaries, *origins; /* of native locations */
    struct pst_map *index;                 /* struct row_key -> row number */
    struct row *rows;
    uint32_t row_count, row_cap;
    uint32_t *comments;
    uint32_t comment_count;
    int64_t total_samples, total_ns;
};

static const struct {
    const char *word, *series;
} modes[PST_MODE_COUNT] = {
    [PST_MODE_CPU] = {"cpu", "process_cpu"},
    [PST_MODE_WALL] = {"wall", "wall"},
    [PST_MODE_GIL] = {"gil", "gil"},
};

const char *pst_mode_word(enum pst_mode mode)
{
    return modes[mode].word;
}

const char *pst_mode_series(enum pst_mode mode)
{
    return modes[mode].series;
}

int pst_mode_parse(struct pst_str word, enum pst_mode *ret)
{
    for (int mode = 0; mode < PST_MODE_COUNT; mode++) {
        if (!pst_str_eq(word, pst_str(modes[mode].word)))
            continue;
        *ret = (enum pst_mode)mode;
        return 0;
    }
    return -EINVAL;
}

/* The strings that every encoding needs, at known ids. */
static int intern_fixed(struct pst_profile *profile)
{
    const char *fixed[] = {"", "samples", "count", pst_mode_word(profile->meta.mode),
                           "nanoseconds"};

    for (size_t i = 0; i < PST_ARRAY_SIZE(fixed); i++) {
        uint32_t id;
        int rc = pst_intern_add(profile->strings, fixed[i], strlen(fixed[i]), &id);

        if (rc < 0)
            return rc;
    }
    return 0;
}

struct pst_profile *pst_profile_new(enum pst_mode mode)
{
    struct pst_profile *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    p->meta.mode = mode;
    p->max_bytes = PST_MAX_WINDOW_BYTES;
    p->strings = pst_intern_new(PST_MAX_PPROF_STRINGS, PST_MAX_PPROF_BYTES);
    p->functions = pst_intern_new(PST_MAX_PPROF_STRINGS, PST_MAX_PPROF_BYTES);
    p->locations = pst_intern_new(PST_MAX_PPROF_STRINGS, PST_MAX_PPROF_BYTES);
    p->stacks = pst_intern_new(PST_MAX_PPROF_STRINGS, 4UL * PST_MAX_PPROF_BYTES);
    p->labels = pst_intern_new(PST_MAX_PPROF_STRINGS, PST_MAX_PPROF_BYTES);
    p->binaries = pst_intern_new(PST_MAX_PPROF_STRINGS, PST_MAX_PPROF_BYTES);
    p->origins = pst_intern_new(PST_MAX_PPROF_STRINGS, PST_MAX_PPROF_BYTES);
    p->index = pst_map_new(sizeof(struct row_key), sizeof(uint32_t), PST_MAX_PPROF_STRINGS);
    if (!p->strings || !p->functions || !p->locations || !p->stacks || !p->labels || !p->index ||
        !p->binaries || !p->origins || intern_fixed(p) < 0)
        return pst_profile_free(p);
    return p;
}

struct pst_profile *pst_profile_free(struct pst_profile *profile)
{
    if (!profile)
        return NULL;
    pst_intern_free(profile->strings);
    pst_intern_free(profile->functions);
    pst_intern_free(profile->locations);
    pst_intern_free(profile->stacks);
    pst_intern_free(profile->labels);
    pst_intern_free(profile->binaries);
    pst_intern_free(profile->origins);
    pst_map_free(profile->index);
    free(profile->rows);
    free(profile->comments);
    free(profile);
    return NULL;
}

void pst_profile_set_meta(struct pst_profile *profile, const struct pst_profile_meta *meta)
{
    enum pst_mode mode = profile->meta.mode;

    profile->meta = *meta;
    profile->meta.mode = mode;
}

struct pst_profile_meta pst_profile_meta(const struct pst_profile *profile)
{
    return profile->meta;
}

void pst_profile_set_max_bytes(struct pst_profile *profile, size_t max_bytes)
{
    profile->max_bytes = max_bytes;
}

size_t pst_profile_bytes(const struct pst_profile *profile)
{
    const struct pst_intern *tables[] = {profile->strings, profile->functions, profile->locations,
                                         profile->stacks,  profile->labels,    profile->binaries,
                                         profile->origins};
    size_t bytes = sizeof(*profile) + profile->row_cap * sizeof(struct row) +
                   pst_map_count(profile->index) * 2 * (sizeof(struct row_key) + 8);

    for (size_t i = 0; i < PST_ARRAY_SIZE(tables); i++)
        bytes += pst_intern_bytes(tables[i]);
    return bytes;
}

/* Every table grows through here, so that the whole profile has one bound. */
static int intern(struct pst_profile *profile, struct pst_intern *table, const void *data,
                  size_t len, uint32_t *ret_id)
{
    if (pst_profile_bytes(profile) + len <= profile->max_bytes)
        return pst_intern_add(table, data, len, ret_id);
    /* Full: what is known already goes on working. */
    return pst_intern_find(table, data, len, ret_id) == 0 ? 0 : -ENOSPC;
}

int pst_profile_string(struct pst_profile *profile, struct pst_str text, uint32_t *ret_id)
{
    struct pst_buf clean;
    int rc;

    if (text.len > PST_MAX_STRING_BYTES) {
        text.len = PST_MAX_STRING_BYTES;
        /* A cut inside a character would end the text with a replacement character. */
        while (text.len > PST_MAX_STRING_BYTES - 4 && ((uint8_t)text.ptr[text.len] & 0xc0) == 0x80)
            text.len--;
    }
    if (pst_utf8_valid_prefix(text) == text.len)
        return intern(profile, profile->strings, text.ptr, text.len, ret_id);
    pst_buf_init(&clean, 3 * PST_MAX_STRING_BYTES);
    rc = pst_buf_utf8(&clean, text);
    /* Replacement characters are longer than what they replace: cut again, so that the text reads
     * back from a file as the same string. */
    if (rc == 0 && clean.len > PST_MAX_STRING_BYTES)
        clean.len = pst_utf8_valid_prefix((struct pst_str){clean.data, PST_MAX_STRING_BYTES});
    if (rc == 0)
        rc = intern(profile, profile->strings, clean.data, clean.len, ret_id);
    pst_buf_done(&clean);
    return rc;
}

int pst_profile_add_comment(struct pst_profile *profile, struct pst_str text)
{
    uint32_t id;
    uint32_t *grown;
    int rc;

    if (profile->comment_count >= PST_MAX_PPROF_COMMENTS)
        return -ENOSPC;
    rc = pst_profile_string(profile, text, &id);
    if (rc < 0)
        return rc;
    grown = realloc(profile->comments, (profile->comment_count + 1) * sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    profile->comments = grown;
    grown[profile->comment_count++] = id;
    return 0;
}

uint32_t pst_profile_comment_count(const struct pst_profile *profile)
{
    return profile->comment_count;
}

struct pst_str pst_profile_comment(const struct pst_profile *profile, uint32_t index)
{
    return pst_profile_text(profile, profile->comments[index]);
}

uint32_t pst_profile_comment_string(const struct pst_profile *profile, uint32_t index)
{
    return profile->comments[index];
}

int pst_profile_function(struct pst_profile *profile, const struct pst_function *function,
                         uint32_t *ret_id)
{
    uint32_t strings = pst_intern_count(profile->strings);
    struct pst_function key;

    if (function->name >= strings || function->system_name >= strings ||
        function->filename >= strings)
        return -EINVAL;
    memset(&key, 0, sizeof(key)); /* keys are compared as bytes, padding included */
    key.name = function->name;
    key.system_name = function->system_name;
    key.filename = function->filename;
    key.start_line = function->start_line;
    return intern(profile, profile->functions, &key, sizeof(key), ret_id);
}

int pst_profile_location(struct pst_profile *profile, uint32_t function, int64_t line,
                         uint32_t *ret_id)
{
    struct location key = {.function = function, .line = line};

    if (function >= pst_intern_count(profile->functions))
        return -EINVAL;
    return intern(profile, profile->locations, &key, sizeof(key), ret_id);
}

int pst_profile_native_location(struct pst_profile *profile, uint32_t function, int64_t line,
                                const struct pst_origin *origin, uint32_t *ret_id)
{
    uint32_t strings = pst_intern_count(profile->strings);
    struct binary binary = {origin->binary, origin->build_id};
    struct origin row = {.address = origin->address};
    struct location key = {.function = function, .line = line};

    if (origin->binary == 0)
        return pst_profile_location(profile, function, line, ret_id);
    if (origin->binary >= strings || origin->build_id >= strings ||
        function >= pst_intern_count(profile->functions))
        return -EINVAL;
    int rc = intern(profile, profile->binaries, &binary, sizeof(binary), &row.binary);
    if (rc == 0)
        rc = intern(profile, profile->origins, &row, sizeof(row), &key.origin);
    key.origin++;
    return rc < 0 ? rc : intern(profile, profile->locations, &key, sizeof(key), ret_id);
}

int pst_profile_synthetic(struct pst_profile *profile, const char *name, uint32_t *ret_location)
{
    struct pst_function function = {0};
    uint32_t id;
    int rc = pst_profile_string(profile, pst_str(name), &function.name);

    if (rc < 0)
        return rc;
    function.system_name = function.name;
    rc = pst_profile_function(profile, &function, &id);
    return rc < 0 ? rc : pst_profile_location(profile, id, 0, ret_location);
}

/* Copies the labels in key order, first value of a key wins, unused fields zero. */
static int normalise_labels(const struct pst_profile *profile, const struct pst_label *labels,
                            size_t count, struct pst_label *dst, size_t *ret_count)
{
    uint32_t strings = pst_intern_count(profile->strings);
    size_t kept = 0;

    if (count > PST_MAX_SAMPLE_LABELS)
        return -ENOSPC;
    memset(dst, 0, count * sizeof(*dst));
    for (size_t i = 0; i < count; i++) {
        const struct pst_label *label = &labels[i];
        size_t at = kept;

        if (label->key >= strings || (label->numeric ? label->unit : label->str) >= strings)
            return -EINVAL;
        /* pprof has no label without a name or without a text. */
        if (!label->key || (!label->numeric && !label->str))
            continue;
        while (at > 0 && dst[at - 1].key > label->key)
            at--;
        if (at > 0 && dst[at - 1].key == label->key)
            continue;
        memmove(dst + at + 1, dst + at, (kept - at) * sizeof(*dst));
        memset(dst + at, 0, sizeof(*dst));
        dst[at].key = label->key;
        dst[at].numeric = label->numeric;
        if (label->numeric) {
            dst[at].num = label->num;
            dst[at].unit = label->unit;
        } else {
            dst[at].str = label->str;
        }
        kept++;
    }
    *ret_count = kept;
    return 0;
}

static int64_t add_saturated(int64_t a, int64_t b)
{
    int64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

static int new_row(struct pst_profile *profile, struct row_key key, uint32_t *ret_row)
{
    void *value;
    int rc;

    if (profile->row_count == profile->row_cap) {
        uint32_t cap = profile->row_cap ? profile->row_cap * 2 : 16;
        struct row *grown = realloc(profile->rows, cap * sizeof(*grown));

        if (!grown)
            return -ENOMEM;
        profile->rows = grown;
        profile->row_cap = cap;
    }
    rc = pst_map_put(profile->index, &key, &value, NULL);
    if (rc < 0)
        return rc;
    *(uint32_t *)value = profile->row_count;
    profile->rows[profile->row_count] = (struct row){.stack = key.stack, .labels = key.labels};
    *ret_row = profile->row_count++;
    return 0;
}

int pst_profile_add(struct pst_profile *profile, const uint32_t *locations, size_t depth,
                    const struct pst_label *labels, size_t label_count, int64_t samples,
                    int64_t value_ns)
{
    struct pst_label set[PST_MAX_SAMPLE_LABELS];
    uint32_t location_count = pst_intern_count(profile->locations);
    struct row_key key;
    const uint32_t *found;
    uint32_t row;
    int rc;

    if (!depth || samples < 0 || value_ns < 0)
        return -EINVAL;
    if (depth > PST_MAX_FRAMES_WALKED)
        return -ENOSPC;
    for (size_t i = 0; i < depth; i++)
        if (locations[i] >= location_count)
            return -EINVAL;
    rc = normalise_labels(profile, labels, label_count, set, &label_count);
    if (rc == 0)
        rc = intern(profile, profile->stacks, locations, depth * sizeof(*locations), &key.stack);
    if (rc == 0)
        rc = intern(profile, profile->labels, set, label_count * sizeof(*set), &key.labels);
    if (rc < 0)
        return rc;
    found = pst_map_get(profile->index, &key);
    if (found)
        row = *found;
    else if ((rc = new_row(profile, key, &row)) < 0)
        return rc;
    profile->rows[row].samples = add_saturated(profile->rows[row].samples, samples);
    profile->rows[row].value_ns = add_saturated(profile->rows[row].value_ns, value_ns);
    profile->total_samples = add_saturated(profile->total_samples, samples);
    profile->total_ns = add_saturated(profile->total_ns, value_ns);
    return 0;
}

uint32_t pst_profile_sample_count(const struct pst_profile *profile)
{
    return profile->row_count;
}

void pst_profile_sample(const struct pst_profile *profile, uint32_t index,
                        struct pst_profile_sample *ret)
{
    const struct row *row = &profile->rows[index];
    struct pst_str stack = pst_intern_get(profile->stacks, row->stack);
    struct pst_str labels = pst_intern_get(profile->labels, row->labels);

    *ret = (struct pst_profile_sample){
        .locations = (const uint32_t *)(const void *)stack.ptr,
        .depth = stack.len / sizeof(uint32_t),
        .labels = (const struct pst_label *)(const void *)labels.ptr,
        .label_count = labels.len / sizeof(struct pst_label),
        .samples = row->samples,
        .value_ns = row->value_ns,
    };
}

uint32_t pst_profile_string_count(const struct pst_profile *profile)
{
    return pst_intern_count(profile->strings);
}

struct pst_str pst_profile_text(const struct pst_profile *profile, uint32_t string)
{
    return pst_intern_get(profile->strings, string);
}

uint32_t pst_profile_function_count(const struct pst_profile *profile)
{
    return pst_intern_count(profile->functions);
}

const struct pst_function *pst_profile_function_at(const struct pst_profile *profile,
                                                   uint32_t function)
{
    return (const void *)pst_intern_get(profile->functions, function).ptr;
}

uint32_t pst_profile_location_count(const struct pst_profile *profile)
{
    return pst_intern_count(profile->locations);
}

void pst_profile_location_at(const struct pst_profile *profile, uint32_t location,
                             uint32_t *ret_function, int64_t *ret_line)
{
    const struct location *at = (const void *)pst_intern_get(profile->locations, location).ptr;

    *ret_function = at->function;
    *ret_line = at->line;
}

static const struct origin *origin_of(const struct pst_profile *profile, uint32_t location)
{
    const struct location *at = (const void *)pst_intern_get(profile->locations, location).ptr;

    return at->origin ? (const void *)pst_intern_get(profile->origins, at->origin - 1).ptr : NULL;
}

void pst_profile_location_origin(const struct pst_profile *profile, uint32_t location,
                                 struct pst_origin *ret)
{
    const struct origin *origin = origin_of(profile, location);

    *ret = (struct pst_origin){0};
    if (!origin)
        return;
    pst_profile_binary_at(profile, origin->binary, ret);
    ret->address = origin->address;
}

uint32_t pst_profile_binary_count(const struct pst_profile *profile)
{
    return pst_intern_count(profile->binaries);
}

void pst_profile_binary_at(const struct pst_profile *profile, uint32_t index,
                           struct pst_origin *ret)
{
    const struct binary *binary = (const void *)pst_intern_get(profile->binaries, index).ptr;

    *ret = (struct pst_origin){.binary = binary->path, .build_id = binary->build_id};
}

bool pst_profile_location_binary(const struct pst_profile *profile, uint32_t location,
                                 uint32_t *ret_index)
{
    const struct origin *origin = origin_of(profile, location);

    if (origin)
        *ret_index = origin->binary;
    return origin != NULL;
}

void pst_profile_total(const struct pst_profile *profile, int64_t *ret_samples,
                       int64_t *ret_value_ns)
{
    *ret_samples = profile->total_samples;
    *ret_value_ns = profile->total_ns;
}
