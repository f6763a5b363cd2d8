/* Where nobody can be asked: the pod's UID and the container's name by the paths that the kubelet
 * mounts into every container. The rest stays empty. */
#include "label_source.h"
#include "scan/cgroup_names.h"

void pst_label_source_kubelet_mounts(struct pst_labelling *labelling)
{
    const struct pst_facts *facts = labelling->facts;
    char dst[40];
    struct pst_str uid = facts->pod_uid;

    if (labelling->engines[PST_ENGINE_KUBERNETES] || labelling->engines[PST_ENGINE_CRI])
        return;
    if (uid.len == 0)
        uid = pst_cgroup_pod_uid(facts->cgroup, dst, sizeof(dst));
    pst_label_meta(labelling, "__meta_kubernetes_pod_uid", uid);
    pst_label_meta(labelling, "__meta_kubernetes_pod_container_name", facts->pod_container);
    pst_label_series(labelling, "container", facts->pod_container, "the kubelet's paths");
}
