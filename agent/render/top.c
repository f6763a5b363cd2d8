/* The table of functions: one pass over the samples, each function counted once per stack. */
#include "render/top.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"

struct sums {
    int64_t self_ns, total_ns, self_samples, total_samples;
    uint32_t seen; /* number of the last sample (from 1) whose stack held it */
};

static void add_sample(const struct pst_profile *profile, uint32_t number, struct sums *functions,
                       struct sums *locations)
{
    struct pst_profile_sample sample;

    pst_profile_sample(profile, number - 1, &sample);
    for (size_t i = 0; i < sample.depth; i++) {
        struct sums *both[2];
        uint32_t function;
        int64_t line;

        pst_profile_location_at(profile, sample.locations[i], &function, &line);
        both[0] = &functions[function];
        both[1] = &locations[sample.locations[i]];
        for (int at = 0; at < 2; at++) {
            if (i == 0) {
                both[at]->self_ns += sample.value_ns;
                both[at]->self_samples += sample.samples;
            }
            if (both[at]->seen == number)
                continue;
            both[at]->seen = number;
            both[at]->total_ns += sample.value_ns;
            both[at]->total_samples += sample.samples;
        }
    }
}

/* The line of each function where most own time was; total time decides among equals. */
static void find_hot_lines(const struct pst_profile *profile, const struct sums *locations,
                           uint32_t *hottest)
{
    for (uint32_t at = 0; at < pst_profile_location_count(profile); at++) {
        uint32_t function;
        int64_t line;

        pst_profile_location_at(profile, at, &function, &line);
        if (hottest[function] == UINT32_MAX ||
            locations[at].self_ns > locations[hottest[function]].self_ns ||
            (locations[at].self_ns == locations[hottest[function]].self_ns &&
             locations[at].total_ns > locations[hottest[function]].total_ns))
            hottest[function] = at;
    }
}

static int by_self(const void *left, const void *right)
{
    const struct pst_top_row *a = left, *b = right;
    size_t shorter = a->name.len < b->name.len ? a->name.len : b->name.len;
    int order;

    if (a->self_ns != b->self_ns)
        return a->self_ns < b->self_ns ? 1 : -1;
    if (a->total_ns != b->total_ns)
        return a->total_ns < b->total_ns ? 1 : -1;
    order = memcmp(a->name.ptr, b->name.ptr, shorter);
    if (order == 0)
        order = (a->name.len > b->name.len) - (a->name.len < b->name.len);
    return order ? order : (a->start_line > b->start_line) - (a->start_line < b->start_line);
}

static void fill_rows(const struct pst_profile *profile, struct pst_top *top,
                      const struct sums *functions, const uint32_t *hottest)
{
    for (uint32_t id = 0; id < pst_profile_function_count(profile); id++) {
        const struct pst_function *function = pst_profile_function_at(profile, id);
        struct pst_top_row *row = &top->rows[top->count];
        uint32_t same;

        if (!functions[id].seen)
            continue;
        *row = (struct pst_top_row){
            .name = pst_profile_text(profile, function->name),
            .file = pst_profile_text(profile, function->filename),
            .start_line = function->start_line,
            .self_ns = functions[id].self_ns,
            .total_ns = functions[id].total_ns,
            .self_samples = functions[id].self_samples,
            .total_samples = functions[id].total_samples,
        };
        if (hottest[id] != UINT32_MAX)
            pst_profile_location_at(profile, hottest[id], &same, &row->hot_line);
        top->count++;
    }
}

int pst_top_new(const struct pst_profile *profile, struct pst_top **ret)
{
    size_t functions_count = pst_profile_function_count(profile);
    pst_autofree struct sums *functions = calloc(functions_count + 1, sizeof(*functions));
    pst_autofree struct sums *locations =
        calloc((size_t)pst_profile_location_count(profile) + 1, sizeof(*locations));
    pst_autofree uint32_t *hottest = malloc((functions_count + 1) * sizeof(*hottest));
    struct pst_top *top = calloc(1, sizeof(*top));

    if (top)
        top->rows = calloc(functions_count + 1, sizeof(*top->rows));
    if (!functions || !locations || !hottest || !top || !top->rows) {
        pst_top_free(top);
        return -ENOMEM;
    }
    memset(hottest, 0xff, (functions_count + 1) * sizeof(*hottest));
    for (uint32_t i = 0; i < pst_profile_sample_count(profile); i++)
        add_sample(profile, i + 1, functions, locations);
    find_hot_lines(profile, locations, hottest);
    fill_rows(profile, top, functions, hottest);
    pst_profile_total(profile, &top->total_samples, &top->total_ns);
    qsort(top->rows, top->count, sizeof(*top->rows), by_self);
    *ret = top;
    return 0;
}

struct pst_top *pst_top_free(struct pst_top *top)
{
    if (top)
        free(top->rows);
    free(top);
    return NULL;
}
