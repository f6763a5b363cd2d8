/* Profiles as files in a folder: SERVICE_MODE_TIMESTAMP_N.pb.gz, for `go tool pprof` and people. */
#ifndef PST_FILE_FILE_H
#define PST_FILE_FILE_H

#include "exporters/exporter.h"

extern const struct pst_exporter_type pst_file_exporter;

#endif
