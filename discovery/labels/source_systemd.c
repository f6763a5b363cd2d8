/* The systemd service that a process of the host belongs to. */
#include "label_source.h"
#include "scan/cgroup_names.h"

void pst_label_source_systemd(struct pst_labelling *labelling)
{
    struct pst_str unit = pst_cgroup_unit(labelling->facts->cgroup);

    pst_label_meta(labelling, "__meta_systemd_unit", unit);
    if (unit.len > 8)
        pst_label_series(labelling, "service_name", (struct pst_str){unit.ptr, unit.len - 8},
                         "unit");
}
