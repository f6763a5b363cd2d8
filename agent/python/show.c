/* One object: what kind it is, and the kinds that need few words. Types are told by the flags that
 * CPython itself goes by, and static types by their names. */
#include "show.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    DEPTH_MAX = 8,
    PAGE = 4096,
    FLAG_HEAP_TYPE = 9,
    FLAG_MACHINE_INT = 23, /* 2.x */
    FLAG_INT = 24,
    FLAG_LIST = 25,
    FLAG_TUPLE = 26,
    FLAG_BYTES = 27,
    FLAG_STR = 28,
    FLAG_DICT = 29,
    FLAG_TYPE = 31,
    TAG_MASK = 3,
    TAG_INT = 3, /* a small int in the reference itself */
};

const unsigned char *pst_show_read(struct pst_show *value, uint64_t address, size_t len)
{
    int error = 0;

    if (value->full || value->failed)
        return NULL;
    const unsigned char *bytes = pst_trail_read(value->trail, address, len, &error);
    if (!bytes && error == -EDQUOT)
        value->full = true;
    else if (!bytes)
        value->failed = true;
    return bytes;
}

uint64_t pst_show_word(struct pst_show *value, uint64_t address)
{
    const unsigned char *bytes = pst_show_read(value, address, 8);

    return bytes ? pst_word(bytes, 0) : 0;
}

/* A C string of the target; what lies behind its end may not be mapped. */
static bool read_name(struct pst_show *value, uint64_t address, char dst[PST_TYPE_NAME_BYTES])
{
    size_t used = 0;

    while (used < PST_TYPE_NAME_BYTES - 1) {
        size_t len = PAGE - (size_t)((address + used) % PAGE);
        if (len > PST_TYPE_NAME_BYTES - 1 - used)
            len = PST_TYPE_NAME_BYTES - 1 - used;
        const unsigned char *bytes = pst_show_read(value, address + used, len);
        if (!bytes)
            return false;
        memcpy(dst + used, bytes, len);
        used += len;
        if (memchr(bytes, 0, len))
            return true;
    }
    dst[used] = 0;
    return true;
}

bool pst_show_type_at(struct pst_show *value, uint64_t type, struct pst_show_type *ret)
{
    const struct pst_layout *l = value->layout;

    if (!pst_memory_plausible(type)) {
        value->failed = true;
        return false;
    }
    uint64_t name = pst_show_word(value, type + l->object.type_name);
    ret->flags = pst_show_word(value, type + l->object.type_flags);
    ret->builtin = !(ret->flags >> FLAG_HEAP_TYPE & 1);
    return !value->failed && !value->full && read_name(value, name, ret->name);
}

bool pst_show_type(struct pst_show *value, uint64_t object, struct pst_show_type *ret)
{
    if (!pst_memory_plausible(object)) {
        value->failed = true;
        return false;
    }
    return pst_show_type_at(value, pst_show_word(value, object + value->layout->object.type), ret);
}

static void write_object(struct pst_show *value, uint64_t address, const struct pst_show_type *type)
{
    char where[40];

    (void)snprintf(where, sizeof(where), " object at 0x%" PRIx64 ">", address);
    pst_show_ascii(value, "<");
    pst_show_name(value, type->name);
    pst_show_ascii(value, where);
}

static void write_class(struct pst_show *value, uint64_t address)
{
    struct pst_show_type self;

    if (!pst_show_type_at(value, address, &self))
        return;
    pst_show_ascii(value, "<class '");
    pst_show_name(value, self.name);
    pst_show_ascii(value, "'>");
}

/* Kinds that a bit of the type's flags tells, subclasses included: those show their own name around
 * the value. */
struct kind {
    unsigned flag;
    const char *name; /* of the type itself */
    void (*write)(struct pst_show *value, uint64_t address);
};
static const struct kind kinds[] = {
    {FLAG_INT, "int", pst_show_int},       {FLAG_STR, "str", pst_show_str},
    {FLAG_BYTES, "bytes", pst_show_bytes}, {FLAG_TUPLE, "tuple", pst_show_tuple},
    {FLAG_LIST, "list", pst_show_list},    {FLAG_DICT, "dict", pst_show_dict},
};
static const struct kind old_kinds[] = {
    {FLAG_MACHINE_INT, "int", pst_show_machine_int},
    {FLAG_INT, "long", pst_show_long},
    {FLAG_STR, "unicode", pst_show_unicode},
    {FLAG_BYTES, "str", pst_show_str},
    {FLAG_TUPLE, "tuple", pst_show_tuple},
    {FLAG_LIST, "list", pst_show_list},
    {FLAG_DICT, "dict", pst_show_dict},
};

static const struct kind *kind_of(const struct pst_show *value, const struct pst_show_type *type)
{
    bool old = value->layout->text_kind == PST_TEXT_BYTES;
    const struct kind *rows = old ? old_kinds : kinds;
    size_t count = old ? PST_ARRAY_SIZE(old_kinds) : PST_ARRAY_SIZE(kinds);

    for (size_t i = 0; i < count; i++) {
        if (type->flags >> rows[i].flag & 1)
            return &rows[i];
    }
    return NULL;
}

static bool is(const struct pst_show_type *type, const char *name)
{
    return type->builtin && strcmp(type->name, name) == 0;
}

/* Builtin types without a flag of their own. */
static bool write_builtin(struct pst_show *value, uint64_t address,
                          const struct pst_show_type *type)
{
    if (is(type, "NoneType"))
        pst_show_ascii(value, "None");
    else if (is(type, "bool"))
        pst_show_bool(value, address);
    else if (is(type, "float"))
        pst_show_float(value, address);
    else if (value->layout->object.set_table && (is(type, "set") || is(type, "frozenset")))
        pst_show_set(value, address, type->name[0] == 'f');
    else if (is(type, "ellipsis"))
        pst_show_ascii(value, "Ellipsis");
    else
        return type->builtin && pst_show_numpy(value, address, type);
    return true;
}

static void dispatch(struct pst_show *value, uint64_t address, const struct pst_show_type *type)
{
    const struct kind *kind = kind_of(value, type);

    if (write_builtin(value, address, type))
        return;
    if (type->flags >> FLAG_TYPE & 1) {
        write_class(value, address);
    } else if (!kind) {
        write_object(value, address, type);
    } else if (is(type, kind->name)) {
        kind->write(value, address);
    } else {
        pst_show_name(value, type->name);
        pst_show_ascii(value, "(");
        kind->write(value, address);
        pst_show_ascii(value, ")");
    }
}

void pst_show_object(struct pst_show *value, uint64_t address)
{
    struct pst_show_type type;

    if (value->full || value->failed)
        return;
    if (value->depth >= DEPTH_MAX) {
        pst_show_ascii(value, "...");
        return;
    }
    if (!pst_show_type(value, address, &type))
        return;
    value->depth++;
    dispatch(value, address, &type);
    value->depth--;
}

uint64_t pst_show_untagged(const struct pst_show *value, uint64_t reference)
{
    return value->layout->tagged ? reference & ~(uint64_t)TAG_MASK : reference;
}

void pst_show_reference(struct pst_show *value, uint64_t reference)
{
    char number[32];

    if (value->layout->tagged && (reference & TAG_MASK) == TAG_INT) {
        (void)snprintf(number, sizeof(number), "%" PRId64, (int64_t)reference >> 2);
        pst_show_ascii(value, number);
        return;
    }
    pst_show_object(value, pst_show_untagged(value, reference));
}
