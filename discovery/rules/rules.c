/* Runs select, then relabel, and makes the series labels of what is left. */
#include "rules/rules.h"

#include <errno.h>
#include <stdlib.h>

#include "base/limits.h"
#include "config/value.h"
#include "rule.h"

enum { WHY_BYTES = 32768, SHOWN_CHANGES = 8 };

struct list {
    const char *word;
    struct pst_rule *items;
    size_t count;
};

struct pst_rules {
    struct list select, relabel;
};

static int list_init(struct list *list, const char *word, const struct pst_config_rules *config)
{
    list->word = word;
    list->items = calloc(config->count + 1, sizeof(*list->items));
    int status = list->items ? 0 : -ENOMEM;
    while (status == 0 && list->count < config->count) {
        status = pst_rule_init(&list->items[list->count], &config->items[list->count]);
        list->count++;
    }
    return status;
}

static void list_done(struct list *list)
{
    for (size_t i = 0; i < list->count; i++)
        pst_rule_done(&list->items[i]);
    free(list->items);
}

struct pst_rules *pst_rules_free(struct pst_rules *rules)
{
    if (rules) {
        list_done(&rules->select);
        list_done(&rules->relabel);
    }
    free(rules);
    return NULL;
}

int pst_rules_new(const struct pst_config *config, struct pst_rules **ret)
{
    struct pst_rules *rules = calloc(1, sizeof(*rules));
    int status = rules ? list_init(&rules->select, "select", &config->discovery.select) : -ENOMEM;

    if (status == 0)
        status = list_init(&rules->relabel, "relabel", &config->discovery.relabel);
    if (status < 0)
        rules = pst_rules_free(rules);
    *ret = rules;
    return status < 0 ? -ENOMEM : 0; /* the configuration's check has compiled each of them */
}

static int name_rule(struct pst_buf *why, const struct list *list, size_t index)
{
    const struct pst_config_rule *config = list->items[index].config;

    return pst_buf_printf(why, "%s rule %zu (%s, %s)", list->word, index + 1, config->action,
                          config->where);
}

static void tell_dropped(struct pst_ruled *ruled, const struct list *list, size_t index,
                         const struct pst_rule_set *set, bool undecided)
{
    const struct pst_config_strings *labels = &list->items[index].config->source_labels;

    (void)pst_buf_puts(&ruled->why, undecided ? "dropped, since too much work: " : "dropped by ");
    (void)name_rule(&ruled->why, list, index);
    for (size_t i = 0; i < labels->count; i++) {
        (void)pst_buf_printf(&ruled->why, "%s %s=\"", i ? "," : ":", labels->items[i]);
        (void)pst_buf_escaped(&ruled->why, pst_rule_set_get(set, pst_str(labels->items[i])));
        (void)pst_buf_puts(&ruled->why, "\"");
    }
    (void)pst_buf_puts(&ruled->why, "\n");
}

static int copy_set(const struct pst_rule_set *set, struct pst_rule_set *ret)
{
    int status = 0;

    for (size_t i = 0; i < set->count && status == 0; i++)
        status = pst_rule_set_begin(ret, pst_rule_label_name(&set->items[i]),
                                    pst_rule_label_value(&set->items[i]));
    return status;
}

/* Names and values that a rule changed, as one line. */
static void tell_changes(struct pst_ruled *ruled, const struct list *list, size_t index,
                         const struct pst_rule_set *before, const struct pst_rule_set *after)
{
    unsigned changes = 0, removed = 0;

    for (size_t i = 0; i < before->count; i++)
        removed += pst_rule_set_get(after, pst_rule_label_name(&before->items[i])).len == 0;
    for (size_t i = 0; i < after->count; i++) {
        const struct pst_rule_label *label = &after->items[i];
        struct pst_str value = pst_rule_label_value(label);
        if (pst_str_eq(pst_rule_set_get(before, pst_rule_label_name(label)), value) ||
            changes++ >= SHOWN_CHANGES)
            continue;
        (void)pst_buf_printf(&ruled->why, "%s=\"", label->name);
        (void)pst_buf_escaped(&ruled->why, value);
        (void)pst_buf_puts(&ruled->why, "\" ");
    }
    if (changes > SHOWN_CHANGES)
        (void)pst_buf_printf(&ruled->why, "and %u more ", changes - SHOWN_CHANGES);
    if (removed)
        (void)pst_buf_printf(&ruled->why, "%s%u labels removed ", changes ? "and " : "", removed);
    if (changes == 0 && removed == 0)
        return;
    (void)pst_buf_puts(&ruled->why, "by ");
    (void)name_rule(&ruled->why, list, index);
    (void)pst_buf_puts(&ruled->why, "\n");
}

static int run_one(const struct list *list, size_t index, struct pst_rule_set *set,
                   struct pst_ruled *ruled)
{
    struct pst_rule_set before = {NULL, 0, 0};
    int status = copy_set(set, &before);

    if (status == 0)
        status = pst_rule_run(&list->items[index], set);
    if (status == 1)
        tell_changes(ruled, list, index, &before, set);
    if (status == 0 || status == -E2BIG) {
        ruled->dropped = status == 0 ? list->word : "rule_limit";
        tell_dropped(ruled, list, index, &before, status != 0);
    }
    pst_rule_set_done(&before);
    return status == 1 || ruled->dropped ? 0 : status;
}

static int run(const struct list *list, struct pst_rule_set *set, struct pst_ruled *ruled)
{
    int status = 0;

    for (size_t i = 0; i < list->count && status == 0 && !ruled->dropped; i++)
        status = run_one(list, i, set, ruled);
    return status;
}

/* Ours to decide what they are for; never sent. */
static bool is_internal(struct pst_str name)
{
    return pst_str_starts(name, PST_STR("__"));
}

static int add(struct pst_ruled *ruled, struct pst_str name, struct pst_str value)
{
    int status = pst_labels_set(ruled->series, name, value);

    if (status != -ENOSPC)
        return status;
    ruled->refused_labels++;
    return 0;
}

/* The well-known ones and the constants first: they stay when there are too many. */
static int make_series(const struct pst_rule_set *set, struct pst_str service,
                       const struct pst_config_pairs *constants, struct pst_ruled *ruled)
{
    static const char *const first[] = {"service_name", "namespace", "pod", "container", "node"};
    int status = 0;

    ruled->series = pst_labels_new();
    if (!ruled->series)
        return -ENOMEM;
    status = add(ruled, PST_STR("service_name"), service);
    for (size_t i = 0; i < sizeof(first) / sizeof(first[0]) && status == 0; i++) {
        struct pst_str value = pst_rule_set_get(set, pst_str(first[i]));
        if (value.len > 0)
            status = add(ruled, pst_str(first[i]), value);
    }
    for (size_t i = 0; i < constants->count && status == 0; i++)
        status = add(ruled, pst_str(constants->items[i].name), pst_str(constants->items[i].value));
    for (size_t i = 0; i < set->count && status == 0; i++) {
        struct pst_str name = pst_rule_label_name(&set->items[i]);
        char *copy = set->items[i].name;
        if (!is_internal(name) && pst_rule_is_label(name) &&
            pst_labels_get(ruled->series, copy).len == 0)
            status = add(ruled, name, pst_rule_label_value(&set->items[i]));
    }
    return status;
}

static double rate_of(const struct pst_rule_set *set)
{
    double hz;
    struct pst_str text = pst_rule_set_get(set, PST_STR("__profile_hz__"));

    return pst_value_float(text, &hz) == 0 && hz >= 1 && hz <= 1000 ? hz : 0;
}

static int begin(const struct pst_meta *before, struct pst_rule_set *set)
{
    int status = 0;

    for (size_t i = 0; i < pst_meta_count(before) && status == 0; i++) {
        struct pst_str name, value;
        pst_meta_at(before, i, &name, &value);
        status = pst_rule_set_begin(set, name, value);
    }
    pst_rule_set_sort(set);
    return status;
}

int pst_rules_apply(const struct pst_rules *rules, const struct pst_meta *before,
                    const struct pst_config_pairs *constants, struct pst_ruled *ret)
{
    struct pst_rule_set set = {NULL, 0, 0};
    int status;

    *ret = (struct pst_ruled){.dropped = NULL};
    pst_buf_init(&ret->why, WHY_BYTES);
    status = begin(before, &set);
    if (status == 0)
        status = run(&rules->select, &set, ret);
    if (status == 0 && !ret->dropped)
        status = run(&rules->relabel, &set, ret);
    if (status == 0 && !ret->dropped) {
        ret->hz = rate_of(&set);
        status = make_series(&set, pst_meta_get(before, "service_name"), constants, ret);
    }
    pst_rule_set_done(&set);
    if (status < 0)
        pst_ruled_done(ret);
    return status;
}

void pst_ruled_done(struct pst_ruled *ruled)
{
    ruled->series = pst_labels_free(ruled->series);
    pst_buf_done(&ruled->why);
}
