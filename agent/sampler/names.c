/* One interner for texts, one for functions as tuples of text ids. */
#include "names.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/intern.h"

/* 16 MiB of names is some 100,000 functions: more than any host shows in practice, and a quarter
 * of the agent's memory budget. Past it frames become "[names overflow]". */
enum {
    MAX_TEXTS = 262144,
    MAX_FUNCTIONS = 262144,
    MAX_TEXT_BYTES = 12 << 20,
    MAX_TUPLE_BYTES = 4 << 20
};

struct tuple {
    uint32_t name, system_name, filename, origin; /* 0: none, else into origins + 1 */
    int64_t first_line;
};

/* Of native frames. */
struct origin {
    uint32_t binary, build_id;
    uint64_t address;
};

struct pst_names {
    pthread_mutex_t lock;
    struct pst_intern *texts, *functions, *origins;
    _Atomic unsigned owners;
};

struct pst_names *pst_names_new(void)
{
    struct pst_names *names = calloc(1, sizeof(*names));
    if (!names)
        return NULL;
    (void)pthread_mutex_init(&names->lock, NULL);
    atomic_init(&names->owners, 1);
    names->texts = pst_intern_new(MAX_TEXTS, MAX_TEXT_BYTES);
    names->functions = pst_intern_new(MAX_FUNCTIONS, MAX_TUPLE_BYTES);
    names->origins = pst_intern_new(MAX_FUNCTIONS, MAX_TUPLE_BYTES);
    if (!names->texts || !names->functions || !names->origins)
        return pst_names_free(names);
    return names;
}

struct pst_names *pst_names_ref(struct pst_names *names)
{
    atomic_fetch_add(&names->owners, 1);
    return names;
}

struct pst_names *pst_names_free(struct pst_names *names)
{
    if (!names || atomic_fetch_sub(&names->owners, 1) > 1)
        return NULL;
    pst_intern_free(names->texts);
    pst_intern_free(names->functions);
    pst_intern_free(names->origins);
    (void)pthread_mutex_destroy(&names->lock);
    free(names);
    return NULL;
}

static int add_origin(struct pst_names *names, const struct pst_name *function, uint32_t *ret_id)
{
    struct origin origin = {.address = function->address};
    if (function->binary.len == 0)
        return 0;
    int r =
        pst_intern_add(names->texts, function->binary.ptr, function->binary.len, &origin.binary);
    if (r == 0)
        r = pst_intern_add(names->texts, function->build_id.ptr, function->build_id.len,
                           &origin.build_id);
    if (r == 0)
        r = pst_intern_add(names->origins, &origin, sizeof(origin), ret_id);
    if (r == 0)
        ++*ret_id;
    return r;
}

static int add_tuple(struct pst_names *names, const struct pst_name *function, uint32_t *ret_id)
{
    struct tuple tuple = {.first_line = function->first_line};
    int r = pst_intern_add(names->texts, function->name.ptr, function->name.len, &tuple.name);
    if (r == 0)
        r = pst_intern_add(names->texts, function->system_name.ptr, function->system_name.len,
                           &tuple.system_name);
    if (r == 0)
        r = pst_intern_add(names->texts, function->filename.ptr, function->filename.len,
                           &tuple.filename);
    if (r == 0)
        r = add_origin(names, function, &tuple.origin);
    return r < 0 ? r : pst_intern_add(names->functions, &tuple, sizeof(tuple), ret_id);
}

int pst_names_function(struct pst_names *names, const struct pst_name *function, uint32_t *ret_id)
{
    pthread_mutex_lock(&names->lock);
    int r = add_tuple(names, function, ret_id);
    pthread_mutex_unlock(&names->lock);
    return r;
}

int pst_names_synthetic(struct pst_names *names, struct pst_str text, uint32_t *ret_id)
{
    struct pst_name function = {.name = text, .system_name = text};
    return pst_names_function(names, &function, ret_id);
}

void pst_names_get(struct pst_names *names, uint32_t id, struct pst_name *ret)
{
    pthread_mutex_lock(&names->lock);
    struct tuple tuple;
    memcpy(&tuple, pst_intern_get(names->functions, id).ptr, sizeof(tuple));
    ret->name = pst_intern_get(names->texts, tuple.name);
    ret->system_name = pst_intern_get(names->texts, tuple.system_name);
    ret->filename = pst_intern_get(names->texts, tuple.filename);
    ret->first_line = tuple.first_line;
    ret->binary = ret->build_id = PST_STR("");
    ret->address = 0;
    if (tuple.origin) {
        struct origin origin;
        memcpy(&origin, pst_intern_get(names->origins, tuple.origin - 1).ptr, sizeof(origin));
        ret->binary = pst_intern_get(names->texts, origin.binary);
        ret->build_id = pst_intern_get(names->texts, origin.build_id);
        ret->address = origin.address;
    }
    pthread_mutex_unlock(&names->lock);
}

bool pst_names_full(struct pst_names *names)
{
    pthread_mutex_lock(&names->lock);
    bool full = pst_intern_count(names->texts) > MAX_TEXTS / 4 * 3 ||
                pst_intern_bytes(names->texts) > MAX_TEXT_BYTES / 4 * 3 ||
                pst_intern_count(names->functions) > MAX_FUNCTIONS / 4 * 3 ||
                pst_intern_bytes(names->functions) > MAX_TUPLE_BYTES / 4 * 3;
    pthread_mutex_unlock(&names->lock);
    return full;
}

size_t pst_names_bytes(struct pst_names *names)
{
    pthread_mutex_lock(&names->lock);
    size_t bytes = pst_intern_bytes(names->texts) + pst_intern_bytes(names->functions) +
                   pst_intern_bytes(names->origins);
    pthread_mutex_unlock(&names->lock);
    return bytes;
}
