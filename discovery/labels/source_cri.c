/* What the container runtime says of a pod, where Kubernetes said nothing: its names are the same,
 * only owners and the node are missing. */
#include "label_source.h"

void pst_label_source_cri(struct pst_labelling *labelling)
{
    const struct pst_meta *meta = labelling->engines[PST_ENGINE_CRI];

    if (!meta || labelling->engines[PST_ENGINE_KUBERNETES])
        return;
    pst_label_series(labelling, "namespace", pst_meta_get(meta, "__meta_kubernetes_namespace"),
                     "sandbox");
    pst_label_series(labelling, "pod", pst_meta_get(meta, "__meta_kubernetes_pod_name"), "sandbox");
    pst_label_series(labelling, "container",
                     pst_meta_get(meta, "__meta_kubernetes_pod_container_name"), "container");
    pst_label_engine(labelling, PST_ENGINE_CRI);
}
