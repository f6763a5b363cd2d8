/* The list of exporter types, from exporters.def. */
#include "exporters/exporter.h"

#define PST_EXPORTER(name) extern const struct pst_exporter_type pst_##name##_exporter;
#include "exporters.def"
#undef PST_EXPORTER

#define PST_EXPORTER(name) &pst_##name##_exporter,
static const struct pst_exporter_type *const types[] = {
#include "exporters.def"
};
#undef PST_EXPORTER

const struct pst_exporter_type *pst_exporter_type(struct pst_str name)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (pst_str_eq(pst_str(types[i]->name), name))
            return types[i];
    }
    return NULL;
}
