/* Source lines and inlined functions, from DWARF. */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "symbols_internal.h"

/* Where the next row, outward, stands: a call's file and line. */
struct spot {
    const char *file;
    int line;
};

static void put_spot(struct pst_symbols *symbols, struct pst_symbol_item *item,
                     const struct spot *spot)
{
    struct pst_str pyx;
    int line;

    if (!spot->file || spot->line <= 0)
        return;
    item->file = pst_symbols_text(symbols, pst_str(spot->file));
    item->line = spot->line;
    if (item->cython && pst_cython_line(symbols->cython, spot->file, spot->line, &pyx, &line)) {
        item->file = pst_symbols_text(symbols, pyx);
        item->line = line;
    }
}

static const char *name_of(Dwarf_Die *die)
{
    Dwarf_Attribute attribute;
    const char *name = NULL;

    if (dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute) ||
        dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attribute))
        name = dwarf_formstring(&attribute);
    return name ? name : dwarf_diename(die);
}

static void called_from(Dwarf_Die *unit, Dwarf_Die *die, struct spot *ret)
{
    Dwarf_Attribute attribute;
    Dwarf_Word file = 0, line = 0;
    Dwarf_Files *files;
    size_t count;

    *ret = (struct spot){0};
    if (dwarf_formudata(dwarf_attr(die, DW_AT_call_line, &attribute), &line) != 0 ||
        dwarf_formudata(dwarf_attr(die, DW_AT_call_file, &attribute), &file) != 0 ||
        line > INT32_MAX || dwarf_getsrcfiles(unit, &files, &count) != 0 || file >= count)
        return;
    ret->file = dwarf_filesrc(files, file, NULL, NULL);
    ret->line = (int)line;
}

static struct spot spot_at(Dwarf_Die *unit, uint64_t address)
{
    struct spot spot = {0};
    Dwarf_Line *line = dwarf_getsrc_die(unit, address);

    if (line && dwarf_lineno(line, &spot.line) == 0)
        spot.file = dwarf_linesrc(line, NULL, NULL);
    return spot;
}

static void add_row(struct pst_symbols *symbols, struct pst_native_image *image, const char *name,
                    const struct spot *spot)
{
    struct pst_symbol_item *item = name ? pst_symbols_push(symbols) : NULL;

    if (!item)
        return;
    pst_symbols_name(symbols, image, name, item);
    put_spot(symbols, item, spot);
}

static void add_inlined(struct pst_symbols *symbols, struct pst_native_image *image,
                        Dwarf_Die *unit, uint64_t address, struct spot *spot)
{
    Dwarf_Die *at = NULL, *scopes = NULL;
    int inlined = 0;
    /* Around an inlined function the first call gives where it was written, not where it is. */
    int count = dwarf_getscopes(unit, address, &at) > 0 ? dwarf_getscopes_die(&at[0], &scopes) : 0;

    for (int i = 0; i < count && inlined < PST_MAX_NATIVE_INLINED; i++) {
        int tag = dwarf_tag(&scopes[i]);
        if (tag == DW_TAG_subprogram)
            break;
        if (tag != DW_TAG_inlined_subroutine)
            continue;
        const char *name = name_of(&scopes[i]);
        if (name && !pst_symbols_plumbing(name, image))
            add_row(symbols, image, name, spot);
        called_from(unit, &scopes[i], spot);
        inlined++;
    }
    free(scopes);
    free(at);
}

void pst_symbols_add_source(struct pst_symbols *symbols, Dwfl_Module *module, uint64_t address,
                            const char *symbol, struct pst_native_image *image)
{
    Dwarf_Addr bias;
    Dwarf_Die unit;

    if (!dwfl_module_getelf(module, &bias))
        return;
    Dwarf *dwarf = pst_modules_dwarf(symbols->modules, image, module);
    if (!dwarf || !dwarf_addrdie(dwarf, address - bias, &unit))
        return;
    struct spot spot = spot_at(&unit, address - bias);
    add_inlined(symbols, image, &unit, address - bias, &spot);
    add_row(symbols, image, symbol, &spot);
}
