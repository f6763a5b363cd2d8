/* Dicts, attributes and ints of the target, for the little that is read beside stacks: thread names
 * and os.environ. Rare, so written for clearness; every count is bounded before it is used. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "text.h"

enum {
    KEY_BYTES_MAX = 64,
    KEYS_AT_ONCE = 64,
    FLAG_INLINE_VALUES = 1 << 2,
    FLAG_MANAGED_DICT = 1 << 4,
    LOG2_INDEX_MAX = 34, /* more would not fit a count of entries */
    DIGIT_BITS = 30,
    FLAG_INT = 1 << 23,     /* tp_flags of 2.6 and 2.7: a machine word, not digits */
    OLD_INSTANCE_DICT = 24, /* in_dict of an instance of an old-style class, 2.x */
};

static uint64_t word_at(struct pst_python *python, uint64_t address)
{
    uint64_t value = 0;

    if (!pst_memory_plausible(address) || pst_memory_u64(python->memory, address, &value) < 0)
        return 0;
    return value;
}

static bool keys_log2(const unsigned char *head, uint64_t address, struct pst_keys *ret)
{
    uint8_t log2_index = head[9], kind = head[10];
    uint64_t count = pst_word(head, 24);

    if (log2_index > LOG2_INDEX_MAX || count > UINT32_MAX)
        return false;
    *ret = (struct pst_keys){address + 32 + (UINT64_C(1) << log2_index), (uint32_t)count,
                             kind == 0 ? 24 : 16, kind == 0 ? 8 : 0};
    return true;
}

static bool keys_entries(const unsigned char *head, uint64_t address, struct pst_keys *ret)
{
    uint64_t size = pst_word(head, 8), count = pst_word(head, 32);
    uint64_t width = size <= 0xff ? 1 : size <= 0xffff ? 2 : size <= 0xffffffff ? 4 : 8;

    if (size >> LOG2_INDEX_MAX || count > UINT32_MAX)
        return false;
    *ret = (struct pst_keys){address + 40 + size * width, (uint32_t)count, 24, 8};
    return true;
}

/* Every slot of the table is looked at, used or not. */
static bool keys_slots(const unsigned char *head, uint64_t address, struct pst_keys *ret)
{
    uint64_t size = pst_word(head, 8);

    if (size > UINT32_MAX)
        return false;
    *ret = (struct pst_keys){address + 32, (uint32_t)size, 24, 8};
    return true;
}

/* The dict itself holds mask and table. */
static bool keys_table(const unsigned char *head, struct pst_keys *ret)
{
    uint64_t mask = pst_word(head, 0), table = pst_word(head, 8);

    if (mask >= UINT32_MAX || !pst_memory_plausible(table))
        return false;
    *ret = (struct pst_keys){table, (uint32_t)mask + 1, 24, 8};
    return true;
}

bool pst_keys_parse(const struct pst_layout *layout, const unsigned char *head, uint64_t address,
                    struct pst_keys *ret)
{
    switch (layout->dict_kind) {
    case PST_DICT_LOG2:
        return keys_log2(head, address, ret);
    case PST_DICT_ENTRIES:
        return keys_entries(head, address, ret);
    case PST_DICT_SLOTS:
        return keys_slots(head, address, ret);
    default:
        return keys_table(head, ret);
    }
}

static bool keys_read(struct pst_python *python, uint64_t address, struct pst_keys *ret)
{
    unsigned char head[PST_KEYS_HEAD_BYTES];

    return pst_memory_plausible(address) &&
           pst_memory_read(python->memory, address, head, sizeof(head)) == 0 &&
           pst_keys_parse(&python->layout, head, address, ret) &&
           ret->count <= PST_MAX_DICT_ENTRIES;
}

/* values: array of a split table, 0 for a combined one. */
static int pairs_of(struct pst_python *python, uint64_t keys_address, uint64_t values,
                    struct pst_pair **ret)
{
    struct pst_keys keys;

    *ret = NULL;
    if (!keys_read(python, keys_address, &keys))
        return -EINVAL;
    size_t bytes = (size_t)keys.count * keys.stride;
    pst_autofree unsigned char *raw = malloc(bytes + 1);
    pst_autofree uint64_t *split = malloc(((size_t)keys.count + 1) * sizeof(*split));
    struct pst_pair *pairs = calloc((size_t)keys.count + 1, sizeof(*pairs));
    if (!raw || !split || !pairs || pst_memory_read(python->memory, keys.entries, raw, bytes) < 0 ||
        (values && pst_memory_read(python->memory, values, split, keys.count * 8ull) < 0)) {
        free(pairs);
        return -EFAULT;
    }
    int used = 0;
    for (uint32_t i = 0; i < keys.count; i++) {
        const unsigned char *entry = raw + (size_t)i * keys.stride;
        uint64_t key_at = keys.entries + (uint64_t)i * keys.stride + keys.key_offset;
        struct pst_pair pair = {pst_word(entry, keys.key_offset),
                                values ? split[i] : pst_word(entry, keys.key_offset + 8u), key_at,
                                values ? values + i * 8ull : key_at + 8};
        if (pair.key && pair.value)
            pairs[used++] = pair;
    }
    *ret = pairs;
    return used;
}

static uint64_t values_array(const struct pst_python *python, uint64_t values)
{
    return values && python->layout.header_in_place ? values + 8 : values;
}

int pst_dict_pairs(struct pst_python *python, uint64_t dict, struct pst_pair **ret)
{
    *ret = NULL;
    if (!pst_memory_plausible(dict))
        return -EINVAL;
    if (python->layout.dict_kind == PST_DICT_TABLE)
        return pairs_of(python, dict + python->layout.object.dict_keys, 0, ret);
    uint64_t keys = word_at(python, dict + python->layout.object.dict_keys);
    uint64_t values = word_at(python, dict + python->layout.object.dict_values);
    return pairs_of(python, keys, values_array(python, values), ret);
}

struct wanted {
    const char *key;
    size_t len;
    bool bytes;
};

static bool key_is(const struct pst_layout *l, const struct wanted *wanted,
                   const unsigned char *object)
{
    uint32_t length = wanted->bytes ? l->object.bytes_size : l->object.text_length;
    uint32_t data = wanted->bytes ? l->object.bytes_data : l->object.text_ascii;

    return pst_word(object, length) == wanted->len &&
           memcmp(object + data, wanted->key, wanted->len) == 0;
}

/* The keys are read many at a time; one that is not mapped is passed over. */
static uint64_t find_pair(struct pst_python *python, const struct pst_pair *pairs, size_t count,
                          const struct wanted *wanted)
{
    const struct pst_layout *l = &python->layout;
    unsigned char objects[KEYS_AT_ONCE][2 * KEY_BYTES_MAX];
    struct pst_piece pieces[KEYS_AT_ONCE];
    size_t len = (wanted->bytes ? l->object.bytes_data : l->object.text_ascii) + wanted->len;
    size_t first = 0;

    if (wanted->len >= KEY_BYTES_MAX || len > sizeof(objects[0]))
        return 0;
    while (first < count) {
        size_t n = 0, done = 0;
        for (; n < KEYS_AT_ONCE && first + n < count; n++)
            pieces[n] = (struct pst_piece){pairs[first + n].key, objects[n], len};
        int error = pst_memory_readv(python->memory, pieces, n, &done);
        for (size_t i = 0; i < done; i++) {
            if (key_is(l, wanted, objects[i]))
                return pairs[first + i].value;
        }
        if (error < 0 && error != -EFAULT)
            return 0;
        first += done + (error < 0);
    }
    return 0;
}

uint64_t pst_dict_find(struct pst_python *python, uint64_t dict, const char *key, bool bytes_key)
{
    struct wanted wanted = {key, strlen(key), bytes_key};
    pst_autofree struct pst_pair *pairs = NULL;
    int count = pst_dict_pairs(python, dict, &pairs);

    return count > 0 ? find_pair(python, pairs, (size_t)count, &wanted) : 0;
}

static uint64_t find_in_values(struct pst_python *python, uint64_t type, uint64_t values,
                               const struct wanted *wanted)
{
    pst_autofree struct pst_pair *pairs = NULL;
    uint64_t keys = word_at(python, type + python->layout.object.cached_keys);
    int count = pairs_of(python, keys, values_array(python, values), &pairs);

    return count > 0 ? find_pair(python, pairs, (size_t)count, wanted) : 0;
}

/* Attributes of 3.11+ instances live in values without a dict until somebody asks for one. */
static uint64_t find_managed(struct pst_python *python, uint64_t object, uint64_t type,
                             uint64_t flags, const struct wanted *wanted)
{
    const struct pst_layout *l = &python->layout;
    uint64_t dict = word_at(python, object - l->object.managed_dict);
    uint64_t values = 0;

    if (l->version == 0x030b) {
        values = word_at(python, object - l->object.managed_dict - 8);
    } else if (l->version == 0x030c) {
        if (dict & 1)
            values = dict + 1, dict = 0;
    } else if (dict == 0 && (flags & FLAG_INLINE_VALUES)) {
        values = object + word_at(python, type + l->object.type_basicsize);
    }
    if (values)
        return find_in_values(python, type, values, wanted);
    return pst_dict_find(python, dict, wanted->key, false);
}

/* 2.x: one type for the instances of all classes that derive from nothing. */
static bool is_old_instance(struct pst_python *python, uint64_t type)
{
    static const char instance[] = "instance";
    char name[sizeof(instance)];

    if (python->layout.version >= 0x0300)
        return false;
    uint64_t address = word_at(python, type + python->layout.object.type_name);
    return address && pst_memory_read(python->memory, address, name, sizeof(name)) == 0 &&
           memcmp(name, instance, sizeof(name)) == 0;
}

uint64_t pst_attribute_find(struct pst_python *python, uint64_t object, const char *name)
{
    const struct pst_layout *l = &python->layout;
    struct wanted wanted = {name, strlen(name), false};
    uint64_t type = word_at(python, object + l->object.type);
    uint64_t flags = word_at(python, type + l->object.type_flags);

    if (type == 0)
        return 0;
    if (l->object.managed_dict && (flags & FLAG_MANAGED_DICT))
        return find_managed(python, object, type, flags, &wanted);
    if (is_old_instance(python, type))
        return pst_dict_find(python, word_at(python, object + OLD_INSTANCE_DICT), name, false);
    uint64_t offset = word_at(python, type + l->object.type_dictoffset);
    if (offset == 0 || offset > PST_MAX_STRING_BYTES)
        return 0;
    return pst_dict_find(python, word_at(python, object + offset), name, false);
}

bool pst_int_read(struct pst_python *python, uint64_t object, uint64_t *ret)
{
    uint32_t start = python->layout.object.bytes_size; /* ob_size, or lv_tag in its place */
    unsigned char raw[24];

    if (!pst_memory_plausible(object) ||
        pst_memory_read(python->memory, object + start, raw, sizeof(raw)) < 0)
        return false;
    uint64_t digits = pst_word(raw, 0);
    if (python->layout.int_kind == PST_INT_MACHINE) {
        uint64_t type = word_at(python, object + python->layout.object.type);
        if (word_at(python, type + python->layout.object.type_flags) & FLAG_INT) {
            *ret = digits; /* ob_ival stands where a long has its number of digits */
            return digits <= INT64_MAX;
        }
    }
    if (python->layout.version >= 0x030c) {
        if ((digits & 3) > 1)
            return false;
        digits >>= 3;
    }
    if (digits > 3)
        return false;
    *ret = 0;
    for (uint32_t i = 0; i < digits && i < 3; i++)
        *ret |= (uint64_t)pst_half(raw, 8 + 4 * i) << (DIGIT_BITS * i);
    return true;
}

uint64_t pst_module_find(struct pst_python *python, uint64_t interp, const char *module,
                         const char *name)
{
    const struct pst_layout *l = &python->layout;
    uint64_t modules = word_at(python, interp + l->interp.modules);
    uint64_t object = pst_dict_find(python, modules, module, false);

    if (object == 0)
        return 0;
    return pst_dict_find(python, word_at(python, object + l->object.module_dict), name, false);
}
