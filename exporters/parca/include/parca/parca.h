/* Parca: ProfileStoreService/WriteRaw over gRPC. */
#ifndef PST_PARCA_PARCA_H
#define PST_PARCA_PARCA_H

#include "exporters/exporter.h"

extern const struct pst_exporter_type pst_parca_exporter;

#endif
