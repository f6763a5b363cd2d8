/* One compiled rule. */
#ifndef PST_RULES_RULE_H
#define PST_RULES_RULE_H

#include "base/regex.h"
#include "config/config.h"
#include "set.h"

/* PST_RULE_ACTION(ID): the word is the function's name in action.c too. */
/* clang-format off */
#define PST_RULE_ACTIONS(X)                                                                        \
    X(replace) X(keep) X(drop) X(keepequal) X(dropequal) X(hashmod)                                \
    X(labelmap) X(labeldrop) X(labelkeep) X(lowercase) X(uppercase)
/* clang-format on */

struct pst_rule {
    const struct pst_config_rule *config;
    struct pst_regex *regex;
    int (*act)(const struct pst_rule *rule, struct pst_str value, struct pst_rule_set *set);
};

int pst_rule_init(struct pst_rule *rule, const struct pst_config_rule *config);
void pst_rule_done(struct pst_rule *rule);

/* 1 goes on, 0 drops the target; -E2BIG undecided, -ENOMEM. */
int pst_rule_run(const struct pst_rule *rule, struct pst_rule_set *set);

#endif
