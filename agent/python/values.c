/* Variables of one frame: their names out of its code object, their slots in the frame, their
 * values by show.c. All reads of one value, the frame's identity, slot and types among them, go
 * over one trail and count only when the trail reads the same again. */
#include "python/values.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "namespace.h"
#include "show.h"
#include "text.h"

enum {
    TRIES = 3,   /* of a value that changes */
    ROUNDS = 16, /* a trail is compared so often, see unchanged() */
    TEXT_SLACK = 64,
    FLAG_OPTIMIZED = 0x01, /* variables have slots */
    FLAG_VARARGS = 0x04,
    FLAG_VARKEYWORDS = 0x08,
    KIND_CELL = 0x40,
    KIND_FREE = 0x80,
};

/* A variable before its value is read. */
struct slot {
    uint64_t address;
    char *name;
    bool cell, argument;
    const struct pst_binding *binding; /* NULL: the slot is in the frame */
};

struct reading {
    struct pst_python *python;
    struct pst_show value;
    struct pst_raw_frame frame;
    bool leaf;
    struct slot *slots;
    size_t slot_count;
    struct pst_namespace names;
    uint64_t random; /* for pauses */
};

void pst_python_keep_places(struct pst_python *python)
{
    free(python->out_places);
    python->out_places = calloc((size_t)python->out_frame_cap + 1, sizeof(*python->out_places));
    python->keep_places = python->out_places != NULL;
    if (python->second)
        pst_python_keep_places(python->second);
}

void pst_py_variables_done(struct pst_py_variables *variables)
{
    for (size_t i = 0; i < variables->count; i++) {
        free(variables->items[i].name);
        free(variables->items[i].text);
    }
    free(variables->items);
    *variables = (struct pst_py_variables){0};
}

/* Whether the frame still is the one of the sample. All that tells goes into the trail. */
static bool frame_stands(struct reading *reading)
{
    const struct pst_layout *l = reading->value.layout;
    const struct pst_raw_frame *frame = &reading->frame;
    struct pst_show *value = &reading->value;
    uint64_t code = pst_show_word(value, frame->address + l->frame.code);
    uint64_t previous = pst_show_word(value, frame->address + l->frame.previous);

    if (value->failed || pst_show_untagged(value, code) != frame->code ||
        previous != frame->previous)
        return false;
    if (reading->leaf)
        return true;
    size_t width = l->frames_kind == PST_FRAMES_OBJECT ? 4 : 8;
    uint64_t instr = 0;
    const unsigned char *bytes = pst_show_read(value, frame->address + l->frame.instr, width);
    if (!bytes)
        return false;
    memcpy(&instr, bytes, width);
    return instr == frame->instr;
}

/* A loop that makes a new object each time round uses two places in turn: a slot that names the
 * same place at two moments may have named another one between them, and what was read there is
 * then of a dead object. So the comparison is repeated, at intervals that no loop can follow. */
static bool unchanged(struct reading *reading)
{
    int rounds = reading->value.options->still ? 1 : ROUNDS;

    for (int i = 0; i < rounds; i++) {
        if (!pst_trail_unchanged(reading->value.trail))
            return false;
        reading->random = reading->random * 6364136223846793005u + 1442695040888963407u;
        for (volatile uint64_t spin = reading->random >> 52; spin > 0 && rounds > 1; spin--)
            continue;
    }
    return true;
}

static uint64_t small_int(struct pst_show *value, uint64_t address)
{
    const unsigned char *bytes = pst_show_read(value, address, 4);

    return bytes ? pst_half(bytes, 0) : 0;
}

/* Number of leading variables that are arguments. */
static uint64_t argument_count(struct reading *reading)
{
    const struct pst_layout *l = reading->value.layout;
    struct pst_show *value = &reading->value;
    uint64_t code = reading->frame.code;
    uint64_t count = small_int(value, code + l->code.argcount);
    uint64_t flags = small_int(value, code + l->code.flags);

    if (l->code.kwonly)
        count += small_int(value, code + l->code.kwonly);
    return count + !!(flags & FLAG_VARARGS) + !!(flags & FLAG_VARKEYWORDS);
}

/* NULL when it cannot be read or there is no memory. */
static char *read_name(struct reading *reading, uint64_t address)
{
    struct pst_show *value = &reading->value;
    struct pst_show_units text;
    struct pst_buf name;

    if (!pst_memory_plausible(address) || !pst_show_units(value, address, &text) ||
        text.length > PST_MAX_STRING_BYTES)
        return NULL;
    const unsigned char *units = pst_show_read(value, text.data, (size_t)text.length * text.width);
    pst_buf_init(&name, PST_MAX_STRING_BYTES);
    if (!units || pst_text_encode(units, (size_t)text.length, text.width, &name) < 0) {
        pst_buf_done(&name);
        return NULL;
    }
    return pst_buf_steal(&name, NULL);
}

static bool add_slot(struct reading *reading, uint64_t name, bool cell, bool argument)
{
    const struct pst_layout *l = reading->value.layout;
    uint64_t offset = l->frame.localsplus + reading->slot_count * 8ull;
    char *text = read_name(reading, name);

    if (!text)
        return false;
    reading->slots[reading->slot_count++] =
        (struct slot){reading->frame.address + offset, text, cell, argument, NULL};
    return true;
}

/* 3.11+: one tuple of names, and a byte of kind for each. */
static bool read_plus(struct reading *reading, uint64_t arguments)
{
    const struct pst_layout *l = reading->value.layout;
    struct pst_show *value = &reading->value;
    uint64_t code = reading->frame.code;
    uint64_t count = small_int(value, code + l->code.plus_count);
    uint64_t names = pst_show_word(value, code + l->code.plus_names);
    uint64_t kinds = pst_show_word(value, code + l->code.plus_kinds);

    if (count > PST_MAX_VARIABLES)
        count = PST_MAX_VARIABLES;
    if (count == 0)
        return !value->failed;
    const unsigned char *name = pst_show_read(value, names + l->object.tuple_items, count * 8);
    const unsigned char *kind = pst_show_read(value, kinds + l->object.bytes_data, count);
    for (uint64_t i = 0; name && kind && i < count; i++) {
        if (!add_slot(reading, pst_word(name, (uint32_t)i * 8), kind[i] & (KIND_CELL | KIND_FREE),
                      i < arguments))
            return false;
    }
    return name && kind;
}

/* A cell variable that is an argument has an empty slot among the locals. */
static bool is_argument(const struct reading *reading, const char *name, uint64_t arguments)
{
    for (size_t i = 0; i < arguments && i < reading->slot_count; i++) {
        if (strcmp(reading->slots[i].name, name) == 0)
            return true;
    }
    return false;
}

static bool read_tuple(struct reading *reading, uint64_t tuple, bool cells, uint64_t arguments)
{
    const struct pst_layout *l = reading->value.layout;
    struct pst_show *value = &reading->value;
    uint64_t count = pst_show_word(value, tuple + l->object.bytes_size);

    if (value->failed)
        return false;
    if (count > PST_MAX_VARIABLES - reading->slot_count)
        count = PST_MAX_VARIABLES - reading->slot_count;
    if (count == 0)
        return true;
    const unsigned char *names = pst_show_read(value, tuple + l->object.tuple_items, count * 8);
    for (uint64_t i = 0; names && i < count; i++) {
        if (!add_slot(reading, pst_word(names, (uint32_t)i * 8), cells, !cells && i < arguments))
            return false;
        struct slot *slot = &reading->slots[reading->slot_count - 1];
        if (cells)
            slot->argument = is_argument(reading, slot->name, arguments);
    }
    return names != NULL;
}

/* <= 3.10: locals, then cells, then free variables. */
static bool read_tuples(struct reading *reading, uint64_t arguments)
{
    const struct pst_layout *l = reading->value.layout;
    const uint32_t tuples[] = {l->code.varnames, l->code.cellvars, l->code.freevars};

    for (size_t i = 0; i < PST_ARRAY_SIZE(tuples); i++) {
        uint64_t tuple = pst_show_word(&reading->value, reading->frame.code + tuples[i]);
        if (!read_tuple(reading, tuple, i > 0, i < 2 ? arguments : 0))
            return false;
    }
    return true;
}

static void free_slots(struct reading *reading)
{
    for (size_t i = 0; i < reading->slot_count; i++)
        free(reading->slots[i].name);
    reading->slot_count = 0;
}

static bool read_slots(struct reading *reading)
{
    for (int i = 0; i < TRIES; i++) {
        pst_trail_reset(reading->value.trail);
        pst_show_begin(&reading->value);
        free_slots(reading);
        if (!frame_stands(reading))
            continue;
        uint64_t arguments = argument_count(reading);
        bool whole = reading->value.layout->code.plus_count ? read_plus(reading, arguments)
                                                            : read_tuples(reading, arguments);
        if (whole && unchanged(reading))
            return true;
    }
    free_slots(reading);
    return false;
}

/* Modules and class bodies: what a function has in slots they have in a dict. */
static int read_names(struct reading *reading)
{
    const struct pst_layout *l = reading->value.layout;
    struct pst_show *value = &reading->value;

    pst_trail_reset(value->trail);
    pst_show_begin(value);
    uint64_t flags = small_int(value, reading->frame.code + l->code.flags);
    uint64_t dict = pst_show_word(value, reading->frame.address + l->frame.names);
    if (l->frame.names == 0 || (flags & FLAG_OPTIMIZED) || !frame_stands(reading))
        return 0;
    int error = pst_namespace_list(reading->python, value, dict, &reading->names);
    for (size_t i = 0; i < reading->names.count && reading->slot_count < PST_MAX_VARIABLES; i++) {
        const struct pst_binding *binding = &reading->names.items[i];
        struct slot *slot = &reading->slots[reading->slot_count];
        *slot = (struct slot){binding->value_at, strdup(binding->name), false, false, binding};
        if (!slot->name)
            return -ENOMEM;
        reading->slot_count++;
    }
    return error == -ENOMEM ? error : 0;
}

/* The object behind a slot; 0: the variable has no value now. */
static uint64_t slot_object(struct reading *reading, const struct slot *slot)
{
    struct pst_show *value = &reading->value;
    const struct pst_layout *l = value->layout;
    uint64_t reference = pst_show_word(value, slot->address);
    struct pst_show_type type;

    if (pst_show_untagged(value, reference) == 0)
        return 0;
    /* A cell is made only when the function begins: until then the slot holds the argument. */
    if (!slot->cell || !pst_memory_plausible(pst_show_untagged(value, reference)) ||
        !pst_show_type(value, pst_show_untagged(value, reference), &type) || !type.builtin ||
        strcmp(type.name, "cell") != 0)
        return reference;
    return pst_show_word(value, pst_show_untagged(value, reference) + l->object.cell_ref);
}

static bool is_secret(const struct pst_show *value, const char *name)
{
    const struct pst_py_value_options *options = value->options;

    return options->secret && options->secret(options->context, pst_str(name));
}

/* One try. NULL: it changed; an empty text: no value. */
static const char *read_value(struct reading *reading, const struct slot *slot,
                              uint64_t *ret_address)
{
    struct pst_show *value = &reading->value;

    pst_trail_reset(value->trail);
    pst_show_begin(value);
    if (!frame_stands(reading) ||
        (slot->binding && !pst_namespace_stands(value, &reading->names, slot->binding)))
        return NULL;
    uint64_t object = slot_object(reading, slot);
    bool secret = is_secret(value, slot->name);
    if (object && !secret && !value->failed)
        pst_show_reference(value, object);
    bool failed = value->failed;
    if (!unchanged(reading))
        return NULL;
    *ret_address = pst_show_untagged(value, object);
    if (failed)
        return "<unreadable>";
    if (object == 0)
        return "";
    if (secret)
        return "<redacted>";
    pst_show_end(value);
    return value->text.data ? value->text.data : "<unreadable>";
}

static int put_variable(struct pst_py_variables *ret, const char *name, const char *text,
                        uint64_t address, bool argument)
{
    struct pst_py_variable variable = {strdup(name), strdup(text), address, argument};

    if (!variable.name || !variable.text) {
        free(variable.name);
        free(variable.text);
        return -ENOMEM;
    }
    ret->items[ret->count++] = variable;
    return 0;
}

/* 0, or -ENOMEM; a variable without a value adds nothing. */
static int add_variable(struct reading *reading, const struct slot *slot,
                        struct pst_py_variables *ret)
{
    uint64_t address = 0;
    const char *text = NULL;

    for (int i = 0; i < TRIES && !text; i++)
        text = read_value(reading, slot, &address);
    if (!text)
        address = 0, text = "<changed while read>";
    if (text[0] == 0)
        return 0;
    return put_variable(ret, slot->name, text, address, slot->argument);
}

/* What a module defines is told by name. */
static int add_defined(struct reading *reading, struct pst_py_variables *ret)
{
    for (size_t i = 0; i < PST_DEFINED_KINDS; i++) {
        const struct pst_buf *text = &reading->names.defined[i].text;
        if (text->len == 0)
            continue;
        char *copy = strndup(text->data, text->len);
        int error =
            copy ? put_variable(ret, reading->names.defined[i].name, copy, 0, false) : -ENOMEM;
        free(copy);
        if (error < 0)
            return error;
    }
    return 0;
}

static int read_variables(struct reading *reading, struct pst_py_variables *ret)
{
    if (!read_slots(reading)) {
        ret->changed = true;
        return 0;
    }
    int named = read_names(reading);
    if (named < 0)
        return named;
    ret->items = calloc(reading->slot_count + PST_DEFINED_KINDS, sizeof(*ret->items));
    if (!ret->items)
        return -ENOMEM;
    for (int arguments = 1; arguments >= 0; arguments--) {
        for (size_t i = 0; i < reading->slot_count; i++) {
            if (reading->slots[i].argument != (arguments == 1))
                continue;
            int error = add_variable(reading, &reading->slots[i], ret);
            if (error < 0)
                return error;
        }
    }
    return add_defined(reading, ret);
}

int pst_python_variables(struct pst_python *python, size_t index, bool leaf,
                         const struct pst_py_value_options *options, struct pst_py_variables *ret)
{
    struct reading reading = {.python = python, .leaf = leaf, .random = pst_clock_monotonic_ns()};

    *ret = (struct pst_py_variables){0};
    if (python->second && index >= python->out_frame_count)
        return pst_python_variables(python->second, index - python->out_frame_count, leaf, options,
                                    ret);
    if (!python->keep_places || index >= python->out_frame_count ||
        options->chars > PST_MAX_VALUE_CHARS)
        return -EINVAL;
    if (!python->layout.frame.localsplus || !python->layout.object.tuple_items)
        return -ENOTSUP;
    reading.frame = python->out_places[index];
    reading.value.layout = &python->layout;
    reading.value.options = options;
    if (!python->trail)
        python->trail = pst_trail_new(python->memory);
    reading.value.trail = python->trail;
    reading.slots = calloc(PST_MAX_VARIABLES, sizeof(*reading.slots));
    pst_buf_init(&reading.value.text, options->chars * 4 + TEXT_SLACK);
    int error = reading.value.trail && reading.slots ? read_variables(&reading, ret) : -ENOMEM;
    free_slots(&reading);
    pst_namespace_done(&reading.names);
    free(reading.slots);
    pst_buf_done(&reading.value.text);
    if (error < 0)
        pst_py_variables_done(ret);
    return error;
}
