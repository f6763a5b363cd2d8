/* OTLP profiles over gRPC and HTTP/protobuf, in the layout of releases 1.10 and 1.11. */
#ifndef PST_OTLP_OTLP_H
#define PST_OTLP_OTLP_H

#include "exporters/exporter.h"

extern const struct pst_exporter_type pst_otlp_exporter;

/* The message ExportProfilesServiceRequest with this one profile, appended. external may be NULL.
 * id: 16 bytes that name the profile, so that a receiver can tell a repetition. 0, -ENOMEM, -EFBIG.
 */
int pst_otlp_encode(const struct pst_profile *profile, const struct pst_labels *labels,
                    const struct pst_config_pairs *external, const unsigned char id[16],
                    struct pst_buf *out);

/* Whether a reply is a partial success that refused profiles; its message into text. */
bool pst_otlp_refused(struct pst_str reply, char *text, size_t size);

#endif
