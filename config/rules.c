/* One rule of select or relabel by the rules of Prometheus: an action needs what it acts on, and
 * what it does not know is refused, so that nothing is written in vain. */
#include <errno.h>

#include "base/regex.h"
#include "internal.h"

static bool is_action(const struct pst_config_rule *rule, const char *choices)
{
    return pst_setting_choice(choices, pst_str(rule->action), NULL) >= 0;
}

static bool is_word(char c)
{
    return c == '_' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

static bool is_label(const char *name)
{
    for (const char *at = name; *at; at++)
        if (!is_word(*at))
            return false;
    return name[0] && !(name[0] >= '0' && name[0] <= '9');
}

/* A label's name with $1 or ${name} in it. */
static bool is_label_template(const char *text)
{
    const char *at = text;

    if (*at >= '0' && *at <= '9')
        return false;
    while (*at) {
        bool dollar = *at == '$', brace = dollar && at[1] == '{';
        size_t word = 0;
        at += (size_t)dollar + brace;
        while (is_word(at[word]))
            word++;
        if (word == 0 || (brace && at[word] != '}'))
            return false;
        at += word + brace;
    }
    return at > text;
}

static struct pst_place place_of_key(const struct pst_place *seen, const char *key,
                                     struct pst_place rule)
{
    const struct pst_setting *row = pst_setting_find(pst_rule_settings, pst_str(key));
    const struct pst_place *place = &seen[row - pst_rule_settings];

    return place->line ? *place : rule;
}

static int check_regex(struct pst_load *load, struct pst_place place,
                       const struct pst_config_rule *rule)
{
    struct pst_regex *regex = NULL;
    char why[200] = "";
    size_t at;
    int rc = pst_regex_new(pst_str(rule->regex), &regex, why, sizeof why, &at);

    pst_regex_free(regex);
    if (rc == 0)
        return 0;
    return pst_load_refuse(load, place, "write it in RE2's syntax",
                           "regex: %.80s %s (character %zu)", rule->regex,
                           rc == -EINVAL ? why : "needs too much memory", at + 1);
}

static int check_names(struct pst_load *load, struct pst_place place, const struct pst_place *seen,
                       const struct pst_config_rule *rule)
{
    static const char remedy[] = "a label's name has letters, digits and _, no digit first";

    for (size_t i = 0; i < rule->source_labels.count; i++)
        if (!is_label(rule->source_labels.items[i]))
            return pst_load_refuse(load, place_of_key(seen, "source_labels", place), remedy,
                                   "%.60s cannot be a label", rule->source_labels.items[i]);
    if (is_action(rule, "replace") ? !is_label_template(rule->target_label)
                                   : rule->target_label[0] && !is_label(rule->target_label))
        return pst_load_refuse(load, place_of_key(seen, "target_label", place), remedy,
                               "%.60s cannot be a target_label", rule->target_label);
    if (is_action(rule, "labelmap") && !is_label_template(rule->replacement))
        return pst_load_refuse(load, place_of_key(seen, "replacement", place), remedy,
                               "%.60s cannot be a label", rule->replacement);
    return 0;
}

/* Keys that an action does not look at, unless they have their defaults. */
static int check_spare(struct pst_load *load, const struct pst_place *seen, struct pst_place place,
                       const struct pst_config_rule *rule)
{
    const struct {
        const char *key;
        bool given;
    } keys[] = {
        {"source_labels", rule->source_labels.count > 0},
        {"target_label", rule->target_label[0] != 0},
        {"modulus", rule->modulus != 0},
        {"separator", strcmp(rule->separator, ";") != 0},
        {"replacement", strcmp(rule->replacement, "$1") != 0},
        {"regex", strcmp(rule->regex, "(.*)") != 0},
    };
    const char *refused = is_action(rule, "labeldrop|labelkeep")
                              ? "source_labels|target_label|modulus|separator|replacement"
                          : is_action(rule, "keepequal|dropequal")
                              ? "modulus|separator|replacement|regex"
                          : is_action(rule, "lowercase|uppercase") ? "replacement"
                                                                   : "";

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (keys[i].given && pst_setting_choice(refused, pst_str(keys[i].key), NULL) >= 0)
            return pst_load_refuse(load, place_of_key(seen, keys[i].key, place), "leave it out",
                                   "%s does not know %s", rule->action, keys[i].key);
    return 0;
}

int pst_rule_check(struct pst_load *load, struct pst_place place, const struct pst_place *seen,
                   bool select, const struct pst_config_rule *rule)
{
    if (select && !is_action(rule, "keep|drop"))
        return pst_load_refuse(load, place, "select knows keep and drop", "action %s in select",
                               rule->action);
    if (is_action(rule, "hashmod") && rule->modulus == 0)
        return pst_load_refuse(load, place, "add modulus", "hashmod needs a modulus above 0");
    if (is_action(rule, "replace|hashmod|lowercase|uppercase|keepequal|dropequal") &&
        rule->target_label[0] == 0)
        return pst_load_refuse(load, place, "add target_label", "%s needs a target_label",
                               rule->action);
    int rc = check_spare(load, seen, place, rule);
    rc = rc ? rc : check_names(load, place, seen, rule);
    return rc ? rc : check_regex(load, place_of_key(seen, "regex", place), rule);
}
