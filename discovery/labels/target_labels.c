/* Asks the sources in their order. A label that one of them knew is settled. */
#include "labels/target_labels.h"

#include <errno.h>

#include "base/limits.h"
#include "label_source.h"

enum { WHY_BYTES = 16384 };

bool pst_label_known(const struct pst_labelling *labelling, const char *name)
{
    return pst_labels_get(labelling->labels->series, name).len > 0;
}

static int explain(struct pst_labelling *labelling, const char *name, struct pst_str value,
                   const char *by)
{
    struct pst_buf *why = &labelling->labels->why;
    int status = pst_buf_printf(why, "%s=\"", name);

    if (status == 0)
        status = pst_buf_escaped(why, value);
    if (status == 0)
        status = pst_buf_printf(why, "\" from %s: %s\n", labelling->source, by);
    return status;
}

void pst_label_series(struct pst_labelling *labelling, const char *name, struct pst_str value,
                      const char *by)
{
    struct pst_buf text __attribute__((cleanup(pst_buf_done)));

    pst_buf_init(&text, 4 * PST_MAX_LABEL_VALUE_BYTES);
    value = pst_str_trim(value);
    if (value.len > PST_MAX_LABEL_VALUE_BYTES)
        value.len = PST_MAX_LABEL_VALUE_BYTES;
    if (labelling->status < 0 || value.len == 0 || pst_label_known(labelling, name))
        return;
    int status = pst_buf_utf8(&text, value);
    if (status == 0)
        status = pst_labels_set(labelling->labels->series, pst_str(name), pst_buf_view(&text));
    if (status == 0)
        status = explain(labelling, name, pst_buf_view(&text), by);
    if (status == -ENOMEM)
        labelling->status = status;
}

void pst_label_meta(struct pst_labelling *labelling, const char *name, struct pst_str value)
{
    if (labelling->status < 0 || value.len == 0)
        return;
    int status = pst_meta_set(labelling->labels->meta, pst_str(name), value);
    if (status == -ENOMEM)
        labelling->status = status;
}

void pst_label_engine(struct pst_labelling *labelling, enum pst_engine engine)
{
    const struct pst_meta *meta = labelling->engines[engine];

    for (size_t i = 0; meta && i < pst_meta_count(meta) && labelling->status == 0; i++) {
        struct pst_str name, value;
        pst_meta_at(meta, i, &name, &value);
        if (pst_meta_set(labelling->labels->meta, name, value) == -ENOMEM)
            labelling->status = -ENOMEM;
    }
}

void pst_label_name_append(char *name, size_t size, struct pst_str text)
{
    size_t used = strlen(name);

    for (size_t i = 0; i < text.len && used + 1 < size; i++) {
        char c = text.ptr[i];
        bool word = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
        name[used++] = word ? c : '_';
        name[used] = '\0';
    }
}

static int add_series(struct pst_target_labels *labels)
{
    int status = 0;

    for (size_t i = 0; i < pst_labels_count(labels->series) && status == 0; i++) {
        struct pst_str name, value;
        pst_labels_at(labels->series, i, &name, &value);
        status = pst_meta_set(labels->meta, name, value);
    }
    return status == -ENOMEM ? status : 0;
}

int pst_target_labels_make(const struct pst_facts *facts, const struct pst_label_lookup *lookup,
                           struct pst_target_labels *ret)
{
    static const struct pst_engines none;
    const struct pst_engines *engines = lookup && lookup->engines ? lookup->engines : &none;
    struct pst_labelling labelling = {
        .facts = facts, .lookup = lookup, .engines = engines->of, .labels = ret};

    *ret = (struct pst_target_labels){.series = pst_labels_new(), .meta = pst_meta_new()};
    pst_buf_init(&ret->why, WHY_BYTES);
    if (!ret->series || !ret->meta)
        labelling.status = -ENOMEM;
#define PST_LABEL_SOURCE(id, word)                                                                 \
    if (labelling.status == 0) {                                                                   \
        labelling.source = word;                                                                   \
        pst_label_source_##id(&labelling);                                                         \
    }
#include "label_sources.def"
#undef PST_LABEL_SOURCE
    if (labelling.status == 0)
        labelling.status = add_series(ret);
    if (labelling.status < 0)
        pst_target_labels_done(ret);
    return labelling.status;
}

void pst_target_labels_done(struct pst_target_labels *labels)
{
    labels->series = pst_labels_free(labels->series);
    labels->meta = pst_meta_unref(labels->meta);
    pst_buf_done(&labels->why);
}
