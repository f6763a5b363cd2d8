/* A file that a command writes: opened before the work, so that a place that cannot be written
 * costs nothing but the command, and whole or not there at all afterwards. */
#ifndef PST_COMMANDS_OUTPUT_H
#define PST_COMMANDS_OUTPUT_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"

struct pst_output {
    char *path;      /* as people know it; "-" is standard output */
    char *target;    /* what is renamed over; symbolic links followed */
    char *temporary; /* NULL when written directly */
    bool created;    /* target was made, empty, by following a link to nothing */
    int fd;
};

/* Opens; a regular file, or none, by a temporary one in the same folder; what a symbolic link names
 * is what is written. Takes path, which was malloc'ed. -errno with the error filled. */
int pst_output_open(char *path, struct pst_output *ret, struct pst_error *error);
/* Writes everything and puts the file in its place. Under sudo it belongs to who called sudo.
 * -errno with the error filled. */
int pst_output_commit(struct pst_output *output, const struct pst_buf *bytes,
                      struct pst_error *error);
/* Removes what was not committed. */
void pst_output_done(struct pst_output *output);

#endif
