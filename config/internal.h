/* What the files of this folder share: the snapshot behind struct pst_config and the state of one
 * load. */
#ifndef PST_CONFIG_INTERNAL_H
#define PST_CONFIG_INTERNAL_H

#include <stdatomic.h>

#include "base/arena.h"
#include "config/config.h"
#include "schema.h"
#include "yaml_tree.h"

enum pst_origin { PST_ORIGIN_DEFAULT, PST_ORIGIN_FILE, PST_ORIGIN_ENVIRONMENT, PST_ORIGIN_FLAG };

struct pst_snapshot {
    struct pst_config config; /* first: the public pointer is this pointer */
    _Atomic unsigned references;
    struct pst_arena arena; /* everything that config points to */
    int64_t loaded_ns;      /* realtime, before the first file was read */
    struct {
        enum pst_origin origin;
        unsigned line, column;   /* of the file */
    } origins[PST_SETTINGS_MAX]; /* by row of pst_settings */
};

/* Where a value stands: name:line:column, or the name alone with line 0. */
struct pst_place {
    const char *name;
    unsigned line, column;
    enum pst_origin origin;
};

/* One load in progress. Every function that takes it answers 0 or -EINVAL with error filled. */
struct pst_load {
    struct pst_snapshot *snapshot;
    char *const *environment;
    struct pst_error *error;
};

int pst_load_refuse(struct pst_load *load, struct pst_place place, const char *remedy,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));
int pst_load_out_of_memory(struct pst_load *load, struct pst_place place);
/* Value of a variable of the given environment, or NULL; an empty value counts as not set. */
const char *pst_load_env(const struct pst_load *load, const char *name);
/* NUL-terminated copy in the snapshot, NULL when it is full. */
char *pst_load_copy(struct pst_load *load, struct pst_str text);
void *pst_load_alloc(struct pst_load *load, size_t bytes);
/* Appends to a list of the snapshot, bounded; a text that is already there is not repeated. */
int pst_load_add(struct pst_load *load, struct pst_config_strings *list, size_t max,
                 struct pst_str text);
int pst_load_warn(struct pst_load *load, struct pst_place place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* expand.c: ${env:NAME} and ${file:PATH} in text; $${ is a plain ${. *ret_expanded (may be NULL)
 * tells that something was put in, so that the result may be a secret. Files are noted for the
 * watch. lenient: what is missing makes the whole text empty instead of an error. */
int pst_expand(struct pst_load *load, struct pst_place place, struct pst_str text, bool lenient,
               struct pst_str *ret, bool *ret_expanded);

/* apply.c: one value into the field of its row; base is the struct that the row's offset is for. */
int pst_apply_text(struct pst_load *load, const struct pst_setting *row, void *base,
                   struct pst_place place, struct pst_str text);
int pst_apply_node(struct pst_load *load, const struct pst_setting *row, void *base,
                   const char *name, enum pst_origin origin, const struct pst_yaml_node *node);
int pst_apply_defaults(struct pst_load *load, const struct pst_setting *table, unsigned mask,
                       void *base);
/* A mapping by its table. seen (may be NULL) gets the place of each row that was given, by index.
 */
int pst_apply_mapping(struct pst_load *load, const struct pst_setting *table, unsigned mask,
                      void *base, const char *name, enum pst_origin origin,
                      const struct pst_yaml_node *node, struct pst_place *seen);

/* lists.c: the entries of exporters, select and relabel. */
int pst_apply_exporters(struct pst_load *load, const char *name, enum pst_origin origin,
                        const struct pst_yaml_node *node);
int pst_apply_rules(struct pst_load *load, const struct pst_setting *row,
                    struct pst_config_rules *rules, const char *name, enum pst_origin origin,
                    const struct pst_yaml_node *node);

/* rules.c: what Prometheus refuses too. seen has the place of each row that was given. */
int pst_rule_check(struct pst_load *load, struct pst_place place, const struct pst_place *seen,
                   bool select, const struct pst_config_rule *rule);

/* exporters.c: names, addresses, credentials that exclude each other, proxies from the
 * environment. */
int pst_exporters_finish(struct pst_load *load);
/* check.c: what one row alone cannot tell: listen address, labels, folders. */
int pst_config_check(struct pst_load *load);
/* standard.c: exporters from PYROSCOPE_*, PARCA_*, OTEL_* when no section was given. */
int pst_standard_exporters(struct pst_load *load);

#endif
