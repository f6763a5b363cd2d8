/* What the first argument of a code object is called, and where a frame keeps it. Asked only where
 * versions have no qualified names. */
#include "base/limits.h"
#include "codes.h"
#include "text.h"

enum {
    VARIABLES_MAX = 4096,
    CELLS_MAX = 64,
};

static uint64_t word(struct pst_memory *memory, uint64_t address)
{
    uint64_t value = 0;

    if (!pst_memory_plausible(address & ~UINT64_C(7)) ||
        pst_memory_u64(memory, address, &value) < 0)
        return 0;
    return value;
}

static uint8_t kind_of(struct pst_memory *memory, const struct pst_layout *l, uint64_t name)
{
    struct pst_buf text;
    uint8_t kind = PST_FIRST_OTHER;

    pst_buf_init(&text, PST_MAX_STRING_BYTES);
    if (pst_text_read(memory, l, name, &text) == 0) {
        if (pst_str_eq(pst_buf_view(&text), PST_STR("self")))
            kind = PST_FIRST_SELF;
        else if (pst_str_eq(pst_buf_view(&text), PST_STR("cls")))
            kind = PST_FIRST_CLS;
    }
    pst_buf_done(&text);
    return kind;
}

/* An argument that inner functions use is moved into a cell, which lies behind all variables. */
static void find_cell(struct pst_memory *memory, const struct pst_layout *l, uint64_t cells,
                      uint64_t name, struct pst_first_argument *first)
{
    uint64_t names[CELLS_MAX];
    uint64_t count = word(memory, cells + l->object.bytes_size);

    if (count == 0 || count > CELLS_MAX ||
        pst_memory_read(memory, cells + l->object.tuple_items, names, count * 8) < 0)
        return;
    for (uint64_t i = 0; i < count; i++) {
        if (names[i] == name) { /* names are interned */
            first->cell = true;
            first->slot = (uint16_t)(first->slot + i);
        }
    }
}

void pst_first_argument_read(struct pst_memory *memory, const struct pst_layout *l,
                             const struct pst_code *code, struct pst_first_argument *ret)
{
    *ret = (struct pst_first_argument){.kind = PST_FIRST_OTHER};
    if (!l->code.varnames || code->identity.argcount == 0)
        return;
    uint64_t names = word(memory, code->address + l->code.varnames);
    uint64_t count = word(memory, names + l->object.bytes_size);
    uint64_t name = word(memory, names + l->object.tuple_items);
    if (count == 0 || count > VARIABLES_MAX || name == 0)
        return;
    ret->kind = kind_of(memory, l, name);
    if (ret->kind == PST_FIRST_OTHER)
        return;
    struct pst_first_argument celled = {.kind = ret->kind, .slot = (uint16_t)count};
    find_cell(memory, l, word(memory, code->address + l->code.cellvars), name, &celled);
    if (celled.cell)
        *ret = celled;
}
