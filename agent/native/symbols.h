/* What stands at an address: the function, what was inlined into it, source lines; and whether that
 * is CPython's evaluation loop or mere plumbing. Cached by address. */
#ifndef PST_NATIVE_SYMBOLS_H
#define PST_NATIVE_SYMBOLS_H

#include "modules.h"
#include "native/native.h"
#include "unwind.h"

enum pst_place_kind {
    PST_PLACE_PLAIN,
    PST_PLACE_LOOP,    /* the evaluation loop: runs Python frames up to the one that it entered */
    PST_PLACE_HANDLER, /* a part of it that is a function of its own (tail calls) */
    PST_PLACE_GAP,     /* between two places: no unwind table */
    PST_PLACE_BASE,    /* where a coroutine with a stack of its own begins: what lies below is of
                          others */
    PST_PLACE_HIDDEN,  /* plumbing, or a function of the interpreter that has no name */
};

struct pst_place {
    uint32_t first, count; /* symbols, innermost first; none for all but PLAIN */
    uint8_t kind;
    bool python; /* in the image that holds the interpreter */
};

struct pst_symbols;
struct pst_functions;
/* Both borrowed. */
struct pst_symbols *pst_symbols_new(struct pst_modules *modules, struct pst_functions *functions);
struct pst_symbols *pst_symbols_free(struct pst_symbols *symbols);
/* Begins anew when the cache is full. Ids from before mean nothing afterwards: between samples. */
void pst_symbols_settle(struct pst_symbols *symbols);
/* Images have changed: what was cached of addresses is void, ids stay. */
void pst_symbols_forget_places(struct pst_symbols *symbols);
/* A place without symbols when out of memory. */
struct pst_place pst_symbols_at(struct pst_symbols *symbols, const struct pst_pc *pc);
void pst_symbols_get(const struct pst_symbols *symbols, uint32_t id, struct pst_native_symbol *ret);
bool pst_symbols_nameless(const struct pst_symbols *symbols, uint32_t id);
/* The caller tells no more than what it called: Cython's wrapper around the function of the same
 * name, or one nameless function of a binary after another. */
bool pst_symbols_repeats(const struct pst_symbols *symbols, uint32_t caller, uint32_t callee);

#endif
