/* Ids of code objects by what they are called. Bounded: a target may make as many as it likes. */
#include "publics.h"

#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/intern.h"
#include "base/limits.h"
#include "base/map.h"

struct pst_publics {
    struct pst_intern *strings;
    struct pst_map *by_content; /* struct pst_public_key -> u32 id */
    struct pst_py_code *items;
    uint32_t count, cap;
};

struct pst_publics *pst_publics_new(void)
{
    struct pst_publics *publics = calloc(1, sizeof(*publics));

    if (!publics)
        return NULL;
    publics->by_content =
        pst_map_new(sizeof(struct pst_public_key), sizeof(uint32_t), PST_MAX_CODES_PER_TARGET);
    publics->strings = pst_intern_new(3 * PST_MAX_CODES_PER_TARGET, PST_MAX_CODE_TEXT_BYTES);
    if (!publics->by_content || !publics->strings)
        return pst_publics_free(publics);
    return publics;
}

struct pst_publics *pst_publics_free(struct pst_publics *publics)
{
    if (!publics)
        return NULL;
    pst_map_free(publics->by_content);
    pst_intern_free(publics->strings);
    free(publics->items);
    free(publics);
    return NULL;
}

void pst_publics_reset(struct pst_publics *publics)
{
    free(publics->items);
    publics->items = NULL;
    publics->count = publics->cap = 0;
    pst_map_release(publics->by_content);
    pst_intern_clear(publics->strings);
}

size_t pst_publics_bytes(const struct pst_publics *publics)
{
    return pst_intern_bytes(publics->strings) + pst_map_bytes(publics->by_content) +
           publics->cap * sizeof(*publics->items);
}

int pst_publics_text(struct pst_publics *publics, struct pst_str text, uint32_t *ret)
{
    return pst_intern_add(publics->strings, text.ptr ? text.ptr : "", text.len, ret);
}

int pst_publics_add(struct pst_publics *publics, const struct pst_public_key *key, uint32_t *ret_id)
{
    void *value;
    bool is_new;

    if (publics->count == publics->cap) {
        uint32_t cap = publics->cap ? publics->cap * 2 : 64;
        struct pst_py_code *items = realloc(publics->items, cap * sizeof(*items));
        if (!items)
            return -ENOMEM;
        publics->items = items;
        publics->cap = cap;
    }
    int error = pst_map_put(publics->by_content, key, &value, &is_new);
    if (error < 0)
        return error;
    if (is_new) {
        *(uint32_t *)value = publics->count;
        publics->items[publics->count++] = (struct pst_py_code){
            .qualname = pst_intern_get(publics->strings, key->qualname),
            .name = pst_intern_get(publics->strings, key->name),
            .filename = pst_intern_get(publics->strings, key->filename),
            .first_line = key->first_line,
        };
    }
    *ret_id = *(uint32_t *)value;
    return 0;
}

int pst_publics_overflow(struct pst_publics *publics, uint32_t *ret_id)
{
    struct pst_public_key key = {0};

    if (publics->count == 0)
        return -ENOSPC;
    int error = pst_publics_text(publics, PST_STR("[too many code objects]"), &key.name);
    if (error < 0) {
        *ret_id = 0;
        return 0;
    }
    key.qualname = key.filename = key.name;
    return pst_publics_add(publics, &key, ret_id);
}

int pst_publics_in_class(struct pst_publics *publics, uint32_t id, struct pst_str class_name,
                         uint32_t *ret_id)
{
    const struct pst_py_code code = publics->items[id];
    struct pst_public_key key = {.first_line = code.first_line};
    struct pst_buf text;

    pst_buf_init(&text, PST_MAX_STRING_BYTES);
    int error = pst_buf_str(&text, class_name);
    if (error == 0)
        error = pst_buf_puts(&text, ".");
    if (error == 0)
        error = pst_buf_str(&text, code.name);
    if (error == 0)
        error = pst_publics_text(publics, pst_buf_view(&text), &key.qualname);
    if (error == 0)
        error = pst_publics_text(publics, code.name, &key.name);
    if (error == 0)
        error = pst_publics_text(publics, code.filename, &key.filename);
    pst_buf_done(&text);
    return error < 0 ? error : pst_publics_add(publics, &key, ret_id);
}

const struct pst_py_code *pst_publics_get(const struct pst_publics *publics, uint32_t id)
{
    return id < publics->count ? &publics->items[id] : NULL;
}

uint32_t pst_publics_count(const struct pst_publics *publics)
{
    return publics->count;
}
