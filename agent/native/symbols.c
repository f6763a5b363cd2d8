/* The cache, names from symbol tables, and what they mean to the merge. */
#include "symbols.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/intern.h"
#include "base/limits.h"
#include "base/map.h"
#include "functions.h"
#include "readable.h"
#include "symbols_internal.h"

enum { SIZELESS_BYTES = 256, SYMBOL_BYTES = 4096 };
enum where { ANY, PYTHON };

#define PST_PLUMBING(where, name) {where, name, sizeof(name) - 1},
static const struct {
    enum where where;
    const char *name;
    size_t len;
} plumbing[] = {
#include "plumbing.def"
};
#undef PST_PLUMBING

struct pst_symbols *pst_symbols_new(struct pst_modules *modules, struct pst_functions *functions)
{
    struct pst_symbols *symbols = calloc(1, sizeof(*symbols));

    if (!symbols)
        return NULL;
    symbols->modules = modules;
    symbols->functions = functions;
    symbols->places =
        pst_map_new(sizeof(uint64_t), sizeof(struct pst_place), PST_MAX_NATIVE_SYMBOLS);
    symbols->texts = pst_intern_new(PST_MAX_NATIVE_SYMBOLS * 4, PST_MAX_NATIVE_TEXT_BYTES);
    symbols->cython = pst_cython_files_new(modules->pid);
    pst_buf_init(&symbols->scratch, PST_MAX_DEMANGLED_BYTES);
    pst_buf_init(&symbols->symbol, SYMBOL_BYTES);
    if (!symbols->places || !symbols->texts || !symbols->cython)
        return pst_symbols_free(symbols);
    return symbols;
}

struct pst_symbols *pst_symbols_free(struct pst_symbols *symbols)
{
    if (!symbols)
        return NULL;
    pst_map_free(symbols->places);
    pst_intern_free(symbols->texts);
    pst_cython_files_free(symbols->cython);
    pst_buf_done(&symbols->scratch);
    pst_buf_done(&symbols->symbol);
    free(symbols->items);
    free(symbols);
    return NULL;
}

void pst_symbols_settle(struct pst_symbols *symbols)
{
    bool full = pst_map_count(symbols->places) > PST_MAX_NATIVE_SYMBOLS / 2 ||
                symbols->count > PST_MAX_NATIVE_SYMBOLS / 2 ||
                pst_intern_bytes(symbols->texts) > PST_MAX_NATIVE_TEXT_BYTES / 2;

    if (full) {
        pst_intern_clear(symbols->texts);
        symbols->count = 0;
        symbols->texts_round++;
    }
    if (full)
        pst_map_clear(symbols->places);
    pst_symbols_forget_places(symbols);
}

void pst_symbols_forget_places(struct pst_symbols *symbols)
{
    if (symbols->epoch != symbols->modules->epoch)
        pst_map_clear(symbols->places);
    symbols->epoch = symbols->modules->epoch;
}

uint32_t pst_symbols_text(struct pst_symbols *symbols, struct pst_str text)
{
    uint32_t id = 0;

    if (text.len > PST_MAX_STRING_BYTES)
        text.len = PST_MAX_STRING_BYTES;
    if (pst_intern_add(symbols->texts, text.ptr ? text.ptr : "", text.len, &id) < 0)
        (void)pst_intern_add(symbols->texts, "", 0, &id);
    return id;
}

struct pst_symbol_item *pst_symbols_push(struct pst_symbols *symbols)
{
    if (symbols->count == PST_MAX_NATIVE_SYMBOLS)
        return NULL;
    if (symbols->count == symbols->cap) {
        uint32_t cap = symbols->cap ? symbols->cap * 2 : 256;
        struct pst_symbol_item *items = realloc(symbols->items, cap * sizeof(*items));
        if (!items)
            return NULL;
        symbols->items = items;
        symbols->cap = cap;
    }
    struct pst_symbol_item *item = &symbols->items[symbols->count++];
    *item = (struct pst_symbol_item){0};
    return item;
}

/* --- what a name means --- */

static bool matches(const char *pattern, size_t len, struct pst_str name)
{
    if (pattern[len - 1] == '*')
        return pst_str_starts(name, (struct pst_str){pattern, len - 1});
    return pst_str_eq(name, (struct pst_str){pattern, len});
}

/* Compilers split functions and name the parts "NAME.cold", "NAME.constprop.0"; linkers add
 * "@VERSION". */
static struct pst_str whole_function(const char *symbol)
{
    struct pst_str name = pst_str(symbol);

    name.len = pst_str_find(name, '@');
    name.len = pst_str_find(name, '.');
    return name;
}

static enum pst_place_kind kind_of(struct pst_str name, bool python)
{
    if (python && (pst_str_eq(name, PST_STR("_PyEval_EvalFrameDefault")) ||
                   pst_str_eq(name, PST_STR("PyEval_EvalFrameEx"))))
        return PST_PLACE_LOOP;
    if (python && pst_str_starts(name, PST_STR("_TAIL_CALL_")))
        return PST_PLACE_HANDLER;
    if (pst_str_starts(name, PST_STR("_ZN8greenlet12UserGreenlet15inner_bootstrap")) ||
        pst_str_starts(name, PST_STR("_ZN8greenlet12UserGreenlet13g_initialstub")) ||
        pst_str_eq(name, PST_STR("g_initialstub")))
        return PST_PLACE_BASE;
    for (size_t i = 0; i < sizeof(plumbing) / sizeof(plumbing[0]); i++)
        if ((plumbing[i].where == ANY || python) &&
            matches(plumbing[i].name, plumbing[i].len, name))
            return PST_PLACE_HIDDEN;
    return PST_PLACE_PLAIN;
}

bool pst_symbols_plumbing(const char *symbol, const struct pst_native_image *image)
{
    return kind_of(whole_function(symbol), image->python) != PST_PLACE_PLAIN;
}

/* --- one address --- */

static void name_image(struct pst_symbols *symbols, struct pst_native_image *image,
                       Dwfl_Module *module)
{
    const unsigned char *id = NULL;
    GElf_Addr where;

    if (!image->named || image->text_round != symbols->texts_round) {
        int len = module ? dwfl_module_build_id(module, &id, &where) : 0;
        pst_image_build_text(id, len > 0 ? (size_t)len : 0, image->build_id);
        image->binary = pst_symbols_text(symbols, pst_str(image->path));
        image->build = pst_symbols_text(symbols, pst_str(image->build_id));
        image->text_round = symbols->texts_round;
    }
    image->named = true;
}

/* The function's own row: what the symbol table says of it. */
static void add_function(struct pst_symbols *symbols, struct pst_native_image *image,
                         const char *symbol, struct pst_symbol_item *item)
{
    struct pst_str name = pst_str(symbol), short_name;

    name.len = pst_str_find(name, '@');
    item->system_name = pst_symbols_text(symbols, name);
    item->wrapper = pst_cython_wrapper(name);
    if (pst_cython_name(name, &short_name))
        item->cython = true, name = short_name;
    else if (pst_demangle(symbol, &symbols->scratch))
        name = pst_buf_view(&symbols->scratch);
    else
        name = whole_function(symbol);
    item->name = pst_symbols_text(symbols, name);
    item->file = image->binary;
}

static void add_unnamed(struct pst_symbols *symbols, struct pst_native_image *image,
                        struct pst_symbol_item *item)
{
    pst_buf_reset(&symbols->scratch);
    struct pst_str base = pst_str_basename(pst_str(image->path));
    if (base.len > 200)
        base.len = 200;
    (void)pst_buf_printf(&symbols->scratch, "[%.*s]", (int)base.len, base.ptr);
    item->unnamed = true;
    item->name = item->system_name = pst_symbols_text(symbols, pst_buf_view(&symbols->scratch));
    item->file = image->binary;
}

/* Where the image has no table of all functions, separate debug information may. What the index
 * cannot read (images known from memory alone, compressed tables) libdwfl reads. */
static int look_up(struct pst_symbols *symbols, struct pst_native_image *image, Dwfl_Module *module,
                   uint64_t address)
{
    struct pst_functions *functions = symbols->functions;
    struct pst_buf *out = &symbols->symbol;
    int status = pst_functions_name(functions, image->fd, PST_FUNCTIONS_ALL, address, out);

    if (status != -ENOENT)
        return status;
    int debug = pst_modules_debug(symbols->modules, image, module);
    if (debug >= 0)
        status = pst_functions_name(functions, debug, PST_FUNCTIONS_ALL, address, out);
    return status == 1
               ? status
               : pst_functions_name(functions, image->fd, PST_FUNCTIONS_DYNAMIC, address, out);
}

static const char *name_at(struct pst_symbols *symbols, struct pst_native_image *image,
                           Dwfl_Module *module, uint64_t address, Dwarf_Addr bias)
{
    GElf_Off offset;
    GElf_Sym symbol;
    int status = look_up(symbols, image, module, address - bias);

    if (status >= 0)
        return status > 0 ? symbols->symbol.data : NULL;
    const char *name = dwfl_module_addrinfo(module, address, &offset, &symbol, NULL, NULL, NULL);
    /* A symbol without a size names what follows it only so far. */
    return name && (symbol.st_size > 0 || offset < SIZELESS_BYTES) ? name : NULL;
}

static struct pst_place resolve(struct pst_symbols *symbols, const struct pst_pc *pc,
                                struct pst_native_image *image)
{
    Dwfl_Module *module = dwfl_addrmodule(symbols->modules->dwfl, pc->address);
    struct pst_place place = {.first = symbols->count, .python = image->python};
    Dwarf_Addr bias = image->start;
    bool opened = module && dwfl_module_getelf(module, &bias);
    const char *name = opened ? name_at(symbols, image, module, pc->address, bias) : NULL;

    if (!opened)
        bias = image->start;
    if (!name && image->python)
        place.kind = PST_PLACE_HIDDEN;
    else if (name)
        place.kind = (uint8_t)kind_of(whole_function(name), image->python);
    if (place.kind != PST_PLACE_PLAIN)
        return place;
    name_image(symbols, image, module);
    if (name && !image->no_dwarf)
        pst_symbols_add_source(symbols, module, pc->address, name, image);
    if (symbols->count == place.first) {
        struct pst_symbol_item *item = pst_symbols_push(symbols);
        if (item && name)
            add_function(symbols, image, name, item);
        else if (item)
            add_unnamed(symbols, image, item);
    }
    for (uint32_t i = place.first; i < symbols->count; i++) {
        symbols->items[i].binary = image->binary;
        symbols->items[i].build_id = image->build;
        symbols->items[i].address = pc->address - bias;
    }
    place.count = symbols->count - place.first;
    return place;
}

void pst_symbols_name(struct pst_symbols *symbols, struct pst_native_image *image,
                      const char *symbol, struct pst_symbol_item *item)
{
    add_function(symbols, image, symbol, item);
}

struct pst_place pst_symbols_at(struct pst_symbols *symbols, const struct pst_pc *pc)
{
    struct pst_place nothing = {.kind = PST_PLACE_HIDDEN};
    const struct pst_place *known = pst_map_get(symbols->places, &pc->address);
    void *value;

    if (known)
        return *known;
    if (pc->image >= symbols->modules->image_count)
        return nothing;
    struct pst_place place = resolve(symbols, pc, &symbols->modules->images[pc->image]);
    if (pst_map_put(symbols->places, &pc->address, &value, NULL) == 0)
        memcpy(value, &place, sizeof(place));
    return place;
}

void pst_symbols_get(const struct pst_symbols *symbols, uint32_t id, struct pst_native_symbol *ret)
{
    const struct pst_symbol_item *item = &symbols->items[id];

    *ret = (struct pst_native_symbol){
        .name = pst_intern_get(symbols->texts, item->name),
        .system_name = pst_intern_get(symbols->texts, item->system_name),
        .file = pst_intern_get(symbols->texts, item->file),
        .binary = pst_intern_get(symbols->texts, item->binary),
        .build_id = pst_intern_get(symbols->texts, item->build_id),
        .address = item->address,
        .line = item->line,
    };
}

bool pst_symbols_nameless(const struct pst_symbols *symbols, uint32_t id)
{
    return symbols->items[id].unnamed;
}

bool pst_symbols_repeats(const struct pst_symbols *symbols, uint32_t caller, uint32_t callee)
{
    const struct pst_symbol_item *outer = &symbols->items[caller];
    const struct pst_symbol_item *inner = &symbols->items[callee];

    return outer->name == inner->name && outer->binary == inner->binary &&
           ((outer->wrapper && inner->cython) || (outer->unnamed && inner->unnamed));
}
