/* What the texts of /proc/PID/cgroup and mountinfo say besides the container's id. Pure. */
#ifndef PST_SCAN_CGROUP_NAMES_H
#define PST_SCAN_CGROUP_NAMES_H

#include "base/str.h"

/* True inside a pod of Kubernetes. */
bool pst_cgroup_in_pod(struct pst_str text);
/* UID of the pod with dashes, into dst (at least 40 bytes); "" when the text does not say. */
struct pst_str pst_cgroup_pod_uid(struct pst_str text, char *dst, size_t size);
/* Id of the pod's own container that the process is in, maybe deeper inside, in a container that an
 * engine in that container made; "" when the text does not say. A view of the text. */
struct pst_str pst_cgroup_pod_container(struct pst_str text);
/* UID of the pod and name of the container by the kubelet's paths in /proc/PID/mountinfo
 * (.../pods/UID/containers/NAME/..., .../pods/UID/volumes/...): views of the text, left alone where
 * it does not say. */
void pst_mountinfo_pod(struct pst_str text, struct pst_str *ret_uid, struct pst_str *ret_container);
/* True when the text, read inside a private cgroup namespace, names a container beside one's own.
 */
bool pst_cgroup_is_sibling(struct pst_str text);
/* The systemd service that the process runs in, "nginx.service"; empty in a container or when there
 * is none. A view of the text. */
struct pst_str pst_cgroup_unit(struct pst_str text);

#endif
