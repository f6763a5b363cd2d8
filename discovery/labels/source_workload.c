/* The service's name by what Kubernetes says: annotations first, then labels, then who made the
 * pod, then the pod itself. A runtime does not know who made a pod, and the pod's own name would
 * be another with each replica. */
#include "label_source.h"

#define META "__meta_kubernetes_pod_"

void pst_label_source_workload(struct pst_labelling *labelling)
{
    static const struct {
        const char *name, *by;
    } rows[] = {
        {META "annotation_resource_opentelemetry_io_service_name",
         "annotation resource.opentelemetry.io/service.name"},
        {META "annotation_pyroscope_io_service_name", "annotation pyroscope.io/service_name"},
        {META "label_app_kubernetes_io_name", "label app.kubernetes.io/name"},
        {META "deployment_name", "Deployment"},
        {META "cronjob_name", "CronJob"},
        {META "static_name", "static pod"}, /* whose owner is the node */
        {META "controller_name", "owner"},
        {META "name", "pod"},
    };
    const struct pst_meta *pod = labelling->engines[PST_ENGINE_KUBERNETES];
    const struct pst_meta *meta = pod ? pod : labelling->engines[PST_ENGINE_CRI];
    size_t count = sizeof(rows) / sizeof(rows[0]) - (pod ? 0 : 1);
    char own[256] = META "annotation_pystrobe_io_service_name_";

    if (!meta)
        return;
    pst_label_name_append(own, sizeof(own), pst_meta_get(meta, META "container_name"));
    pst_label_series(labelling, "service_name", pst_meta_get(meta, own),
                     "annotation pystrobe.io/service-name of the container");
    pst_label_series(labelling, "service_name",
                     pst_meta_get(meta, META "annotation_pystrobe_io_service_name"),
                     "annotation pystrobe.io/service-name");
    for (size_t i = 0; i < count; i++)
        pst_label_series(labelling, "service_name", pst_meta_get(meta, rows[i].name), rows[i].by);
}
