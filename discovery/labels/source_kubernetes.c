/* What Kubernetes says: where the process runs, before anything that the process says of itself. */
#include "label_source.h"

static struct pst_str get(const struct pst_labelling *labelling, const char *name)
{
    const struct pst_meta *meta = labelling->engines[PST_ENGINE_KUBERNETES];

    return meta ? pst_meta_get(meta, name) : (struct pst_str){"", 0};
}

void pst_label_source_kubernetes(struct pst_labelling *labelling)
{
    pst_label_series(labelling, "namespace", get(labelling, "__meta_kubernetes_namespace"), "pod");
    pst_label_series(labelling, "pod", get(labelling, "__meta_kubernetes_pod_name"), "pod");
    pst_label_series(labelling, "container", get(labelling, "__meta_kubernetes_pod_container_name"),
                     "pod");
    pst_label_series(labelling, "node", get(labelling, "__meta_kubernetes_pod_node_name"), "pod");
    pst_label_engine(labelling, PST_ENGINE_KUBERNETES);
}
