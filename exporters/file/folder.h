/* The folder that profiles are written into: names made safe, whole files only, bounded. Knows
 * its own files by their names and never touches another. */
#ifndef PST_FILE_FOLDER_H
#define PST_FILE_FOLDER_H

#include "base/str.h"

struct pst_folder;

/* Opens or creates (0700). Bounds of 0 mean none. 0 or negative errno. */
int pst_folder_open(const char *path, uint64_t max_bytes, uint64_t max_age_ns,
                    struct pst_folder **ret);
struct pst_folder *pst_folder_free(struct pst_folder *folder);

/* Writes one file and then removes the oldest until the bounds hold (the new one stays). time_ns is
 * the profile's start. 0 or negative errno; nothing half-written is left. */
int pst_folder_write(struct pst_folder *folder, struct pst_str service, const char *mode,
                     int64_t time_ns, struct pst_str data);

/* "SERVICE_MODE_20261123T175021Z_N.pb.gz" into name (PST_FOLDER_NAME_BYTES). */
#define PST_FOLDER_NAME_BYTES 200
void pst_folder_name(char *name, struct pst_str service, const char *mode, int64_t time_ns,
                     unsigned number);
/* Whether a name has that shape. */
bool pst_folder_owns(const char *name);

#endif
