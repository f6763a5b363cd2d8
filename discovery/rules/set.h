/* The labels that rules work on, in the order in which Prometheus' label builder walks them: those
 * that were there first, by name, then the written ones in the order of their writing. */
#ifndef PST_RULES_SET_H
#define PST_RULES_SET_H

#include "base/buf.h"

struct pst_rule_label {
    char *name, *value;
    size_t name_len, value_len;
    bool written; /* by a rule */
};

struct pst_rule_set {
    struct pst_rule_label *items;
    size_t count, cap;
};

void pst_rule_set_done(struct pst_rule_set *set);
/* Adds a label of the beginning; sort when all are there. 0, -ENOMEM, -ENOSPC. */
int pst_rule_set_begin(struct pst_rule_set *set, struct pst_str name, struct pst_str value);
void pst_rule_set_sort(struct pst_rule_set *set);

/* Prometheus' classic label names: [a-zA-Z_][a-zA-Z0-9_]*. */
bool pst_rule_is_label(struct pst_str name);

/* Empty when absent. */
struct pst_str pst_rule_set_get(const struct pst_rule_set *set, struct pst_str name);
/* Empty removes. The texts may be parts of the set. 0, -ENOMEM, -ENOSPC. */
int pst_rule_set_put(struct pst_rule_set *set, struct pst_str name, struct pst_str value);
void pst_rule_set_remove(struct pst_rule_set *set, struct pst_str name);

static inline struct pst_str pst_rule_label_name(const struct pst_rule_label *label)
{
    return (struct pst_str){label->name, label->name_len};
}

static inline struct pst_str pst_rule_label_value(const struct pst_rule_label *label)
{
    return (struct pst_str){label->value, label->value_len};
}

#endif
