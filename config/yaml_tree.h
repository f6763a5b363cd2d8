/* YAML text as a tree of nodes with places, within bounds: bytes, depth, nodes after aliases, keys
 * of a mapping. Refuses duplicate keys, tags beyond YAML's core, merge keys, NUL in values, a
 * second document, anything but UTF-8. */
#ifndef PST_CONFIG_YAML_TREE_H
#define PST_CONFIG_YAML_TREE_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

enum pst_yaml_kind { PST_YAML_SCALAR, PST_YAML_SEQUENCE, PST_YAML_MAPPING };

struct pst_yaml_node;

struct pst_yaml_entry {
    struct pst_yaml_node *key; /* a scalar; NULL in sequences */
    struct pst_yaml_node *value;
    struct pst_yaml_entry *next;
};

struct pst_yaml_node {
    enum pst_yaml_kind kind;
    unsigned line, column; /* from 1 */
    size_t weight;         /* nodes of the subtree, aliases followed */
    struct pst_str text;   /* scalar: NUL-terminated as well */
    bool null;             /* scalar: plain and empty, ~ or null */
    struct pst_yaml_entry *entries;
    size_t count;
};

/* name stands in errors in front of line and column. Nodes live in the arena; an alias is the node
 * that it names. *ret_root is NULL for an empty document. 0 or -EINVAL with error filled. */
int pst_yaml_parse(struct pst_str text, const char *name, struct pst_arena *arena,
                   struct pst_yaml_node **ret_root, struct pst_error *error);

#endif
