/* The tables made from schema.def, and questions about them. */
#include "schema.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "base/cleanup.h"
#include "config/value.h"

/* What each type stores; a row whose field has another type does not compile. */
typedef bool type_BOOL;
typedef unsigned type_UNSIGNED;
typedef uint64_t type_NUMBER;
typedef double type_FLOAT;
typedef uint64_t type_DURATION;
typedef uint64_t type_SIZE;
typedef double type_PERCENT;
typedef char *type_STRING;
typedef char *type_SECRET;
typedef char *type_ENUM;
typedef char *type_DIRECTORY;
typedef bool type_CHOICES[3];
typedef struct pst_config_strings type_STRINGS;
typedef struct pst_config_pairs type_MAP;
typedef struct pst_config_pairs type_HEADERS;
typedef struct pst_config_rules type_RULES;
typedef struct pst_config_exporter *type_EXPORTERS;

#define CHECK(owner, TYPE, field)                                                                  \
    _Static_assert(                                                                                \
        __builtin_types_compatible_p(__typeof__(((struct owner *)0)->field), type_##TYPE),         \
        "the type of " #field " is not what its row stores");
#define PST_SETTING(path, TYPE, field, ...)                CHECK(pst_config, TYPE, field)
#define PST_EXPORTER_SETTING(path, mask, TYPE, field, ...) CHECK(pst_config_exporter, TYPE, field)
#define PST_RULE_SETTING(path, TYPE, field, ...)           CHECK(pst_config_rule, TYPE, field)
#include "schema.def"

#define ROW(owner, path_, mask, TYPE, field, fallback_, range_, choices_, flags_, help_)           \
    {.path = (path_),                                                                              \
     .type = PST_SETTING_##TYPE,                                                                   \
     .offset = offsetof(struct owner, field),                                                      \
     .fallback = (fallback_),                                                                      \
     .range = (range_),                                                                            \
     .choices = (choices_),                                                                        \
     .help = (help_),                                                                              \
     .flags = (flags_),                                                                            \
     .exporters = (mask)},

#define PST_SETTING(path, TYPE, field, fallback, range, choices, flags, help)                      \
    ROW(pst_config, path, 0, TYPE, field, fallback, range, choices, flags, help)
const struct pst_setting pst_settings[] = {
#include "schema.def"
    {.path = NULL},
};

#define PST_EXPORTER_SETTING(path, mask, TYPE, field, fallback, range, choices, flags, help)       \
    ROW(pst_config_exporter, path, mask, TYPE, field, fallback, range, choices, flags, help)
const struct pst_setting pst_exporter_settings[] = {
#include "schema.def"
    {.path = NULL},
};

#define PST_RULE_SETTING(path, TYPE, field, fallback, range, choices, flags, help)                 \
    ROW(pst_config_rule, path, 0, TYPE, field, fallback, range, choices, flags, help)
const struct pst_setting pst_rule_settings[] = {
#include "schema.def"
    {.path = NULL},
};

_Static_assert(PST_ARRAY_SIZE(pst_settings) <= PST_SETTINGS_MAX, "raise PST_SETTINGS_MAX");
_Static_assert(PST_ARRAY_SIZE(pst_exporter_settings) <= PST_SETTINGS_MAX, "raise PST_SETTINGS_MAX");

const struct pst_setting *pst_setting_find(const struct pst_setting *table, struct pst_str path)
{
    for (; table->path; table++) {
        struct pst_str rest = pst_str(table->path), name;
        while (pst_str_next(&rest, '|', &name))
            if (pst_str_eq(name, path))
                return table;
    }
    return NULL;
}

/* The part of a row's name behind "group.", or false when it lies elsewhere. */
static bool below(const struct pst_setting *row, struct pst_str group, struct pst_str *ret)
{
    struct pst_str name = pst_setting_name(row);

    if (group.len == 0) {
        *ret = name;
        return true;
    }
    if (name.len <= group.len + 1 || !pst_str_starts(name, group) || name.ptr[group.len] != '.')
        return false;
    *ret = (struct pst_str){name.ptr + group.len + 1, name.len - group.len - 1};
    return true;
}

bool pst_setting_is_group(const struct pst_setting *table, struct pst_str path)
{
    struct pst_str rest;

    for (; table->path; table++)
        if (below(table, path, &rest))
            return true;
    return false;
}

struct pst_str pst_setting_name(const struct pst_setting *row)
{
    struct pst_str path = pst_str(row->path);
    return (struct pst_str){path.ptr, pst_str_find(path, '|')};
}

/* The names one level below group, each once (rows of a group stand together); stops at the size
 * of text. Returns the nearest to key within two edits. */
static struct pst_str nearest(const struct pst_setting *table, unsigned mask, struct pst_str group,
                              struct pst_str key, char *text, size_t size)
{
    struct pst_str best = {NULL, 0}, last = {NULL, 0}, part;
    unsigned best_distance = 3;
    size_t used = 0;

    text[0] = 0;
    for (; table->path; table++) {
        unsigned distance;
        int more;
        if ((mask && !(table->exporters & mask)) || !below(table, group, &part))
            continue;
        part.len = pst_str_find(part, '.');
        if (last.ptr && pst_str_eq(part, last))
            continue;
        last = part;
        distance = pst_value_distance(part, key);
        if (distance < best_distance) {
            best_distance = distance;
            best = part;
        }
        more =
            snprintf(text + used, size - used, "%s%.*s", used ? ", " : "", (int)part.len, part.ptr);
        if (more > 0 && (size_t)more < size - used)
            used += (size_t)more;
    }
    return best;
}

void pst_setting_suggest(const struct pst_setting *table, unsigned mask, struct pst_str group,
                         struct pst_str key, char *text, size_t size)
{
    char known[280];
    struct pst_str meant = nearest(table, mask, group, key, known, sizeof known);

    if (meant.ptr) {
        (void)snprintf(text, size, "did you mean %.*s?", (int)meant.len, meant.ptr);
        return;
    }
    /* The right name in the wrong place: "hz" at the top. */
    for (const struct pst_setting *row = table; row->path; row++) {
        struct pst_str name = pst_setting_name(row);
        size_t dot = pst_str_rfind(name, '.');
        if (dot < name.len && (!mask || (row->exporters & mask)) &&
            pst_str_eq((struct pst_str){name.ptr + dot + 1, name.len - dot - 1}, key)) {
            (void)snprintf(text, size, "did you mean %.*s?", (int)name.len, name.ptr);
            return;
        }
    }
    (void)snprintf(text, size, "known here: %s", known);
}

void pst_setting_env_name(const struct pst_setting *row, char *text, size_t size)
{
    struct pst_str name = pst_setting_name(row);

    (void)snprintf(text, size, "PYSTROBE_%.*s", (int)name.len, name.ptr);
    for (char *at = text; *at; at++)
        *at = *at == '.' ? '_' : (char)toupper((unsigned char)*at);
}

unsigned pst_setting_exporter_type(struct pst_str name)
{
    static const struct {
        const char *name;
        unsigned type;
    } types[] = {{"pyroscope", PST_TYPE_PYROSCOPE},
                 {"parca", PST_TYPE_PARCA},
                 {"otlp", PST_TYPE_OTLP},
                 {"file", PST_TYPE_FILE}};

    for (size_t i = 0; i < PST_ARRAY_SIZE(types); i++)
        if (pst_str_eq(pst_str(types[i].name), name))
            return types[i].type;
    return 0;
}

int pst_setting_choice(const char *choices, struct pst_str text, struct pst_str *ret_choice)
{
    struct pst_str rest = pst_str(choices), choice;

    for (int index = 0; pst_str_next(&rest, '|', &choice); index++)
        if (choice.len == text.len && strncasecmp(choice.ptr, text.ptr, text.len) == 0) {
            if (ret_choice)
                *ret_choice = choice;
            return index;
        }
    return -1;
}
