/* Names that live in a dict instead of a frame's slots: those of modules and class bodies. */
#ifndef PST_PYTHON_NAMESPACE_H
#define PST_PYTHON_NAMESPACE_H

#include "show.h"

struct pst_binding {
    char *name; /* UTF-8 */
    uint64_t key, key_at, value_at;
};

enum { PST_DEFINED_KINDS = 3 };

struct pst_namespace {
    uint64_t dict, table; /* where its entries lay when they were listed; dict 0: there is none */
    struct pst_binding *items;
    size_t count;
    struct {
        const char *name;    /* what they are: "<modules>" and so on */
        struct pst_buf text; /* their names, a comma between them */
    } defined[PST_DEFINED_KINDS];
};

/* Lists what the dict binds, in its order and at most PST_MAX_VARIABLES: modules, functions and
 * classes by name alone, special names (`__name__`) not at all. Values are not read. 0 or
 * -errno; ret is the caller's to pass to pst_namespace_done in any case. */
int pst_namespace_list(struct pst_python *python, struct pst_show *value, uint64_t dict,
                       struct pst_namespace *ret);
void pst_namespace_done(struct pst_namespace *names);
/* Whether entries still lie where they were listed, and this one still is of that name. Through the
 * trail. */
bool pst_namespace_stands(struct pst_show *value, const struct pst_namespace *names,
                          const struct pst_binding *binding);

#endif
