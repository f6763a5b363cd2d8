/* Grafana Pyroscope: push.v1 as Connect unary over HTTP/1.1, one profile in each request. */
#ifndef PST_PYROSCOPE_PYROSCOPE_H
#define PST_PYROSCOPE_PYROSCOPE_H

#include "exporters/exporter.h"

extern const struct pst_exporter_type pst_pyroscope_exporter;

#endif
