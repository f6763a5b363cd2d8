/* Relabelling without the agent: one JSON object a line in, one a line out, as
 * tests/interop/relabel speaks them. The rules go through a configuration file, so that what is
 * refused shows too.
 *
 *   rules_run FOLDER */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "rule.h"

/* {"discovery": {"relabel": RULES}}: YAML takes JSON, but here the rules are text. */
static bool write_config(const char *path, const char *rules)
{
    FILE *file = fopen(path, "w");
    bool good = file && fputs("discovery:\n  relabel:\n", file) >= 0;

    for (const char *at = rules; good && *at;) {
        size_t len = strcspn(at, "\n");
        good = fprintf(file, "    %.*s\n", (int)len, at) >= 0;
        at += len + (at[len] == '\n');
    }
    return file && fclose(file) == 0 && good;
}

static json_t *refusal(const struct pst_error *error)
{
    return json_pack("{s:s, s:s}", "refused", error->text, "where", error->where);
}

static bool begin(json_t *labels, struct pst_rule_set *set)
{
    const char *name;
    json_t *value;

    json_object_foreach(labels, name, value)
    {
        struct pst_str text = {json_string_value(value), json_string_length(value)};
        if (pst_rule_set_begin(set, pst_str(name), text) < 0)
            return false;
    }
    pst_rule_set_sort(set);
    return true;
}

static json_t *left(const struct pst_rule_set *set)
{
    json_t *object = json_object();

    for (size_t i = 0; i < set->count; i++)
        (void)json_object_set_new(object, set->items[i].name,
                                  json_stringn(set->items[i].value, set->items[i].value_len));
    return json_pack("{s:b, s:o}", "kept", 1, "labels", object);
}

static json_t *run(const struct pst_config *config, json_t *labels)
{
    const struct pst_config_rules *rules = &config->discovery.relabel;
    struct pst_rule_set set = {NULL, 0, 0};
    int status = begin(labels, &set) ? 1 : -1;

    for (size_t i = 0; i < rules->count && status == 1; i++) {
        struct pst_rule rule;
        status = pst_rule_init(&rule, &rules->items[i]);
        if (status == 0)
            status = pst_rule_run(&rule, &set);
        pst_rule_done(&rule);
    }
    json_t *answer = status == 1   ? left(&set)
                     : status == 0 ? json_pack("{s:b}", "kept", 0)
                                   : json_pack("{s:i}", "failed", status);
    pst_rule_set_done(&set);
    return answer;
}

static json_t *answer_of(const char *path, json_t *question)
{
    static char *nothing[] = {NULL};
    struct pst_config *config = NULL;
    struct pst_error error = {0};

    if (!write_config(path, json_string_value(json_object_get(question, "rules"))))
        return json_pack("{s:s}", "failed", "the file cannot be written");
    if (pst_config_load(path, NULL, 0, nothing, &config, &error) < 0)
        return refusal(&error);
    json_t *answer = run(config, json_object_get(question, "labels"));
    pst_config_unref(config);
    return answer;
}

int main(int argc, char **argv)
{
    char path[4096];
    char *line = NULL;
    size_t size = 0;

    if (argc != 2)
        return 2;
    (void)snprintf(path, sizeof(path), "%s/rules.yaml", argv[1]);
    while (getline(&line, &size, stdin) > 0) {
        json_t *question = json_loads(line, JSON_ALLOW_NUL, NULL);
        json_t *answer = question ? answer_of(path, question) : NULL;
        if (!answer || json_dumpf(answer, stdout, JSON_COMPACT) < 0 || puts("") < 0)
            return 1;
        json_decref(answer);
        json_decref(question);
    }
    free(line);
    return 0;
}
