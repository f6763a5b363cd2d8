/* What each action of relabel_config does to a set of labels. */
#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "rule.h"

#define BUF struct pst_buf __attribute__((cleanup(pst_buf_done)))

/* A value past its bound or a label past the set's bound is not written; the target goes on. */
static int go_on(int status)
{
    return status == -ENOMEM || status == -E2BIG ? status : 1;
}

static struct pst_str target(const struct pst_rule *rule)
{
    return pst_str(rule->config->target_label);
}

static int act_replace(const struct pst_rule *rule, struct pst_str value, struct pst_rule_set *set)
{
    struct pst_regex_match match;
    BUF name;
    BUF text;

    pst_buf_init(&name, PST_MAX_LABEL_VALUE_BYTES);
    pst_buf_init(&text, PST_MAX_RULE_VALUE_BYTES);
    int status = pst_regex_match(rule->regex, value, &match);
    if (status <= 0)
        return status < 0 ? status : 1;
    status = pst_regex_expand(rule->regex, target(rule), value, &match, &name);
    if (status == 0 && !pst_rule_is_label(pst_buf_view(&name)))
        return 1;
    if (status == 0)
        status =
            pst_regex_expand(rule->regex, pst_str(rule->config->replacement), value, &match, &text);
    if (status == 0)
        status = pst_rule_set_put(set, pst_buf_view(&name), pst_buf_view(&text));
    return go_on(status);
}

static int act_keep(const struct pst_rule *rule, struct pst_str value, struct pst_rule_set *set)
{
    return pst_regex_match(rule->regex, value, NULL);
}

static int act_drop(const struct pst_rule *rule, struct pst_str value, struct pst_rule_set *set)
{
    int status = pst_regex_match(rule->regex, value, NULL);

    return status < 0 ? status : !status;
}

static int act_keepequal(const struct pst_rule *rule, struct pst_str value,
                         struct pst_rule_set *set)
{
    return pst_str_eq(pst_rule_set_get(set, target(rule)), value);
}

static int act_dropequal(const struct pst_rule *rule, struct pst_str value,
                         struct pst_rule_set *set)
{
    return !pst_str_eq(pst_rule_set_get(set, target(rule)), value);
}

/* The second half of the MD5, as Prometheus takes it: a spreading, not a secret. */
static int act_hashmod(const struct pst_rule *rule, struct pst_str value, struct pst_rule_set *set)
{
    EVP_MD *md5 = EVP_MD_fetch(NULL, "MD5", "-fips");
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    uint64_t hash = 0;
    char text[24];

    int good = md5 && EVP_Digest(value.ptr, value.len, digest, &len, md5, NULL);
    EVP_MD_free(md5);
    if (!good || len != 16)
        return -ENOMEM;
    for (int i = 8; i < 16; i++)
        hash = hash << 8 | digest[i];
    (void)snprintf(text, sizeof(text), "%" PRIu64, hash % rule->config->modulus);
    return go_on(pst_rule_set_put(set, target(rule), pst_str(text)));
}

static int act_case(const struct pst_rule *rule, struct pst_str value, struct pst_rule_set *set,
                    bool upper)
{
    BUF text;

    pst_buf_init(&text, PST_MAX_RULE_VALUE_BYTES);
    int status = pst_regex_case(value, upper, &text);
    if (status == 0)
        status = pst_rule_set_put(set, target(rule), pst_buf_view(&text));
    return go_on(status);
}

static int act_lowercase(const struct pst_rule *rule, struct pst_str value,
                         struct pst_rule_set *set)
{
    return act_case(rule, value, set, false);
}

static int act_uppercase(const struct pst_rule *rule, struct pst_str value,
                         struct pst_rule_set *set)
{
    return act_case(rule, value, set, true);
}

static int map_one(const struct pst_rule *rule, struct pst_str name, struct pst_str value,
                   struct pst_rule_set *set)
{
    struct pst_regex_match match;
    BUF mapped;

    pst_buf_init(&mapped, PST_MAX_LABEL_VALUE_BYTES);
    int status = pst_regex_match(rule->regex, name, &match);
    if (status <= 0)
        return status < 0 ? status : 1;
    status =
        pst_regex_expand(rule->regex, pst_str(rule->config->replacement), name, &match, &mapped);
    if (status == 0)
        status = pst_rule_set_put(set, pst_buf_view(&mapped), value);
    return go_on(status);
}

/* Over the labels as they were before the rule: what it writes is not looked at again. */
static int act_labelmap(const struct pst_rule *rule, struct pst_str value, struct pst_rule_set *set)
{
    struct pst_rule_set before = {NULL, 0, 0};
    int status = 1;

    for (size_t i = 0; i < set->count && status == 1; i++)
        status = pst_rule_set_begin(&before, pst_rule_label_name(&set->items[i]),
                                    pst_rule_label_value(&set->items[i])) < 0
                     ? -ENOMEM
                     : 1;
    for (size_t i = 0; i < before.count && status == 1; i++)
        status = map_one(rule, pst_rule_label_name(&before.items[i]),
                         pst_rule_label_value(&before.items[i]), set);
    pst_rule_set_done(&before);
    return status;
}

static int drop_names(const struct pst_rule *rule, struct pst_rule_set *set, bool matching)
{
    for (size_t i = 0; i < set->count;) {
        struct pst_str name = pst_rule_label_name(&set->items[i]);
        int status = pst_regex_match(rule->regex, name, NULL);
        if (status < 0)
            return status;
        if ((status == 1) == matching)
            pst_rule_set_remove(set, name);
        else
            i++;
    }
    return 1;
}

static int act_labeldrop(const struct pst_rule *rule, struct pst_str value,
                         struct pst_rule_set *set)
{
    return drop_names(rule, set, true);
}

static int act_labelkeep(const struct pst_rule *rule, struct pst_str value,
                         struct pst_rule_set *set)
{
    return drop_names(rule, set, false);
}

int pst_rule_init(struct pst_rule *rule, const struct pst_config_rule *config)
{
    static const struct {
        const char *word;
        int (*act)(const struct pst_rule *rule, struct pst_str value, struct pst_rule_set *set);
    } actions[] = {
#define PST_RULE_ACTION(id) {#id, act_##id},
        PST_RULE_ACTIONS(PST_RULE_ACTION)
#undef PST_RULE_ACTION
    };
    char why[8];
    size_t at;

    *rule = (struct pst_rule){.config = config};
    for (size_t i = 0; i < PST_ARRAY_SIZE(actions); i++)
        if (strcmp(actions[i].word, config->action) == 0)
            rule->act = actions[i].act;
    if (!rule->act)
        return -EINVAL;
    return pst_regex_new(pst_str(config->regex), &rule->regex, why, sizeof(why), &at);
}

void pst_rule_done(struct pst_rule *rule)
{
    rule->regex = pst_regex_free(rule->regex);
}

int pst_rule_run(const struct pst_rule *rule, struct pst_rule_set *set)
{
    const struct pst_config_strings *labels = &rule->config->source_labels;
    int status = 0;
    BUF joined;

    pst_buf_init(&joined, PST_MAX_RULE_VALUE_BYTES);
    for (size_t i = 0; i < labels->count && status == 0; i++) {
        if (i > 0)
            status = pst_buf_puts(&joined, rule->config->separator);
        if (status == 0)
            status = pst_buf_str(&joined, pst_rule_set_get(set, pst_str(labels->items[i])));
    }
    if (status < 0)
        return status == -EFBIG ? -E2BIG : status;
    return rule->act(rule, pst_buf_view(&joined), set);
}
