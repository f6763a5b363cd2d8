/* The file's JSON Schema (draft 2020-12) from the tables. A ${env:} or ${file:} reference may stand
 * for any plain value, so numbers and switches also allow text that holds one. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "base/limits.h"
#include "config/value.h"
#include "internal.h"

#define REFERENCE "\\$\\{(env|file):[^}]+\\}"

/* jansson answers a failed allocation by leaving a member out: failed remembers it. Both steal. */
static void set(bool *failed, json_t *object, const char *key, json_t *value)
{
    *failed |= json_object_set_new(object, key, value) < 0;
}

static void append(bool *failed, json_t *list, json_t *value)
{
    *failed |= json_array_append_new(list, value) < 0;
}

static json_t *text_pattern(const char *pattern)
{
    return json_pack("{s:s, s:s}", "type", "string", "pattern", pattern);
}

/* {"anyOf": [first, text with a reference, null]}: a key with nothing behind it keeps the default.
 * Steals first. */
static json_t *or_reference(json_t *first)
{
    return json_pack("{s:[o, o, {s:s}]}", "anyOf", first, text_pattern(REFERENCE), "type", "null");
}

static json_t *choice_list(bool *failed, const char *choices)
{
    json_t *list = json_array();
    struct pst_str rest = pst_str(choices), choice;

    while (pst_str_next(&rest, '|', &choice))
        append(failed, list, json_stringn(choice.ptr, choice.len));
    return list;
}

static void add_bounds(bool *failed, json_t *schema, const struct pst_setting *row)
{
    const char *dots = strstr(row->range, "..");
    double low, high;

    if (!dots ||
        pst_value_float((struct pst_str){row->range, (size_t)(dots - row->range)}, &low) < 0 ||
        pst_value_float(pst_str(dots + 2), &high) < 0)
        return;
    set(failed, schema, "minimum", json_integer((json_int_t)low));
    set(failed, schema, "maximum", json_integer((json_int_t)high));
}

static json_t *number_schema(bool *failed, const struct pst_setting *row, bool whole)
{
    json_t *number = json_pack("{s:s}", "type", whole ? "integer" : "number");

    add_bounds(failed, number, row);
    return json_pack(
        "{s:[o, o, {s:s}]}", "anyOf", number,
        text_pattern(whole ? "^[0-9]+$|" REFERENCE : "^[0-9]+(\\.[0-9]+)?$|" REFERENCE), "type",
        "null");
}

/* Text in a notation, or a bare number where the notation allows it. */
static json_t *notation_schema(const char *pattern, bool bare)
{
    json_t *text = text_pattern(pattern);

    if (!bare)
        return json_pack("{s:[o, {s:s}, {s:i}]}", "anyOf", text, "type", "null", "const", 0);
    return json_pack("{s:[o, {s:s}, {s:s, s:i}]}", "anyOf", text, "type", "null", "type", "number",
                     "minimum", 0);
}

static json_t *scalar(void)
{
    return json_pack("{s:[s, s, s, s]}", "type", "string", "number", "boolean", "null");
}

static json_t *table_schema(bool *failed, const struct pst_setting *table, unsigned mask);

static json_t *list_schema(json_t *items)
{
    return json_pack("{s:[s, s], s:i, s:o}", "type", "array", "null", "maxItems",
                     (int)PST_MAX_CONFIG_ENTRIES, "items", items);
}

/* One alternative for each type: a key of another type is refused. */
static json_t *exporters_schema(bool *failed)
{
    json_t *alternatives = json_array();
    const struct pst_setting *type = pst_setting_find(pst_exporter_settings, PST_STR("type"));
    struct pst_str rest = pst_str(type->choices), choice;

    while (pst_str_next(&rest, '|', &choice)) {
        json_t *schema =
            table_schema(failed, pst_exporter_settings, pst_setting_exporter_type(choice));
        json_t *constant = json_object();
        set(failed, constant, "const", json_stringn(choice.ptr, choice.len));
        set(failed, json_object_get(schema, "properties"), "type", constant);
        set(failed, schema, "required", json_pack("[s]", "type"));
        set(failed, schema, "type", json_string("object"));
        append(failed, alternatives, schema);
    }
    return list_schema(json_pack("{s:o}", "oneOf", alternatives));
}

static json_t *value_schema(bool *failed, const struct pst_setting *row)
{
    switch (row->type) {
    case PST_SETTING_BOOL:
        return json_pack("{s:[{s:s}, o, {s:s}]}", "anyOf", "type", "boolean",
                         text_pattern("^(true|false)$|" REFERENCE), "type", "null");
    case PST_SETTING_UNSIGNED:
    case PST_SETTING_NUMBER:
        return number_schema(failed, row, true);
    case PST_SETTING_FLOAT:
        return number_schema(failed, row, false);
    case PST_SETTING_DURATION:
        return notation_schema("^([0-9]+(\\.[0-9]+)?(d|h|ms|m|s|us|ns))+$|^[0-9.]+$|" REFERENCE,
                               true);
    case PST_SETTING_SIZE:
        return notation_schema("^[0-9]+(\\.[0-9]+)?([KMGT]iB?|[kKMGT]B|[kMGT]|B)?$|" REFERENCE,
                               true);
    case PST_SETTING_PERCENT:
        return notation_schema("^[0-9]+(\\.[0-9]+)?%$|^0$|" REFERENCE, false);
    case PST_SETTING_ENUM: {
        /* YAML reads true and false as booleans where they are choices. */
        json_t *choices = choice_list(failed, row->choices);
        if (pst_setting_choice(row->choices, PST_STR("true"), NULL) >= 0) {
            append(failed, choices, json_true());
            append(failed, choices, json_false());
        }
        if (row->fallback[0] == 0)
            append(failed, choices, json_string(""));
        return or_reference(json_pack("{s:o}", "enum", choices));
    }
    case PST_SETTING_CHOICES:
        return or_reference(json_pack("{s:s, s:{s:o}}", "type", "array", "items", "enum",
                                      choice_list(failed, row->choices)));
    case PST_SETTING_STRINGS:
        return json_pack("{s:[{s:s, s:o}, {s:[s, s]}]}", "anyOf", "type", "array", "items",
                         scalar(), "type", "string", "null");
    case PST_SETTING_MAP:
    case PST_SETTING_HEADERS:
        return json_pack("{s:[s, s], s:o}", "type", "object", "null", "additionalProperties",
                         scalar());
    case PST_SETTING_RULES:
        return list_schema(table_schema(failed, pst_rule_settings, 0));
    case PST_SETTING_EXPORTERS:
        return exporters_schema(failed);
    default:
        return scalar();
    }
}

static json_t *group_schema(void)
{
    return json_pack("{s:[s, s], s:b, s:{}}", "type", "object", "null", "additionalProperties", 0,
                     "properties");
}

/* The properties object of the group that a dotted name lies in; its parts are made on the way. */
static json_t *open_group(bool *failed, json_t *root, struct pst_str name, struct pst_str *ret_key)
{
    json_t *properties = json_object_get(root, "properties");
    struct pst_str rest = name, part;

    while (pst_str_next(&rest, '.', &part) && rest.ptr) {
        char key[64];
        json_t *group;
        (void)snprintf(key, sizeof key, "%.*s", (int)part.len, part.ptr);
        group = json_object_get(properties, key);
        if (!group) {
            set(failed, properties, key, group_schema());
            /* Fetched anew: what could not be set has been freed. */
            group = json_object_get(properties, key);
        }
        properties = json_object_get(group, "properties");
    }
    *ret_key = part;
    return properties;
}

static json_t *table_schema(bool *failed, const struct pst_setting *table, unsigned mask)
{
    json_t *root = group_schema();

    for (const struct pst_setting *row = table; row->path; row++) {
        struct pst_str names = pst_str(row->path), name, key_text;
        if (mask && !(row->exporters & mask))
            continue;
        while (pst_str_next(&names, '|', &name)) {
            json_t *properties = open_group(failed, root, name, &key_text);
            json_t *schema = value_schema(failed, row);
            char key[64];
            (void)snprintf(key, sizeof key, "%.*s", (int)key_text.len, key_text.ptr);
            set(failed, schema, "description", json_string(row->help));
            if (row->fallback[0])
                set(failed, schema, "default", json_string(row->fallback));
            set(failed, properties, key, schema);
        }
    }
    return root;
}

int pst_config_schema(struct pst_buf *out)
{
    bool missing = false, *failed = &missing;
    json_t *root = table_schema(failed, pst_settings, 0);
    char *text = NULL;
    int rc;

    set(failed, root, "$schema", json_string("https://json-schema.org/draft/2020-12/schema"));
    set(failed, root, "title", json_string("pystrobe configuration"));
    if (!missing)
        text = json_dumps(root, JSON_INDENT(2) | JSON_SORT_KEYS);
    json_decref(root);
    if (!text)
        return -ENOMEM;
    rc = pst_buf_puts(out, text);
    rc = rc ? rc : pst_buf_puts(out, "\n");
    free(text);
    return rc;
}
