/* _Py_DebugOffsets: how CPython 3.13 and later describe themselves. The table is the target's word:
 * every number of it is bounded here, once, so that nothing after has to doubt it. */
#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"
#include "layout.h"

enum {
    HEADER_BYTES = 24, /* cookie, version, free_threaded */
    STRUCT_MAX = 1 << 20,
    RUNTIME_MAX = 1 << 23,
    OBJECT_MAX = 1 << 12,
};

/* One u64 of the table: where it goes in the layout, and the width of the field that it points at
 * (0: the number is itself a size). A group's size stands in front of its fields. */
struct field {
    uint16_t target; /* offset into struct pst_layout, NOWHERE: read over */
    uint8_t width;
    uint8_t since; /* minor that inserted it */
    uint32_t max;  /* sizes only */
    bool may_be_0; /* absent, or the first field of its structure */
};

#define NOWHERE 0xffff
#define SIZE(m, limit)                                                                             \
    {                                                                                              \
        offsetof(struct pst_layout, m), 0, 13, (limit), false                                      \
    }
#define SKIP_SIZE(n)                                                                               \
    {                                                                                              \
        NOWHERE, 0, (n), STRUCT_MAX, false                                                         \
    }
#define AT(m, w)                                                                                   \
    {                                                                                              \
        offsetof(struct pst_layout, m), (w), 13, 0, false                                          \
    }
#define AT_START(m, w)                                                                             \
    {                                                                                              \
        offsetof(struct pst_layout, m), (w), 13, 0, true                                           \
    }
#define AT_SINCE(m, w, n)                                                                          \
    {                                                                                              \
        offsetof(struct pst_layout, m), (w), (n), 0, false                                         \
    }
#define OR_NONE(m, w)                                                                              \
    {                                                                                              \
        offsetof(struct pst_layout, m), (w), 14, 0, true                                           \
    }
#define SKIP                                                                                       \
    {                                                                                              \
        NOWHERE, 1, 13, 0, false                                                                   \
    }
#define SKIP_SINCE(n)                                                                              \
    {                                                                                              \
        NOWHERE, 1, (n), 0, false                                                                  \
    }

/* The order of the table. Later minors insert fields; `since` says which. */
static const struct field fields[] = {
    /* runtime_state: size, finalizing, interpreters_head */
    SIZE(runtime.size, RUNTIME_MAX),
    SKIP,
    AT(runtime.interpreters_head, 8),
    /* interpreter_state: size, id, next, threads_head, threads_main, gc, modules, sysdict,
     * builtins, ceval_gil, gil_runtime_state, _enabled, _locked, _holder, code generation, tlbc
     * generation */
    SIZE(interp.size, STRUCT_MAX),
    AT(interp.id, 8),
    AT(interp.next, 8),
    AT(interp.threads_head, 8),
    SKIP_SINCE(14),
    SKIP,
    AT(interp.modules, 8),
    SKIP,
    SKIP,
    SKIP,
    AT(interp.gil_enabled, 4), /* the GIL's structure begins with it in free-threaded builds */
    SKIP,                      /* the same, counted from there: 0 */
    AT(interp.gil_locked, 4),
    AT(interp.gil_holder, 8),
    AT_SINCE(interp.code_generation, 8, 14),
    OR_NONE(interp.tlbc_generation, 4),
    /* thread_state: size, prev, next, interp, current_frame, base_frame, last_profiled_frame, its
     * seq, thread_id, native_thread_id, datastack_chunk, status, holds_gil, gil_requested,
     * current_exception, exc_state */
    SIZE(tstate.size, STRUCT_MAX),
    SKIP,
    AT(tstate.next, 8),
    AT(tstate.interp, 8),
    AT(tstate.frame, 8),
    AT_SINCE(tstate.base_frame, 8, 15),
    SKIP_SINCE(15),
    SKIP_SINCE(15),
    AT(tstate.thread_id, 8),
    AT(tstate.native_thread_id, 8),
    AT(tstate.chunk, 16),
    SKIP,
    SKIP_SINCE(15),
    SKIP_SINCE(15),
    SKIP_SINCE(15),
    SKIP_SINCE(15),
    /* err_stackitem: exc_value */
    SKIP_SINCE(15),
    /* interpreter_frame: size, previous, executable, instr_ptr, localsplus, owner, stackpointer,
     * tlbc_index */
    SIZE(frame.size, OBJECT_MAX),
    AT(frame.previous, 8),
    AT_START(frame.code, 8),
    AT(frame.instr, 8),
    AT(frame.localsplus, 1), /* behind the fixed part, whose size may end there */
    AT(frame.owner, 1),
    SKIP_SINCE(14),
    OR_NONE(frame.tlbc_index, 4),
    /* code_object: size, filename, name, qualname, linetable, firstlineno, argcount,
     * localsplusnames, localspluskinds, co_code_adaptive, co_tlbc */
    SIZE(code.size, OBJECT_MAX),
    AT(code.filename, 8),
    AT(code.name, 8),
    AT(code.qualname, 8),
    AT(code.lines, 8),
    AT(code.first_line, 4),
    AT(code.argcount, 4),
    AT(code.plus_names, 8),
    AT(code.plus_kinds, 8),
    AT(code.bytecode, 1),
    OR_NONE(code.tlbc, 8),
    /* pyobject: size, ob_type */
    SKIP_SIZE(13),
    AT(object.type, 8),
    /* type_object: size, tp_name, tp_repr, tp_flags, tp_basicsize, tp_dictoffset */
    SKIP_SIZE(13),
    AT(object.type_name, 8),
    SKIP,
    AT(object.type_flags, 8),
    AT_SINCE(object.type_basicsize, 8, 15),
    AT_SINCE(object.type_dictoffset, 8, 15),
    /* heap_type_object: size, ht_cached_keys */
    SKIP_SIZE(15),
    AT_SINCE(object.cached_keys, 8, 15),
    /* tuple, list: size, ob_item, ob_size */
    SKIP_SIZE(13),
    AT(object.tuple_items, 8),
    SKIP,
    SKIP_SIZE(13),
    AT(object.list_items, 8),
    SKIP,
    /* set_object: size, used, table, mask */
    SKIP_SIZE(14),
    AT_SINCE(object.set_used, 8, 14),
    AT_SINCE(object.set_table, 8, 14),
    AT_SINCE(object.set_mask, 8, 14),
    /* dict_object: size, ma_keys, ma_values */
    SIZE(object.dict_size, OBJECT_MAX),
    AT(object.dict_keys, 8),
    AT(object.dict_values, 8),
    /* float: size, ob_fval; long: size, lv_tag, ob_digit */
    SKIP_SIZE(13),
    AT(object.float_value, 8),
    SKIP_SIZE(13),
    SKIP,
    AT(object.int_digits, 4),
    /* bytes_object: size, ob_size, ob_sval */
    SKIP_SIZE(13),
    AT(object.bytes_size, 8),
    AT(object.bytes_data, 1),
    /* unicode_object: size, state, length, asciiobject_size, compactunicodeobject_size */
    SKIP_SIZE(13),
    AT(object.text_state, 4),
    AT(object.text_length, 8),
    SIZE(object.text_ascii, OBJECT_MAX),
    {offsetof(struct pst_layout, object.text_compact), 0, 15, OBJECT_MAX, false},
};

static uint64_t word(const unsigned char *data, size_t offset)
{
    uint64_t value;
    memcpy(&value, data + offset, sizeof(value));
    return value;
}

static void put(struct pst_layout *layout, const struct field *field, uint64_t value)
{
    uint32_t narrow = (uint32_t)value;
    if (field->target != NOWHERE)
        memcpy((char *)layout + field->target, &narrow, sizeof(narrow));
}

static enum pst_verdict parse_fields(const unsigned char *data, size_t len, unsigned minor,
                                     struct pst_layout *layout)
{
    size_t offset = HEADER_BYTES;
    uint64_t group_size = STRUCT_MAX;

    for (size_t i = 0; i < PST_ARRAY_SIZE(fields); i++) {
        const struct field *field = &fields[i];
        if (field->since > minor)
            continue;
        if (offset + 8 > len)
            return PST_V_LAYOUT;
        uint64_t value = word(data, offset);
        offset += 8;
        if (field->width == 0) {
            if (value == 0 || value > field->max)
                return PST_V_LAYOUT;
            group_size = value;
        } else if (field->target != NOWHERE) {
            /* 16 for datastack_chunk covers datastack_top, which always follows it. */
            unsigned align = field->width > 8 ? 8 : field->width;
            if (value % align != 0 || value > group_size || value + field->width > group_size ||
                (value == 0 && !field->may_be_0))
                return PST_V_LAYOUT;
        }
        put(layout, field, value);
    }
    return PST_V_OK;
}

enum pst_verdict pst_debug_offsets_parse(const unsigned char *data, size_t len, uint32_t hexversion,
                                         struct pst_layout *layout)
{
    if (len < HEADER_BYTES || memcmp(data, "xdebugpy", 8) != 0)
        return PST_V_LAYOUT;
    uint64_t version = word(data, 8);
    uint64_t free_threaded = word(data, 16);
    if (version > UINT32_MAX || version >> 24 != 3 || free_threaded > 1)
        return PST_V_LAYOUT;
    if (hexversion != 0 && version >> 16 != hexversion >> 16)
        return PST_V_LAYOUT;
    unsigned minor = (version >> 16) & 0xff;
    const struct pst_layout *newest = pst_layout_newest(free_threaded == 1);
    const struct pst_layout *row = pst_layout_row((uint32_t)version, free_threaded == 1);
    if (!row && newest && version >> 16 > newest->version)
        row = newest;
    if (!row || !row->self_described)
        return PST_V_VERSION;
    /* The table changed its fields between pre-releases: only a final one can be trusted. */
    if (!pst_layout_is_final((uint32_t)version))
        return PST_V_PRE_RELEASE;
    *layout = *row;
    layout->unverified = row->version != version >> 16;
    enum pst_verdict verdict = parse_fields(data, len, minor, layout);
    layout->object.text_hash = layout->object.text_length + 8;
    layout->code.units = layout->object.bytes_size;   /* both are ob_size of a variable object */
    layout->code.executors = layout->code.lines + 16; /* behind the list of weak references */
    return verdict;
}
