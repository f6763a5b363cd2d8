/* The globals of a module as variables of its frame. What is listed here proves nothing: each value
 * is read later, together with the entry that it was found in. */
#include "namespace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "text.h"

enum {
    FLAG_TYPE = 31,
    LIST_READS = 40000,
    TEXT_SLACK = 16,
};

enum defined { MODULES, FUNCTIONS, CLASSES, NOT_DEFINED };

void pst_namespace_done(struct pst_namespace *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i].name);
    free(names->items);
    for (size_t i = 0; i < PST_DEFINED_KINDS; i++)
        pst_buf_done(&names->defined[i].text);
    *names = (struct pst_namespace){0};
}

/* Where a dict says that its entries lie. */
static uint32_t table_offset(const struct pst_layout *l)
{
    return l->dict_kind == PST_DICT_TABLE ? l->object.dict_keys + 8 : l->object.dict_keys;
}

static bool is_special(struct pst_str name)
{
    return pst_str_starts(name, PST_STR("__")) && pst_str_ends(name, PST_STR("__"));
}

static enum defined what_is(struct pst_show *value, uint64_t object)
{
    static const char *const functions[] = {"function", "builtin_function_or_method",
                                            "cython_function_or_method", "compiled_function"};
    struct pst_show_type type;

    pst_trail_reset(value->trail);
    pst_show_begin(value);
    if (!pst_show_type(value, object, &type))
        return NOT_DEFINED;
    if (type.builtin && strcmp(type.name, "module") == 0)
        return MODULES;
    if ((type.flags >> FLAG_TYPE & 1) || (type.builtin && strcmp(type.name, "classobj") == 0))
        return CLASSES;
    for (size_t i = 0; i < PST_ARRAY_SIZE(functions); i++) {
        if (strcmp(type.name, functions[i]) == 0)
            return FUNCTIONS;
    }
    return NOT_DEFINED;
}

static int add_defined(struct pst_namespace *names, enum defined kind, struct pst_str name,
                       size_t chars)
{
    struct pst_buf *text = &names->defined[kind].text;

    if (pst_str_ends(pst_buf_view(text), PST_STR("...")))
        return 0;
    int error = text->len > 0 ? pst_buf_puts(text, ", ") : 0;
    if (error == 0)
        error =
            text->len + name.len > chars ? pst_buf_puts(text, "...") : pst_buf_escaped(text, name);
    return error == -ENOMEM ? error : 0;
}

static int add_binding(struct pst_python *python, struct pst_show *value,
                       const struct pst_pair *pair, struct pst_namespace *names)
{
    struct pst_buf name;

    pst_buf_init(&name, PST_MAX_STRING_BYTES);
    int error = pst_text_read(python->memory, &python->layout, pair->key, &name);
    struct pst_str text = pst_buf_view(&name);
    if (error < 0 || text.len == 0 || is_special(text)) {
        pst_buf_done(&name);
        return error == -ENOMEM || error == -ESRCH ? error : 0;
    }
    enum defined kind = what_is(value, pair->value);
    if (kind != NOT_DEFINED) {
        error = add_defined(names, kind, text, value->options->chars);
        pst_buf_done(&name);
        return error;
    }
    struct pst_binding *binding = &names->items[names->count];
    *binding = (struct pst_binding){NULL, pair->key, pair->key_at, pair->value_at};
    binding->name = pst_buf_steal(&name, NULL);
    names->count += binding->name != NULL;
    return binding->name ? 0 : -ENOMEM;
}

int pst_namespace_list(struct pst_python *python, struct pst_show *value, uint64_t dict,
                       struct pst_namespace *ret)
{
    static const char *const kinds[PST_DEFINED_KINDS] = {"<modules>", "<functions>", "<classes>"};
    pst_autofree struct pst_pair *pairs = NULL;

    *ret = (struct pst_namespace){0};
    for (size_t i = 0; i < PST_DEFINED_KINDS; i++) {
        ret->defined[i].name = kinds[i];
        pst_buf_init(&ret->defined[i].text, 4 * value->options->chars + TEXT_SLACK);
    }
    pst_memory_budget(python->memory, PST_MAX_TARGET_SAMPLE_BYTES, LIST_READS);
    if (!pst_memory_plausible(dict) ||
        pst_memory_u64(python->memory, dict + table_offset(&python->layout), &ret->table) < 0)
        return -EFAULT;
    int count = pst_dict_pairs(python, dict, &pairs);
    if (count < 0)
        return count;
    if (count > PST_MAX_VARIABLES)
        count = PST_MAX_VARIABLES;
    ret->items = calloc((size_t)count + 1, sizeof(*ret->items));
    int error = ret->items ? 0 : -ENOMEM;
    for (int i = 0; i < count && error == 0; i++)
        error = add_binding(python, value, &pairs[i], ret);
    ret->dict = dict;
    return error;
}

bool pst_namespace_stands(struct pst_show *value, const struct pst_namespace *names,
                          const struct pst_binding *binding)
{
    uint64_t table = pst_show_word(value, names->dict + table_offset(value->layout));

    return table == names->table && pst_show_word(value, binding->key_at) == binding->key;
}
