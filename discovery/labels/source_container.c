/* The container, as far as the process itself tells: its id. Names come from engines. */
#include "label_source.h"

void pst_label_source_container(struct pst_labelling *labelling)
{
    pst_label_meta(labelling, "__container_id__", labelling->facts->container_id);
    pst_label_meta(labelling, "__meta_container_id", labelling->facts->container_id);
}
