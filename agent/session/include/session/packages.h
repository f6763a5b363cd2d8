/* How a program itself would call its files: the part of a path from the outermost package on
 * (a folder with __init__.py), the file's own name where it lies in none. A child of ours asks the
 * programs' file systems and can be left behind: one that never answers costs a second, once. */
#ifndef PST_SESSION_PACKAGES_H
#define PST_SESSION_PACKAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/str.h"

struct pst_packages;

/* The processes whose root folders are looked into while they live, then ours; further ones than
 * PST_MAX_OPTION_VALUES are not. NULL when out of memory. */
struct pst_packages *pst_packages_new(const pid_t *pids, size_t count);
struct pst_packages *pst_packages_free(struct pst_packages *packages);
/* False when the file is not there or nobody answers. A view into path. */
bool pst_packages_file(void *packages, struct pst_str path, struct pst_str *ret);

#endif
