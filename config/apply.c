/* Values into fields: each type's notation, range and refusal, by the row of the setting. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "config/value.h"
#include "internal.h"

static struct pst_place place_of(const char *name, enum pst_origin origin,
                                 const struct pst_yaml_node *node)
{
    return (struct pst_place){name, node->line, node->column, origin};
}

/* What a refusal may quote: nothing of secrets, nor of what came out of a file or variable. */
struct value {
    const struct pst_setting *row;
    struct pst_place place;
    struct pst_str text;
    bool hidden;
};

static int bad_value(struct pst_load *load, const struct value *value, const char *why,
                     const char *remedy)
{
    struct pst_str name = pst_setting_name(value->row);
    int shown = value->text.len < 60 ? (int)value->text.len : 60;

    if (value->hidden)
        return pst_load_refuse(load, value->place, remedy, "%.*s: the expanded value %s",
                               (int)name.len, name.ptr, why);
    return pst_load_refuse(load, value->place, remedy, "%.*s: %s%.*s%s %s", (int)name.len, name.ptr,
                           shown ? "" : "an empty value", shown, value->text.ptr,
                           shown < (int)value->text.len ? "..." : "", why);
}

/* Parses by type into one of two forms, so that ranges can be compared. */
static int parse_number(enum pst_setting_type type, struct pst_str text, double *ret_float,
                        uint64_t *ret_whole)
{
    switch (type) {
    case PST_SETTING_FLOAT:
        return pst_value_float(text, ret_float);
    case PST_SETTING_PERCENT:
        return pst_value_percent(text, ret_float);
    case PST_SETTING_DURATION:
        return pst_value_duration(text, ret_whole);
    case PST_SETTING_SIZE:
        return pst_value_size(text, ret_whole);
    case PST_SETTING_UNSIGNED:
        return pst_str_u64(text, 10, UINT32_MAX, ret_whole);
    case PST_SETTING_NUMBER:
        return pst_str_u64(text, 10, INT64_MAX, ret_whole);
    default:
        return -EINVAL;
    }
}

static const char *number_remedy(enum pst_setting_type type)
{
    switch (type) {
    case PST_SETTING_PERCENT:
        return "write a percentage such as 2%";
    case PST_SETTING_DURATION:
        return "write a duration such as 15s, 1m30s or 500ms";
    case PST_SETTING_SIZE:
        return "write a size such as 64MiB or 512MB";
    case PST_SETTING_FLOAT:
        return "write a number such as 19 or 0.5";
    default:
        return "write a whole number";
    }
}

static const char *type_word(enum pst_setting_type type)
{
    switch (type) {
    case PST_SETTING_PERCENT:
        return "is not a percentage";
    case PST_SETTING_DURATION:
        return "is not a duration";
    case PST_SETTING_SIZE:
        return "is not a size";
    default:
        return "is not a number";
    }
}

/* -1 below the range, 1 above, 0 inside. */
static int outside(const struct pst_setting *row, double number, uint64_t whole)
{
    const char *dots = strstr(row->range, "..");
    double low_float = 0, high_float = 0;
    uint64_t low = 0, high = 0;

    if (!dots)
        return 0;
    if (parse_number(row->type, (struct pst_str){row->range, (size_t)(dots - row->range)},
                     &low_float, &low) < 0 ||
        parse_number(row->type, pst_str(dots + 2), &high_float, &high) < 0)
        return 0;
    if (row->type == PST_SETTING_FLOAT || row->type == PST_SETTING_PERCENT)
        return number < low_float ? -1 : number > high_float ? 1 : 0;
    return whole < low ? -1 : whole > high ? 1 : 0;
}

static int apply_number(struct pst_load *load, const struct value *value, void *field)
{
    const struct pst_setting *row = value->row;
    double number = 0;
    uint64_t whole = 0;
    char remedy[80];
    int rc = parse_number(row->type, value->text, &number, &whole), side;

    if (rc == -ERANGE)
        return bad_value(load, value, "is too large", row->range[0] ? row->range : NULL);
    if (rc < 0)
        return bad_value(load, value, type_word(row->type), number_remedy(row->type));
    side = outside(row, number, whole);
    if (side != 0) {
        (void)snprintf(remedy, sizeof remedy, "allowed: %s", row->range);
        return bad_value(load, value, side < 0 ? "is too small" : "is too large", remedy);
    }
    if (row->type == PST_SETTING_FLOAT || row->type == PST_SETTING_PERCENT)
        memcpy(field, &number, sizeof number);
    else if (row->type == PST_SETTING_UNSIGNED)
        *(unsigned *)field = (unsigned)whole;
    else
        memcpy(field, &whole, sizeof whole);
    return 0;
}

static int bad_choice(struct pst_load *load, const struct value *value)
{
    char remedy[200] = "one of ";
    size_t used = strlen(remedy);

    for (const char *at = value->row->choices; *at && used + 3 < sizeof remedy; at++) {
        if (*at == '|') {
            remedy[used++] = ',';
            remedy[used++] = ' ';
        } else {
            remedy[used++] = *at;
        }
    }
    remedy[used] = 0;
    return bad_value(load, value, "is not one of its values", remedy);
}

/* Splits "a, b" of variables and flags; lists of the file come as nodes. */
static int apply_choices(struct pst_load *load, const struct value *value, bool *field)
{
    struct pst_str rest = value->text, part;
    bool chosen[3] = {false, false, false};

    while (pst_str_next(&rest, ',', &part)) {
        struct value one = *value;
        int index;
        one.text = pst_str_trim(part);
        index = pst_setting_choice(value->row->choices, one.text, NULL);
        if (index < 0 || (size_t)index >= PST_ARRAY_SIZE(chosen))
            return bad_choice(load, &one);
        chosen[index] = true;
    }
    memcpy(field, chosen, sizeof chosen);
    return 0;
}

static int apply_strings(struct pst_load *load, const struct value *value,
                         struct pst_config_strings *field)
{
    struct pst_str rest = value->text, part;

    *field = (struct pst_config_strings){NULL, 0};
    if (value->text.len == 0)
        return 0;
    while (pst_str_next(&rest, ',', &part))
        if (pst_load_add(load, field, PST_MAX_CONFIG_ENTRIES, pst_str_trim(part)) < 0)
            return bad_value(load, value, "has too many items", NULL);
    return 0;
}

/* auto: the state directory, for the file exporter a folder in it. */
static int apply_directory(struct pst_load *load, const struct value *value, char **field)
{
    const char *state = pst_load_env(load, "XDG_STATE_HOME"), *home = pst_load_env(load, "HOME");
    const char *below = value->row->exporters ? "/profiles" : "";
    char path[4096];
    int len;

    if (!pst_str_eq(value->text, PST_STR("auto"))) {
        *field = (char *)value->text.ptr;
        return value->text.len ? 0 : bad_value(load, value, "is no folder", "write auto or a path");
    }
    if (geteuid() == 0)
        len = snprintf(path, sizeof path, "/var/lib/pystrobe%s", below);
    else if (state && state[0] == '/')
        len = snprintf(path, sizeof path, "%s/pystrobe%s", state, below);
    else if (home && home[0] == '/')
        len = snprintf(path, sizeof path, "%s/.local/state/pystrobe%s", home[1] ? home : "", below);
    else
        return bad_value(load, value, "needs XDG_STATE_HOME or HOME", "set one, or write a path");
    if (len < 0 || (size_t)len >= sizeof path)
        return bad_value(load, value, "leads to a path that is too long", NULL);
    *field = pst_load_copy(load, pst_str(path));
    return *field ? 0 : pst_load_out_of_memory(load, value->place);
}

static int apply_plain(struct pst_load *load, const struct value *value, void *field)
{
    struct pst_str choice;
    bool flag;

    switch (value->row->type) {
    case PST_SETTING_BOOL:
        if (pst_value_bool(value->text, &flag) < 0)
            return bad_value(load, value, "is not a switch", "write true or false");
        *(bool *)field = flag;
        return 0;
    case PST_SETTING_ENUM:
        if (value->text.len == 0 && value->row->fallback[0] == 0) {
            *(char **)field = (char *)value->text.ptr;
            return 0;
        }
        if (pst_setting_choice(value->row->choices, value->text, &choice) < 0)
            return bad_choice(load, value);
        *(char **)field = pst_load_copy(load, choice); /* as the table spells it */
        return *(char **)field ? 0 : pst_load_out_of_memory(load, value->place);
    case PST_SETTING_STRING:
    case PST_SETTING_SECRET:
        *(char **)field = (char *)value->text.ptr;
        return 0;
    case PST_SETTING_DIRECTORY:
        return apply_directory(load, value, field);
    case PST_SETTING_CHOICES:
        return apply_choices(load, value, field);
    case PST_SETTING_STRINGS:
        return apply_strings(load, value, field);
    default:
        return apply_number(load, value, field);
    }
}

static bool is_collection(enum pst_setting_type type)
{
    return type == PST_SETTING_MAP || type == PST_SETTING_HEADERS || type == PST_SETTING_RULES ||
           type == PST_SETTING_EXPORTERS;
}

/* Paths to files whose content matters join the watch list. */
static int note_file(struct pst_load *load, const struct value *value)
{
    if (!(value->row->flags & PST_SETTING_FILE) || value->text.len == 0)
        return 0;
    if (pst_load_add(load, &load->snapshot->config.files, PST_MAX_CONFIG_WATCHES, value->text) < 0)
        return bad_value(load, value, "is one file too many", NULL);
    return 0;
}

static int apply_value(struct pst_load *load, const struct pst_setting *row, void *base,
                       struct pst_place place, struct pst_str text)
{
    struct value value = {.row = row, .place = place};
    bool expanded, lenient = place.origin == PST_ORIGIN_DEFAULT;
    int rc = pst_expand(load, place, text, lenient, &value.text, &expanded);

    if (rc < 0)
        return rc;
    value.hidden = expanded || row->type == PST_SETTING_SECRET;
    rc = note_file(load, &value);
    return rc ? rc : apply_plain(load, &value, (char *)base + row->offset);
}

/* Collections in variables and flags are written as YAML: {team: a} or [{type: parca, ...}]. */
static int apply_flow(struct pst_load *load, const struct pst_setting *row, void *base,
                      struct pst_place place, struct pst_str text)
{
    struct pst_yaml_node *root;
    int rc = pst_yaml_parse(text, place.name, &load->snapshot->arena, &root, load->error);

    if (rc < 0 || !root)
        return rc;
    return pst_apply_node(load, row, base, place.name, place.origin, root);
}

int pst_apply_text(struct pst_load *load, const struct pst_setting *row, void *base,
                   struct pst_place place, struct pst_str text)
{
    struct pst_str trimmed = pst_str_trim(text);
    bool list = row->type == PST_SETTING_CHOICES || row->type == PST_SETTING_STRINGS;

    if (is_collection(row->type) || (list && pst_str_starts(trimmed, PST_STR("["))))
        return apply_flow(load, row, base, place, text);
    return apply_value(load, row, base, place, text);
}

/* Label names as Prometheus has them; OpenTelemetry's dotted names are for OTLP alone. */
static bool label_name_ok(struct pst_str name)
{
    if (name.len == 0 || name.len > 128 || pst_str_starts(name, PST_STR("__")))
        return false;
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];
        if (!isalpha(c) && c != '_' && (i == 0 || (!isdigit(c) && c != '.')))
            return false;
    }
    return true;
}

static bool header_name_ok(struct pst_str name)
{
    if (name.len == 0 || name.len > 128)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (!isalnum((unsigned char)name.ptr[i]) && !strchr("!#$%&'*+-.^_`|~", name.ptr[i]))
            return false;
    return true;
}

/* A header value with a line break would start another header. */
static bool header_value_ok(struct pst_str value)
{
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)value.ptr[i] < 0x20 || value.ptr[i] == 0x7f)
            return false;
    return true;
}

static int apply_pair(struct pst_load *load, const struct pst_setting *row, const char *name,
                      enum pst_origin origin, const struct pst_yaml_entry *entry,
                      struct pst_config_pair *ret)
{
    struct pst_place key_place = place_of(name, origin, entry->key);
    struct pst_place place = place_of(name, origin, entry->value);
    struct pst_str key = entry->key->text, value;
    bool headers = row->type == PST_SETTING_HEADERS;
    int rc;

    if (headers ? !header_name_ok(key) : !label_name_ok(key))
        return pst_load_refuse(load, key_place,
                               headers ? "a header name has letters, digits and dashes"
                                       : "letters, digits and _; not __ at the front",
                               "%.60s is no %s name", key.ptr, headers ? "header" : "label");
    if (entry->value->kind != PST_YAML_SCALAR)
        return pst_load_refuse(load, place, NULL, "%.60s needs a plain value", key.ptr);
    rc = pst_expand(load, place, entry->value->null ? PST_STR("") : entry->value->text, false,
                    &value, NULL);
    if (rc < 0)
        return rc;
    if (headers && !header_value_ok(value))
        return pst_load_refuse(load, place, NULL, "%.60s: control characters in a header", key.ptr);
    if (!headers && value.len > PST_MAX_LABEL_VALUE_BYTES)
        return pst_load_refuse(load, place, NULL, "%.60s: longer than %d bytes", key.ptr,
                               PST_MAX_LABEL_VALUE_BYTES);
    ret->name = (char *)key.ptr; /* nodes live in the snapshot's arena */
    ret->value = (char *)value.ptr;
    return 0;
}

static int apply_pairs(struct pst_load *load, const struct pst_setting *row, const char *name,
                       enum pst_origin origin, const struct pst_yaml_node *node,
                       struct pst_config_pairs *field)
{
    struct pst_str key = pst_setting_name(row);
    struct pst_config_pairs pairs = {NULL, 0};
    size_t max = row->type == PST_SETTING_MAP ? PST_MAX_LABELS : PST_MAX_CONFIG_ENTRIES;

    if (node->kind != PST_YAML_MAPPING)
        return pst_load_refuse(load, place_of(name, origin, node), "write NAME: VALUE lines",
                               "%.*s needs a mapping", (int)key.len, key.ptr);
    if (node->count > max)
        return pst_load_refuse(load, place_of(name, origin, node), NULL,
                               "%.*s: %zu entries, at most %zu", (int)key.len, key.ptr, node->count,
                               max);
    pairs.items = pst_load_alloc(load, (node->count + 1) * sizeof *pairs.items);
    if (!pairs.items)
        return pst_load_out_of_memory(load, place_of(name, origin, node));
    for (const struct pst_yaml_entry *entry = node->entries; entry; entry = entry->next) {
        int rc = apply_pair(load, row, name, origin, entry, &pairs.items[pairs.count]);
        if (rc < 0)
            return rc;
        pairs.count++;
    }
    *field = pairs;
    return 0;
}

/* A YAML list for CHOICES and STRINGS: checked item by item, each with its own place. */
static int apply_list(struct pst_load *load, const struct pst_setting *row, void *field,
                      const char *name, enum pst_origin origin, const struct pst_yaml_node *node)
{
    struct pst_config_strings list = {NULL, 0};
    bool chosen[3] = {false, false, false};

    for (const struct pst_yaml_entry *entry = node->entries; entry; entry = entry->next) {
        struct value value = {.row = row, .place = place_of(name, origin, entry->value)};
        int rc, index;

        if (entry->value->kind != PST_YAML_SCALAR || entry->value->null)
            return pst_load_refuse(load, value.place, NULL, "an item must be a plain value");
        rc = pst_expand(load, value.place, entry->value->text, false, &value.text, &value.hidden);
        if (rc < 0)
            return rc;
        if (row->type == PST_SETTING_STRINGS) {
            if (pst_load_add(load, &list, PST_MAX_CONFIG_ENTRIES, value.text) < 0)
                return bad_value(load, &value, "is one item too many", NULL);
            continue;
        }
        index = pst_setting_choice(row->choices, value.text, NULL);
        if (index < 0 || (size_t)index >= PST_ARRAY_SIZE(chosen))
            return bad_choice(load, &value);
        chosen[index] = true;
    }
    if (row->type == PST_SETTING_STRINGS)
        *(struct pst_config_strings *)field = list;
    else
        memcpy(field, chosen, sizeof chosen);
    return 0;
}

int pst_apply_node(struct pst_load *load, const struct pst_setting *row, void *base,
                   const char *name, enum pst_origin origin, const struct pst_yaml_node *node)
{
    void *field = (char *)base + row->offset;
    struct pst_str key = pst_setting_name(row);
    struct pst_place place = place_of(name, origin, node);

    if (node->kind == PST_YAML_SCALAR && node->null)
        return 0; /* "key:" with nothing behind it keeps the default */
    switch (row->type) {
    case PST_SETTING_MAP:
    case PST_SETTING_HEADERS:
        return apply_pairs(load, row, name, origin, node, field);
    case PST_SETTING_RULES:
        return pst_apply_rules(load, row, field, name, origin, node);
    case PST_SETTING_EXPORTERS:
        return pst_apply_exporters(load, name, origin, node);
    case PST_SETTING_CHOICES:
    case PST_SETTING_STRINGS:
        if (node->kind == PST_YAML_SEQUENCE)
            return apply_list(load, row, field, name, origin, node);
        break;
    default:
        break;
    }
    if (node->kind != PST_YAML_SCALAR)
        return pst_load_refuse(load, place, NULL, "%.*s needs a plain value, not a %s",
                               (int)key.len, key.ptr,
                               node->kind == PST_YAML_MAPPING ? "mapping" : "list");
    return apply_value(load, row, base, place, node->text);
}

int pst_apply_defaults(struct pst_load *load, const struct pst_setting *table, unsigned mask,
                       void *base)
{
    struct pst_place place = {"default", 0, 0, PST_ORIGIN_DEFAULT};

    for (const struct pst_setting *row = table; row->path; row++) {
        int rc;
        /* A type that does not know the row must not fail on its default (directories), but its
         * strings are "" and never NULL. */
        bool skip = mask && !(row->exporters & mask);
        if (is_collection(row->type))
            continue;
        if (skip && row->type == PST_SETTING_DIRECTORY) {
            *(char **)((char *)base + row->offset) = (char *)"";
            continue;
        }
        rc = apply_value(load, row, base, place, pst_str(row->fallback));
        if (rc < 0)
            return rc;
    }
    return 0;
}

struct mapping {
    struct pst_load *load;
    const struct pst_setting *table;
    unsigned mask;
    void *base;
    const char *name;
    enum pst_origin origin;
    struct pst_place seen[PST_SETTINGS_MAX];
};

static int unknown_key(const struct mapping *map, struct pst_str group,
                       const struct pst_yaml_node *key, const struct pst_setting *row)
{
    char remedy[300];

    pst_setting_suggest(map->table, map->mask, group, key->text, remedy, sizeof remedy);
    return pst_load_refuse(map->load, place_of(map->name, map->origin, key), remedy,
                           row ? "%.60s does not belong to this type of exporter%s%.*s"
                               : "unknown key %.60s%s%.*s",
                           key->text.ptr, group.len ? " in " : "", (int)group.len, group.ptr);
}

static int apply_group(struct mapping *map, struct pst_str group, const struct pst_yaml_node *node);

static int apply_key(struct mapping *map, struct pst_str group, const struct pst_yaml_entry *entry)
{
    const struct pst_setting *row;
    struct pst_place place = place_of(map->name, map->origin, entry->key);
    char path[160];
    int len = snprintf(path, sizeof path, "%.*s%s%s", (int)group.len, group.ptr,
                       group.len ? "." : "", entry->key->text.ptr);
    struct pst_str full = {path, (size_t)len};

    if (len < 0 || (size_t)len >= sizeof path ||
        pst_str_find(entry->key->text, '.') < entry->key->text.len)
        return unknown_key(map, group, entry->key, NULL);
    row = pst_setting_find(map->table, full);
    if (!row && pst_setting_is_group(map->table, full)) {
        if (entry->value->kind == PST_YAML_SCALAR && entry->value->null)
            return 0;
        if (entry->value->kind != PST_YAML_MAPPING)
            return pst_load_refuse(map->load, place_of(map->name, map->origin, entry->value),
                                   "indent its keys below it", "%s needs a mapping", path);
        return apply_group(map, full, entry->value);
    }
    if (!row || (map->mask && !(row->exporters & map->mask)))
        return unknown_key(map, group, entry->key, row);
    if (map->seen[row - map->table].line)
        return pst_load_refuse(map->load, place, "keep one of them",
                               "%s says the same as another key in line %u", path,
                               map->seen[row - map->table].line);
    map->seen[row - map->table] = place;
    return pst_apply_node(map->load, row, map->base, map->name, map->origin, entry->value);
}

static int apply_group(struct mapping *map, struct pst_str group, const struct pst_yaml_node *node)
{
    for (const struct pst_yaml_entry *entry = node->entries; entry; entry = entry->next) {
        int rc = apply_key(map, group, entry);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int pst_apply_mapping(struct pst_load *load, const struct pst_setting *table, unsigned mask,
                      void *base, const char *name, enum pst_origin origin,
                      const struct pst_yaml_node *node, struct pst_place *seen)
{
    struct mapping map = {
        .load = load, .table = table, .mask = mask, .base = base, .name = name, .origin = origin};
    int rc;

    if (node->kind != PST_YAML_MAPPING)
        return pst_load_refuse(load, place_of(name, origin, node), "write KEY: VALUE lines",
                               "a mapping is needed here");
    rc = apply_group(&map, PST_STR(""), node);
    if (rc == 0 && seen)
        memcpy(seen, map.seen, sizeof map.seen);
    return rc;
}
