/* Between symbols.c, which keeps rows, and source.c, which fills them from debug information. */
#ifndef PST_NATIVE_SYMBOLS_INTERNAL_H
#define PST_NATIVE_SYMBOLS_INTERNAL_H

#include "base/buf.h"
#include "cython.h"
#include "symbols.h"

struct pst_symbol_item {
    uint32_t name, system_name, file, binary, build_id; /* text ids */
    int32_t line;
    uint64_t address;
    bool cython, wrapper, unnamed;
};

struct pst_symbols {
    struct pst_modules *modules;
    uint64_t epoch, texts_round;
    struct pst_map *places; /* address -> struct pst_place */
    struct pst_intern *texts;
    struct pst_symbol_item *items;
    uint32_t count, cap;
    struct pst_cython_files *cython;
    struct pst_functions *functions; /* borrowed */
    struct pst_buf scratch, symbol;
};

uint32_t pst_symbols_text(struct pst_symbols *symbols, struct pst_str text);
/* A new row, all zero; NULL when there is no room. */
struct pst_symbol_item *pst_symbols_push(struct pst_symbols *symbols);
/* Fills names and file of a row from a symbol as the tables have it. */
void pst_symbols_name(struct pst_symbols *symbols, struct pst_native_image *image,
                      const char *symbol, struct pst_symbol_item *item);

/* Whether such a function says nothing. */
bool pst_symbols_plumbing(const char *symbol, const struct pst_native_image *image);

/* source.c: pushes a row for each function at the address, innermost first, when debug information
 * knows it; else nothing. symbol: what the table says stands there. */
void pst_symbols_add_source(struct pst_symbols *symbols, Dwfl_Module *module, uint64_t address,
                            const char *symbol, struct pst_native_image *image);

#endif
