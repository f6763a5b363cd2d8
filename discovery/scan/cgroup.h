/* Container id from cgroup text. */
#ifndef PST_SCAN_CGROUP_H
#define PST_SCAN_CGROUP_H

#include "base/str.h"

/* False outside any container, or where the text does not say. The id is a view of the text. */
bool pst_cgroup_container(struct pst_str text, struct pst_str *ret_id);

/* One component of such a path that names a container. */
bool pst_cgroup_component_id(struct pst_str part, struct pst_str *ret_id);

#endif
