/* The agent's own counters and gauges: rows in counters.def, values here, text for /metrics.
 * Thread-safe. Label values are bounded per family; past the bound they count as "other". */
#ifndef PST_BASE_METRICS_H
#define PST_BASE_METRICS_H

#include "base/buf.h"

#define PST_METRIC(id, name, kind, labels, help) PST_METRIC_##id,
enum pst_metric {
#include "base/counters.def"
    PST_METRIC_COUNT
};
#undef PST_METRIC

/* Label values in the order of the row's label names; NULL-terminated by position (unused: NULL).
 */
void pst_metric_add(enum pst_metric id, const char *label1, const char *label2, double delta);
void pst_metric_set(enum pst_metric id, const char *label1, const char *label2, double value);
double pst_metric_get(enum pst_metric id, const char *label1, const char *label2);
/* Over all label values. */
double pst_metric_sum(enum pst_metric id);
/* Forgets every value of the family: for gauges that are recomputed as a whole. */
void pst_metric_clear(enum pst_metric id);

/* Prometheus text format 0.0.4. */
int pst_metrics_write(struct pst_buf *out);

/* The rows, for docs and tests. kind: "counter" or "gauge"; labels: comma-separated or "". */
struct pst_metric_row {
    const char *name, *kind, *labels, *help;
};
const struct pst_metric_row *pst_metric_row(enum pst_metric id);

#endif
