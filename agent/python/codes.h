/* Code objects of a target: read once, told from others at the same address, named by dense ids. */
#ifndef PST_PYTHON_CODES_H
#define PST_PYTHON_CODES_H

#include <stdbool.h>
#include <stdint.h>

#include "layout.h"
#include "lines.h"
#include "publics.h"

struct pst_codes;

/* What makes a code object another one than the last that lay at its address. */
struct pst_code_identity {
    uint64_t filename, name, qualname, lines, bytecode;
    uint64_t name_length, name_hash; /* where the version numbers no code objects */
    uint32_t first_line, flags, argcount, version;
};

/* first.c: what the first argument is called. */
enum pst_first_kind { PST_FIRST_UNASKED, PST_FIRST_OTHER, PST_FIRST_SELF, PST_FIRST_CLS };
struct pst_first_argument {
    uint8_t kind;
    bool cell;         /* it lies in a cell */
    uint16_t slot;     /* among the words after a frame's fields */
    uint32_t class_id; /* details.c: of the calls so far */
};

struct pst_code {
    uint64_t address;
    struct pst_code_identity identity;
    uint64_t verified_ns; /* monotonic */
    uint64_t generation;  /* the interpreter's, when last verified */
    uint64_t start;       /* address of the first instruction; 0 where lasti is an offset already */
    uint32_t bytes;       /* of instructions */
    uint32_t frame_bytes; /* what a frame of it takes of the data stack; 0 unknown */
    uint32_t public_id;
    uint32_t serial; /* another one for each code object that was read */
    bool lineless;   /* its instructions have no lines: they are none of CPython's compiler */
    struct pst_first_argument first;
    struct pst_lines lines;
};

enum { PST_CODE_NONE = UINT32_MAX };

struct pst_codes *pst_codes_new(struct pst_memory *memory, const struct pst_layout *layout,
                                const struct pst_spans *spans, uint64_t code_type);
struct pst_codes *pst_codes_free(struct pst_codes *codes);
/* Forgets addresses and ids, and gives their memory back. */
void pst_codes_reset(struct pst_codes *codes);
/* What they take, about. */
size_t pst_codes_bytes(const struct pst_codes *codes);

/* Index of the code object known at this address, PST_CODE_NONE when there is none. Indexes hold
 * until the next pst_codes_settle. */
uint32_t pst_codes_find(const struct pst_codes *codes, uint64_t address);
const struct pst_code *pst_codes_get(const struct pst_codes *codes, uint32_t index);

/* CPython's own helper code, which checks what __init__ returned: one string is its name and file.
 */
bool pst_code_is_helper(const struct pst_codes *codes, uint32_t index);

/* Asks that the code at this address be read or read again; false when it already is on the list
 * or there is no room (the list holds a thousand). */
bool pst_codes_request(struct pst_codes *codes, uint64_t address);
size_t pst_codes_requested(const struct pst_codes *codes);
/* Reads the headers of all requested in one call, decodes those that are new, forgets those that
 * are no code objects. */
void pst_codes_settle(struct pst_codes *codes, uint64_t now_ns, uint64_t generation);
/* Counts up whenever indexes may have changed their meaning. */
uint64_t pst_codes_epoch(const struct pst_codes *codes);

/* What ids of the codes mean. */
struct pst_publics *pst_codes_publics(struct pst_codes *codes);

/* Whether there has been a lineless one. */
bool pst_codes_any_lineless(const struct pst_codes *codes);
struct pst_first_argument *pst_codes_first_argument(struct pst_codes *codes, uint32_t index);
void pst_first_argument_read(struct pst_memory *memory, const struct pst_layout *layout,
                             const struct pst_code *code, struct pst_first_argument *ret);

#endif
