/* Values of the rows of counters.def: one list per family, guarded by one mutex. Nothing on the
 * sampling path comes here: the readers count in plain structs that travel with their windows. */
#include "base/metrics.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { VALUES_PER_FAMILY = 256, LABEL_BYTES = 4096 };

struct value {
    char *label1, *label2;
    double number;
};

struct family {
    struct value *values;
    size_t count, cap;
};

#define PST_METRIC(id, name, kind, labels, help) {name, kind, labels, help},
static const struct pst_metric_row rows[PST_METRIC_COUNT] = {
#include "base/counters.def"
};
#undef PST_METRIC

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct family families[PST_METRIC_COUNT];

const struct pst_metric_row *pst_metric_row(enum pst_metric id)
{
    return &rows[id];
}

static bool same(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static struct value *find(struct family *family, const char *label1, const char *label2)
{
    for (size_t i = 0; i < family->count; i++)
        if (same(family->values[i].label1, label1) && same(family->values[i].label2, label2))
            return &family->values[i];
    return NULL;
}

static struct value *insert(struct family *family, const char *label1, const char *label2)
{
    if (family->count == family->cap) {
        size_t cap = family->cap ? family->cap * 2 : 4;
        struct value *values = realloc(family->values, cap * sizeof(*values));
        if (!values)
            return NULL;
        family->values = values;
        family->cap = cap;
    }
    struct value *value = &family->values[family->count];
    *value = (struct value){label1 ? strdup(label1) : NULL, label2 ? strdup(label2) : NULL, 0};
    if ((label1 && !value->label1) || (label2 && !value->label2)) {
        free(value->label1);
        free(value->label2);
        return NULL;
    }
    family->count++;
    return value;
}

static struct value *find_or_insert(enum pst_metric id, const char *label1, const char *label2)
{
    struct family *family = &families[id];
    struct value *value = find(family, label1, label2);
    if (value)
        return value;
    if (family->count >= VALUES_PER_FAMILY) {
        label1 = label1 ? "other" : NULL;
        label2 = label2 ? "other" : NULL;
        value = find(family, label1, label2);
    }
    return value ? value : insert(family, label1, label2);
}

void pst_metric_add(enum pst_metric id, const char *label1, const char *label2, double delta)
{
    pthread_mutex_lock(&lock);
    struct value *value = find_or_insert(id, label1, label2);
    if (value)
        value->number += delta;
    pthread_mutex_unlock(&lock);
}

void pst_metric_set(enum pst_metric id, const char *label1, const char *label2, double number)
{
    pthread_mutex_lock(&lock);
    struct value *value = find_or_insert(id, label1, label2);
    if (value)
        value->number = number;
    pthread_mutex_unlock(&lock);
}

double pst_metric_get(enum pst_metric id, const char *label1, const char *label2)
{
    pthread_mutex_lock(&lock);
    struct value *value = find(&families[id], label1, label2);
    double number = value ? value->number : 0;
    pthread_mutex_unlock(&lock);
    return number;
}

double pst_metric_sum(enum pst_metric id)
{
    double sum = 0;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < families[id].count; i++)
        sum += families[id].values[i].number;
    pthread_mutex_unlock(&lock);
    return sum;
}

void pst_metric_clear(enum pst_metric id)
{
    pthread_mutex_lock(&lock);
    struct family *family = &families[id];
    for (size_t i = 0; i < family->count; i++) {
        free(family->values[i].label1);
        free(family->values[i].label2);
    }
    free(family->values);
    *family = (struct family){0};
    pthread_mutex_unlock(&lock);
}

/* One value that is no UTF-8 would cost the reader of the page all others. */
static int write_label(struct pst_buf *out, struct pst_str name, const char *text)
{
    struct pst_buf clean;
    pst_buf_init(&clean, LABEL_BYTES);
    (void)pst_buf_utf8(&clean, pst_str(text ? text : "")); /* no text of ours is longer */
    int r = pst_buf_printf(out, "%.*s=\"", (int)name.len, name.ptr);
    for (size_t i = 0; i < clean.len && r == 0; i++) {
        char c = clean.data[i];
        r = c == '\n'               ? pst_buf_puts(out, "\\n")
            : c == '"' || c == '\\' ? pst_buf_printf(out, "\\%c", c)
                                    : pst_buf_append(out, &c, 1);
    }
    pst_buf_done(&clean);
    return r < 0 ? r : pst_buf_puts(out, "\"");
}

static int write_number(struct pst_buf *out, double number)
{
    if (fabs(number) < 1e15 && number == floor(number))
        return pst_buf_printf(out, " %.0f\n", number);
    return pst_buf_printf(out, " %.9g\n", number);
}

static int write_value(struct pst_buf *out, const struct pst_metric_row *row,
                       const struct value *value)
{
    int r = pst_buf_puts(out, row->name);
    struct pst_str names = row->labels[0] ? pst_str(row->labels) : (struct pst_str){NULL, 0};
    struct pst_str name;
    const char *texts[2] = {value ? value->label1 : NULL, value ? value->label2 : NULL};
    for (int i = 0; i < 2 && r == 0 && pst_str_next(&names, ',', &name); i++) {
        r = pst_buf_puts(out, i == 0 ? "{" : ",");
        if (r == 0)
            r = write_label(out, name, texts[i]);
    }
    if (r == 0 && row->labels[0])
        r = pst_buf_puts(out, "}");
    return r < 0 ? r : write_number(out, value ? value->number : 0);
}

static int write_family(struct pst_buf *out, size_t id)
{
    const struct pst_metric_row *row = &rows[id];
    const struct family *family = &families[id];
    int r = pst_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", row->name, row->help, row->name,
                           row->kind);
    /* A family without labels is always there, so that an alert on it never lacks its series. */
    if (r == 0 && family->count == 0 && !row->labels[0])
        r = write_value(out, row, NULL);
    for (size_t i = 0; i < family->count && r == 0; i++)
        r = write_value(out, row, &family->values[i]);
    return r;
}

int pst_metrics_write(struct pst_buf *out)
{
    int r = 0;
    pthread_mutex_lock(&lock);
    for (size_t id = 0; id < PST_METRIC_COUNT && r == 0; id++)
        r = write_family(out, id);
    pthread_mutex_unlock(&lock);
    return r;
}
