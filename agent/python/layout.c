/* Chooses and proves a layout. Owns the table; reads the target only for its debug offsets. */
#include "layout.h"

#include <string.h>

#include "base/cleanup.h"

#define PST_LAYOUT(...) {__VA_ARGS__},
static const struct pst_layout rows[] = {
#include "layouts.def"
};
#undef PST_LAYOUT

enum { DEBUG_OFFSETS_BYTES = 888 }; /* 3.15; older ones are shorter, what follows them is ignored */

const struct pst_layout *pst_layout_row(uint32_t hexversion, bool free_threaded)
{
    uint32_t micro = hexversion >> 8 & 0xff;

    for (size_t i = 0; i < PST_ARRAY_SIZE(rows); i++) {
        if (rows[i].version == hexversion >> 16 && rows[i].free_threaded == free_threaded &&
            (rows[i].before_micro == 0 || micro < rows[i].before_micro))
            return &rows[i];
    }
    return NULL;
}

const struct pst_layout *pst_layout_newest(bool free_threaded)
{
    const struct pst_layout *newest = NULL;

    for (size_t i = 0; i < PST_ARRAY_SIZE(rows); i++) {
        if (rows[i].free_threaded == free_threaded &&
            (!newest || rows[i].version > newest->version))
            newest = &rows[i];
    }
    return newest;
}

bool pst_layout_is_final(uint32_t hexversion)
{
    return (hexversion & 0xf0) == 0xf0;
}

bool pst_python_version_verified(const struct pst_runtime *runtime)
{
    const struct pst_layout *row = pst_layout_row(runtime->hexversion, runtime->free_threaded);

    return row && !row->unverified && pst_layout_is_final(runtime->hexversion);
}

enum pst_verdict pst_layout_load(struct pst_memory *memory, const struct pst_runtime *runtime,
                                 struct pst_layout *ret)
{
    unsigned char table[DEBUG_OFFSETS_BYTES];

    if (runtime->hexversion >> 16 < 0x030d && runtime->hexversion != 0) {
        const struct pst_layout *row = pst_layout_row(runtime->hexversion, false);
        if (!row)
            return PST_V_VERSION;
        if (row->runtime.interpreters_head ? !runtime->runtime : !runtime->interp_head)
            return PST_V_NO_RUNTIME;
        *ret = *row;
        ret->text_width = runtime->unicode_width;
        ret->unverified |= !pst_layout_is_final(runtime->hexversion);
        return PST_V_OK;
    }
    if (pst_memory_read(memory, runtime->runtime, table, sizeof(table)) < 0)
        return PST_V_UNMAPPED;
    return pst_debug_offsets_parse(table, sizeof(table), runtime->hexversion, ret);
}

struct span {
    uint32_t start, end;
};

static void cover(struct span *span, uint32_t offset, uint32_t width)
{
    if (offset < span->start)
        span->start = offset;
    if (offset + width > span->end)
        span->end = offset + width;
}

static void cover_present(struct span *span, uint32_t offset, uint32_t width)
{
    if (offset != 0)
        cover(span, offset, width);
}

static struct span span_of_runtime(const struct pst_layout *l)
{
    struct span span = {UINT32_MAX, 0};
    cover_present(&span, l->runtime.interpreters_head, 8);
    cover_present(&span, l->runtime.gil_holder, 8);
    cover_present(&span, l->runtime.gil_locked, 4);
    return span.end ? span : (struct span){0, 0};
}

static struct span span_of_interp(const struct pst_layout *l)
{
    struct span span = {UINT32_MAX, 0};
    cover(&span, l->interp.next, 8);
    cover_present(&span, l->interp.id, 8);
    cover(&span, l->interp.threads_head, 8);
    cover_present(&span, l->interp.gil_holder, 8);
    cover_present(&span, l->interp.gil_locked, 4);
    cover_present(&span, l->interp.code_generation, 8);
    if (l->free_threaded)
        cover_present(&span, l->interp.gil_enabled, 4);
    return span;
}

static uint32_t end_of_tstate(const struct pst_layout *l)
{
    struct span span = {0, 0};
    cover(&span, l->tstate.next, 8);
    cover(&span, l->tstate.interp, 8);
    cover(&span, l->tstate.frame, 8);
    cover(&span, l->tstate.thread_id, 8);
    cover_present(&span, l->tstate.base_frame, 8);
    cover_present(&span, l->tstate.native_thread_id, 8);
    cover_present(&span, l->tstate.id, 8);
    cover_present(&span, l->tstate.chunk, 16);
    cover_present(&span, l->tstate.attached, 4);
    return span.end;
}

static uint32_t end_of_frame(const struct pst_layout *l)
{
    struct span span = {0, 0};
    cover(&span, l->frame.code, 8);
    cover(&span, l->frame.previous, 8);
    cover(&span, l->frame.instr, 8);
    cover_present(&span, l->frame.owner, 1);
    cover_present(&span, l->frame.entry, 1);
    cover_present(&span, l->frame.generator, 8);
    cover_present(&span, l->frame.running, 1);
    cover_present(&span, l->frame.stack_kept, 8);
    cover_present(&span, l->frame.stacktop, 4);
    if (l->free_threaded)
        cover_present(&span, l->frame.tlbc_index, 4);
    return span.end;
}

static uint32_t end_of_code(const struct pst_layout *l)
{
    struct span span = {0, 16};
    cover_present(&span, l->code.argcount, 4);
    cover_present(&span, l->code.flags, 4);
    cover_present(&span, l->code.first_line, 4);
    cover_present(&span, l->code.filename, 8);
    cover_present(&span, l->code.name, 8);
    cover_present(&span, l->code.qualname, 8);
    cover_present(&span, l->code.lines, 8);
    cover_present(&span, l->code.units, 8);
    cover_present(&span, l->code.plus_count, 4);
    cover_present(&span, l->code.version, 4);
    cover_present(&span, l->object.type, 8);
    if (!l->code.units) /* the bytecode is an object of its own */
        cover_present(&span, l->code.bytecode, 8);
    if (l->free_threaded)
        cover_present(&span, l->code.tlbc, 8);
    return span.end;
}

enum pst_verdict pst_layout_check(const struct pst_layout *l, struct pst_spans *ret)
{
    struct span runtime = span_of_runtime(l);
    struct span interp = span_of_interp(l);

    *ret = (struct pst_spans){
        .runtime_start = runtime.start,
        .runtime_len = runtime.end - runtime.start,
        .interp_start = interp.start,
        .interp_len = interp.end - interp.start,
        .tstate_len = end_of_tstate(l),
        .frame_len = end_of_frame(l),
        .code_len = end_of_code(l),
    };
    if (ret->runtime_len > PST_SPAN_RUNTIME || ret->interp_len > PST_SPAN_INTERP ||
        ret->tstate_len > PST_SPAN_TSTATE || ret->frame_len > PST_SPAN_FRAME ||
        ret->code_len > PST_SPAN_CODE)
        return PST_V_LAYOUT;
    /* A frame must be walkable inside a chunk: its fields lie in what CPython says is its size. */
    if (l->frames_kind != PST_FRAMES_OBJECT && ret->frame_len > l->frame.size)
        return PST_V_LAYOUT;
    if (l->root_kind == PST_ROOT_RUNNING && l->frame.running == 0 && l->frame.stack_kept == 0)
        return PST_V_LAYOUT;
    if (l->root_kind == PST_ROOT_BASE_FRAME && l->tstate.base_frame == 0)
        return PST_V_LAYOUT;
    return PST_V_OK;
}
