/* Programs that run somebody's program inside themselves (coverage, debuggers, profilers, servers
 * of single scripts). What they run is what a person calls the process. */
#include "app_internal.h"
#include "base/cleanup.h"

static const struct pst_str launchers[] = {
    {"coverage", 8}, {"debugpy", 7},   {"cProfile", 8},       {"profile", 7}, {"pdb", 3},
    {"trace", 5},    {"memray", 6},    {"viztracer", 9},      {"scalene", 7}, {"pyinstrument", 12},
    {"kernprof", 8}, {"streamlit", 9}, {"fastapi", 7},        {"ipython", 7}, {"IPython", 7},
    {"pudb", 4},     {"ipdb", 4},      {"line_profiler", 13}, {"runpy", 5},
};

/* Under its own name or that with a version behind it: "coverage3", "coverage-3.11". */
static bool is_launcher(struct pst_str name)
{
    for (size_t i = 0; i < PST_ARRAY_SIZE(launchers); i++) {
        size_t at = launchers[i].len;
        if (!pst_str_starts(name, launchers[i]))
            continue;
        while (at < name.len && ((name.ptr[at] >= '0' && name.ptr[at] <= '9') ||
                                 name.ptr[at] == '.' || name.ptr[at] == '-'))
            at++;
        if (at == name.len)
            return true;
    }
    return false;
}

static bool is_script(struct pst_str arg)
{
    static const struct pst_str endings[] = {{".py", 3}, {".pyc", 4}, {".pyz", 4}};

    for (size_t i = 0; i < PST_ARRAY_SIZE(endings); i++) {
        if (arg.len > endings[i].len && pst_str_ends(arg, endings[i]))
            return true;
    }
    return pst_app_is_known(pst_str_basename(arg));
}

enum app_found pst_app_launched(const struct command_line *line, struct pst_str name, size_t *at)
{
    if (!is_launcher(name))
        return FOUND_NOTHING;
    for (size_t i = *at + 1; i < line->count; i++) {
        struct pst_str arg = line->args[i];
        bool module = pst_str_eq(arg, PST_STR("-m")) || pst_str_eq(arg, PST_STR("--module"));
        if (module && i + 1 < line->count) {
            *at = i + 1;
            return FOUND_MODULE;
        }
        if (arg.len > 0 && arg.ptr[0] != '-' && is_script(arg)) {
            *at = i;
            return FOUND_SCRIPT;
        }
    }
    return FOUND_NOTHING;
}
