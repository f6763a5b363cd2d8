/* What a profile means, as a sorted list of texts: "leaf|...|root#labels" with its two sums. The
 * slow and obvious model that the real tables are compared with. */
#ifndef PST_TEST_NAIVE_MODEL_H
#define PST_TEST_NAIVE_MODEL_H

#include <stdio.h>
#include <stdlib.h>

#include "sample_profiles.h"

struct naive_row {
    char key[2048];
    int64_t samples, value_ns;
};

struct naive {
    struct naive_row *rows;
    size_t count;
};

typedef bool (*keep_label_fn)(void *context, struct pst_str key);

static inline int naive_order(const void *a, const void *b)
{
    return strcmp(((const struct naive_row *)a)->key, ((const struct naive_row *)b)->key);
}

static inline int text_order(const void *a, const void *b)
{
    return strcmp(a, b);
}

static inline void naive_put(struct naive *model, const char *key, int64_t samples, int64_t value)
{
    for (size_t i = 0; i < model->count; i++) {
        if (strcmp(model->rows[i].key, key) != 0)
            continue;
        model->rows[i].samples += samples;
        model->rows[i].value_ns += value;
        return;
    }
    model->rows = realloc(model->rows, (model->count + 1) * sizeof(*model->rows));
    assert_non_null(model->rows);
    memset(&model->rows[model->count], 0, sizeof(*model->rows));
    (void)snprintf(model->rows[model->count].key, sizeof(model->rows->key), "%s", key);
    model->rows[model->count].samples = samples;
    model->rows[model->count].value_ns = value;
    model->count++;
}

static inline void naive_key(const struct pst_profile *p, const struct pst_profile_sample *sample,
                             keep_label_fn keep, char *key, size_t size)
{
    char labels[8][128];
    size_t used = 0, kept = 0;

    for (size_t i = 0; i < sample->depth; i++) {
        const struct pst_function *function;
        uint32_t id;
        int64_t line;

        pst_profile_location_at(p, sample->locations[i], &id, &line);
        function = pst_profile_function_at(p, id);
        used += (size_t)snprintf(key + used, size - used, "%lld+%lld ",
                                 (long long)function->start_line, (long long)line);
        used += (size_t)snprintf(key + used, size - used, "%.*s,%.*s|",
                                 (int)pst_profile_text(p, function->name).len,
                                 pst_profile_text(p, function->name).ptr,
                                 (int)pst_profile_text(p, function->filename).len,
                                 pst_profile_text(p, function->filename).ptr);
    }
    for (size_t i = 0; i < sample->label_count; i++) {
        const struct pst_label *label = &sample->labels[i];
        struct pst_str name = pst_profile_text(p, label->key);
        struct pst_str text = pst_profile_text(p, label->numeric ? label->unit : label->str);

        if (keep && !keep(NULL, name))
            continue;
        (void)snprintf(labels[kept++], sizeof(labels[0]), "%.*s=%.*s%lld", (int)name.len, name.ptr,
                       (int)text.len, text.ptr, label->numeric ? (long long)label->num : -1LL);
    }
    qsort(labels, kept, sizeof(labels[0]), text_order);
    for (size_t i = 0; i < kept; i++)
        used += (size_t)snprintf(key + used, size - used, "#%s", labels[i]);
}

/* Adds samples [first, last) of the profile to the model. */
static inline void naive_add(struct naive *model, const struct pst_profile *p, uint32_t first,
                             uint32_t last, keep_label_fn keep)
{
    for (uint32_t i = first; i < last; i++) {
        struct pst_profile_sample sample;
        char key[2048];

        pst_profile_sample(p, i, &sample);
        naive_key(p, &sample, keep, key, sizeof(key));
        naive_put(model, key, sample.samples, sample.value_ns);
    }
    if (model->count)
        qsort(model->rows, model->count, sizeof(*model->rows), naive_order);
}

static inline void assert_naive_equal(const struct naive *a, const struct naive *b)
{
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        assert_string_equal(a->rows[i].key, b->rows[i].key);
        assert_int_equal(a->rows[i].samples, b->rows[i].samples);
        assert_int_equal(a->rows[i].value_ns, b->rows[i].value_ns);
    }
}

static inline void naive_done(struct naive *model)
{
    free(model->rows);
    *model = (struct naive){0};
}

static inline void assert_same_meaning(const struct pst_profile *a, const struct pst_profile *b)
{
    struct naive left = {0}, right = {0};

    naive_add(&left, a, 0, pst_profile_sample_count(a), NULL);
    naive_add(&right, b, 0, pst_profile_sample_count(b), NULL);
    assert_naive_equal(&left, &right);
    naive_done(&left);
    naive_done(&right);
}

#endif
