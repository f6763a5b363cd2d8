/* A container's name by Docker or podman; with compose its service. */
#include "label_source.h"

void pst_label_source_docker(struct pst_labelling *labelling)
{
    const struct pst_meta *meta = labelling->engines[PST_ENGINE_DOCKER];
    static const char compose[] = "__meta_docker_container_label_com_docker_compose_service";

    if (!meta)
        return;
    pst_label_series(labelling, "container", pst_meta_get(meta, "__meta_docker_container_name"),
                     "container name");
    pst_label_series(labelling, "service_name", pst_meta_get(meta, compose), "compose service");
    pst_label_series(labelling, "service_name", pst_meta_get(meta, "__meta_docker_container_name"),
                     "container name");
    pst_label_engine(labelling, PST_ENGINE_DOCKER);
}
