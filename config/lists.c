/* Lists of blocks: exporters, and the rules of select and relabel. */
#include <stdio.h>

#include "base/limits.h"
#include "internal.h"

static struct pst_place place_of(const char *name, enum pst_origin origin,
                                 const struct pst_yaml_node *node)
{
    return (struct pst_place){name, node->line, node->column, origin};
}

static int check_list(struct pst_load *load, const char *what, struct pst_place place,
                      const struct pst_yaml_node *node)
{
    if (node->kind != PST_YAML_SEQUENCE)
        return pst_load_refuse(load, place, "start each entry with a dash", "%s needs a list",
                               what);
    if (node->count > PST_MAX_CONFIG_ENTRIES)
        return pst_load_refuse(load, place, NULL, "%s: %zu entries, at most %d", what, node->count,
                               PST_MAX_CONFIG_ENTRIES);
    return 0;
}

/* The type decides which other keys are known, so it is looked up first, wherever it stands. */
static int exporter_type(struct pst_load *load, struct pst_place place,
                         const struct pst_yaml_node *node, unsigned *ret)
{
    static const char remedy[] = "type is one of pyroscope, parca, otlp, file";

    if (node->kind != PST_YAML_MAPPING)
        return pst_load_refuse(load, place, "- {type: pyroscope, url: http://localhost:4040}",
                               "an exporter is a mapping");
    for (const struct pst_yaml_entry *entry = node->entries; entry; entry = entry->next) {
        if (!pst_str_eq(entry->key->text, PST_STR("type")))
            continue;
        *ret = entry->value->kind == PST_YAML_SCALAR ? pst_setting_exporter_type(entry->value->text)
                                                     : 0;
        if (*ret)
            return 0;
        place.line = entry->value->line;
        place.column = entry->value->column;
        return pst_load_refuse(load, place, remedy, "unknown type of exporter%s%.60s",
                               entry->value->kind == PST_YAML_SCALAR ? " " : "",
                               entry->value->kind == PST_YAML_SCALAR ? entry->value->text.ptr : "");
    }
    return pst_load_refuse(load, place, remedy, "the exporter has no type");
}

static int apply_exporter(struct pst_load *load, const char *name, enum pst_origin origin,
                          const struct pst_yaml_node *node, struct pst_config_exporter *ret)
{
    struct pst_place seen[PST_SETTINGS_MAX] = {{0}}, place = place_of(name, origin, node);
    const struct pst_setting *sample_labels;
    unsigned mask;
    int rc = exporter_type(load, place, node, &mask);

    rc = rc ? rc : pst_apply_defaults(load, pst_exporter_settings, mask, ret);
    rc = rc ? rc
            : pst_apply_mapping(load, pst_exporter_settings, mask, ret, name, origin, node, seen);
    if (rc < 0)
        return rc;
    sample_labels = pst_setting_find(pst_exporter_settings, PST_STR("sample_labels"));
    ret->sample_labels_set = seen[sample_labels - pst_exporter_settings].line != 0;
    (void)snprintf(ret->where, sizeof ret->where, "%s:%u:%u", name, place.line, place.column);
    return 0;
}

int pst_apply_exporters(struct pst_load *load, const char *name, enum pst_origin origin,
                        const struct pst_yaml_node *node)
{
    struct pst_place place = place_of(name, origin, node);
    struct pst_config_exporter *items;
    size_t count = 0;
    int rc = check_list(load, "exporters", place, node);

    if (rc < 0)
        return rc;
    items = pst_load_alloc(load, (node->count + 1) * sizeof *items);
    if (!items)
        return pst_load_out_of_memory(load, place);
    for (const struct pst_yaml_entry *entry = node->entries; entry; entry = entry->next) {
        rc = apply_exporter(load, name, origin, entry->value, &items[count++]);
        if (rc < 0)
            return rc;
    }
    load->snapshot->config.exporters = items;
    load->snapshot->config.exporter_count = count;
    return 0;
}

int pst_apply_rules(struct pst_load *load, const struct pst_setting *row,
                    struct pst_config_rules *rules, const char *name, enum pst_origin origin,
                    const struct pst_yaml_node *node)
{
    struct pst_str path = pst_setting_name(row);
    bool select = pst_str_ends(path, PST_STR(".select"));
    struct pst_place place = place_of(name, origin, node);
    struct pst_config_rules list = {NULL, 0};
    int rc = check_list(load, row->path, place, node);

    if (rc < 0)
        return rc;
    list.items = pst_load_alloc(load, (node->count + 1) * sizeof *list.items);
    if (!list.items)
        return pst_load_out_of_memory(load, place);
    for (const struct pst_yaml_entry *entry = node->entries; entry; entry = entry->next) {
        struct pst_config_rule *rule = &list.items[list.count++];
        place = place_of(name, origin, entry->value);
        rc = pst_apply_defaults(load, pst_rule_settings, 0, rule);
        struct pst_place seen[PST_SETTINGS_MAX] = {{0}};
        rc = rc ? rc
                : pst_apply_mapping(load, pst_rule_settings, 0, rule, name, origin, entry->value,
                                    seen);
        rc = rc ? rc : pst_rule_check(load, place, seen, select, rule);
        if (rc < 0)
            return rc;
        (void)snprintf(rule->where, sizeof rule->where, "%s:%u:%u", name, place.line, place.column);
    }
    *rules = list;
    return 0;
}
