/* Pythons that are not CPython: their stacks are no stacks of ours. Told by the files that they
 * map, for messages only; asked when no CPython runtime was found. */
#include "base/cleanup.h"
#include "base/limits.h"
#include "scan/scan.h"
#include "target/maps.h"

static const struct {
    const char *file, *name; /* what the file's name begins with */
} others[] = {
    {"libpypy", "PyPy"},
    {"pypy", "PyPy"},
    {"libpythonvm", "GraalPy"},
    {"graalpy", "GraalPy"},
    {"libmicropython", "MicroPython"},
    {"micropython", "MicroPython"},
};

static const char *name_of(struct pst_str file)
{
    for (size_t i = 0; i < PST_ARRAY_SIZE(others); i++) {
        if (pst_str_starts(file, pst_str(others[i].file)))
            return others[i].name;
    }
    return NULL;
}

const char *pst_scan_other(pid_t pid)
{
    struct pst_buf maps;
    struct pst_mapping mapping;
    const char *name = NULL;

    pst_buf_init(&maps, PST_MAX_MAPS_BYTES);
    if (pst_maps_read(pid, &maps) == 0) {
        struct pst_str rest = pst_buf_view(&maps);
        while (!name && pst_maps_next(&rest, &mapping))
            name = mapping.executable ? name_of(pst_str_basename(mapping.path)) : NULL;
    }
    pst_buf_done(&maps);
    return name;
}
