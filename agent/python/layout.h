/* What a CPython version looks like in memory: offsets, and the few ways in which versions differ
 * in kind. Rows stand in layouts.def; 3.13 and later describe themselves (debug_offsets.c) and
 * their rows carry only what they leave out. After pst_layout_check a layout is trusted by the hot
 * path. */
#ifndef PST_PYTHON_LAYOUT_H
#define PST_PYTHON_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "python/python.h"

enum pst_frames_kind {
    PST_FRAMES_OBJECT, /* <= 3.10: frame objects linked by f_back */
    PST_FRAMES_CFRAME, /* 3.11, 3.12: frames on a data stack, reached through a C stack record */
    PST_FRAMES_STACK,  /* 3.13+: frames on a data stack, reached from the thread state */
};

enum pst_lines_kind {
    PST_LINES_LNOTAB_UNSIGNED, /* <= 3.5 */
    PST_LINES_LNOTAB_SIGNED,   /* 3.6-3.9 */
    PST_LINES_RANGES,          /* 3.10, PEP 626 */
    PST_LINES_LOCATIONS,       /* 3.11+, PEP 657 */
};

/* What the oldest node of a whole chain is. */
enum pst_root_kind {
    PST_ROOT_RUNNING,     /* <= 3.10: a frame that runs and has no caller */
    PST_ROOT_STACK_START, /* 3.11: the first frame of the data stack */
    PST_ROOT_SHIM,        /* 3.12-3.14: a C stack shim without previous */
    PST_ROOT_BASE_FRAME,  /* 3.15: the thread state names it */
};

enum pst_text_kind {
    PST_TEXT_BYTES,  /* 2.x: str is bytes, unicode has units of a fixed width behind a pointer */
    PST_TEXT_WIDE,   /* 3.0-3.2: str is 2.x's unicode */
    PST_TEXT_PEP393, /* 3.3+: kind in bits 2-4 of the state word */
    PST_TEXT_PEP393_SPLIT /* free-threaded 3.14+: kind in bits 0-2 of the second byte */
};

enum pst_dict_kind {
    PST_DICT_TABLE, /* <= 3.2: open table of hash, key, value; dict_keys is where its mask stands */
    PST_DICT_SLOTS, /* 3.3-3.5: keys object with slots */
    PST_DICT_ENTRIES, /* 3.6-3.10: index area of 1, 2, 4 or 8 bytes each, then entries */
    PST_DICT_LOG2,    /* 3.11+: log2 sizes, unicode keys have 16-byte entries */
};

enum pst_int_kind {
    PST_INT_MACHINE, /* 2.7's int: one machine word where others have their size */
    PST_INT_SIZED,   /* <= 3.11: signed number of digits */
    PST_INT_TAGGED,  /* 3.12+: number of digits above three bits, the lower two being the sign */
};

/* Offsets in bytes. 0 means absent for every field whose real offset is never 0. */
struct pst_layout {
    uint16_t version;     /* 0x030b for 3.11 */
    uint8_t before_micro; /* a row for patch releases below this; 0: for all */
    bool free_threaded;
    bool unverified; /* proven on no build of this version: kept only where stacks come out whole */
    uint8_t text_width;  /* bytes of a unit of unicode, <= 3.2: the target's; 0 unknown */
    bool self_described; /* 3.13+: completed from the target's debug offsets */
    uint8_t frames_kind, lines_kind, root_kind, text_kind, dict_kind, int_kind;
    uint8_t shim_owner;   /* frames owned by this or more stand for C; 0: none */
    bool tagged;          /* frame references carry tag bits */
    bool clears_popped;   /* a popped frame's code reference is NULL */
    bool word_lasti;      /* f_lasti counts code units */
    bool frame_state;     /* 3.10: the running field is a state: 0 executing, 2 unwinding */
    bool header_in_place; /* 3.13+: inline values of an instance start with a 4-byte header */

    struct {
        uint32_t size, interpreters_head, gil_holder, gil_locked;
    } runtime;
    struct {
        uint32_t size, next, id, threads_head, modules, gil_holder, gil_locked, code_generation,
            tlbc_generation;
        uint32_t gil_enabled; /* free-threaded only: whether there is a GIL at all */
    } interp;
    struct {
        uint32_t size, next, interp, frame, base_frame, thread_id, native_thread_id, id, chunk,
            attached;
    } tstate;
    uint32_t cframe_current;
    struct {
        uint32_t size, code, previous, instr, owner, generator, tlbc_index, running, stack_kept,
            stacktop, localsplus;
        /* running: a byte, 3.4-3.10; stack_kept: a pointer, NULL while the frame runs, before that;
         * stacktop: an int, -1 while the frame or C code that it called runs, 3.11-3.13. */
        uint32_t names;  /* the dict of a module's or a class body's variables */
        uint32_t object; /* 3.11+: its frame object, NULL while nobody has asked for one */
        uint32_t entry;  /* 3.11: a byte that marks what a C call entered; later shims tell */
    } frame;
    struct {
        uint32_t size, argcount, flags, first_line, filename, name, qualname, lines, bytecode,
            units, version, tlbc;
        /* Names of variables: a tuple and a byte of kind for each (3.11+), or three tuples. */
        uint32_t executors; /* 3.13+: what its JIT has compiled of it */
        uint32_t kwonly, plus_count, plus_names, plus_kinds, varnames, cellvars, freevars;
    } code;
    struct {
        uint32_t type; /* ob_type */
        uint32_t type_name, type_flags, type_basicsize, type_dictoffset;
        uint32_t cached_keys; /* ht_cached_keys */
        uint32_t text_length, text_state, text_hash, text_ascii, text_compact, text_legacy;
        uint32_t bytes_size, bytes_data;
        uint32_t dict_keys, dict_values, dict_size;
        uint32_t module_dict;
        uint32_t tuple_items, list_items; /* items in place; pointer to items */
        uint32_t set_used, set_mask, set_table;
        uint32_t float_value, int_digits, cell_ref;
        uint32_t managed_dict; /* bytes before the object, 3.11+ */
        /* 3.11, whose code objects have no version and whose frames begin with their function. */
        uint32_t function_code, function_version;
    } object;
};

/* Bytes of each structure that a sample copies: the spans that hold the fields above. */
struct pst_spans {
    uint32_t runtime_start, runtime_len;
    uint32_t interp_start, interp_len;
    uint32_t tstate_len;
    uint32_t frame_len;
    uint32_t code_len;
};

enum {
    PST_SPAN_RUNTIME = 2048,
    PST_SPAN_INTERP = 2048,
    PST_SPAN_TSTATE = 512,
    PST_SPAN_FRAME = 160,
    PST_SPAN_CODE = 384,
};

/* The row for a version; NULL when there is none. */
const struct pst_layout *pst_layout_row(uint32_t hexversion, bool free_threaded);
/* The row of the newest version, which a newer one that describes itself is tried with. */
const struct pst_layout *pst_layout_newest(bool free_threaded);
/* False for alphas, betas and release candidates. */
bool pst_layout_is_final(uint32_t hexversion);

/* Fills a layout for the runtime: the row, completed from the target's own description for 3.13+.
 * PST_V_VERSION without a row, PST_V_LAYOUT when the description cannot be, PST_V_PRE_RELEASE when
 * it is that of a version whose description still changed. */
enum pst_verdict pst_layout_load(struct pst_memory *memory, const struct pst_runtime *runtime,
                                 struct pst_layout *ret);

/* Reads 3.13+ _Py_DebugOffsets out of its bytes into the layout; hexversion is what was detected
 * (0: take the table's). A minor without a row is tried with the newest one's, unverified. Parses
 * hostile bytes. */
enum pst_verdict pst_debug_offsets_parse(const unsigned char *data, size_t len, uint32_t hexversion,
                                         struct pst_layout *layout);

/* Computes the spans and proves that every field of the layout lies in its span. */
enum pst_verdict pst_layout_check(const struct pst_layout *layout, struct pst_spans *ret);

#endif
