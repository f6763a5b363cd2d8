/* Lines of the .pyx behind lines of the C file that Cython generated, from the comments that it
 * leaves there: / * "file.pyx":12 * /. */
#ifndef PST_NATIVE_CYTHON_H
#define PST_NATIVE_CYTHON_H

#include <sys/types.h>

#include "base/str.h"

struct pst_cython_files;
struct pst_cython_files *pst_cython_files_new(pid_t pid);
struct pst_cython_files *pst_cython_files_free(struct pst_cython_files *files);

/* The file is looked for in the target's root. False when it is not there, is too large, or says
 * nothing about that line. *ret_file lives as long as files. */
bool pst_cython_line(struct pst_cython_files *files, const char *c_file, int line,
                     struct pst_str *ret_file, int *ret_line);

#endif
