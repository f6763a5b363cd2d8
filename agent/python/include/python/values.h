/* Values of variables in frames of a sample: for people who look at one snapshot, never for
 * profiles. The target is not stopped, so what was read is read again, and only what stood still
 * counts. */
#ifndef PST_PYTHON_VALUES_H
#define PST_PYTHON_VALUES_H

#include "base/limits.h"
#include "python/python.h"

enum { PST_VALUE_CHARS = 128 }; /* usual length of one value */

struct pst_py_value_options {
    bool still;   /* the target is stopped */
    size_t chars; /* of one value; longer ones end in "..." */
    /* Whether the value of a variable or dict key of this name is not to be shown. NULL: none. */
    bool (*secret)(void *context, struct pst_str name);
    void *context;
};

struct pst_py_variable {
    char *name;       /* UTF-8 */
    char *text;       /* UTF-8, without control characters: a literal where Python has one, or
                         <changed while read>, <redacted>, <unreadable> */
    uint64_t address; /* of the object; 0 when it is not told */
    bool argument;    /* keyword-only ones, *args and **kwargs too */
};

struct pst_py_variables {
    struct pst_py_variable *items; /* arguments first, then locals, cells and free variables; those
                                      without a value are left out */
    size_t count;
    bool changed; /* the frame went on while its variables' names were read: no items */
};

/* Keeps with each sample where its frames lie. Call before the sample whose variables are asked
 * for. */
void pst_python_keep_places(struct pst_python *python);

/* Variables of frame number `index` of the last sample (an index into its frames); leaf: nobody is
 * called from it, so that its instruction may move. 0; -EINVAL no such frame or places not kept;
 * -ENOTSUP values of this version cannot be read; -ENOMEM. ret is the caller's to pass to
 * pst_py_variables_done. */
int pst_python_variables(struct pst_python *python, size_t index, bool leaf,
                         const struct pst_py_value_options *options, struct pst_py_variables *ret);
void pst_py_variables_done(struct pst_py_variables *variables);

#endif
