/* One more file exporter on a snapshot that nobody else has seen yet: what --exporter-file asks. */
#include <errno.h>
#include <string.h>

#include "internal.h"

static bool name_taken(const struct pst_config *config, const char *name)
{
    for (size_t i = 0; i < config->exporter_count; i++)
        if (strcmp(config->exporters[i].name, name) == 0)
            return true;
    return false;
}

int pst_config_add_file_exporter(struct pst_config *config, const char *directory)
{
    /* The folder's default is looked for in the environment, and replaced below. */
    char *const environment[] = {(char *)(uintptr_t) "XDG_STATE_HOME=/", NULL};
    struct pst_error ignored;
    struct pst_load load = {
        .snapshot = (struct pst_snapshot *)config, .environment = environment, .error = &ignored};
    size_t count = config->exporter_count;
    struct pst_config_exporter *items = pst_load_alloc(&load, (count + 1) * sizeof *items);

    if (!items)
        return -ENOMEM;
    if (count)
        memcpy(items, config->exporters, count * sizeof *items);
    struct pst_config_exporter *added = &items[count];
    int rc = pst_apply_defaults(&load, pst_exporter_settings,
                                pst_setting_exporter_type(PST_STR("file")), added);
    added->type = pst_load_copy(&load, PST_STR("file"));
    added->directory = pst_load_copy(&load, pst_str(directory));
    const char *name = name_taken(config, "file") ? "exporter-file" : "file";
    added->name = pst_load_copy(&load, pst_str(name));
    if (rc < 0 || !added->type || !added->directory || !added->name)
        return -ENOMEM;
    memcpy(added->where, "--exporter-file", sizeof "--exporter-file");
    config->exporters = items;
    config->exporter_count = count + 1;
    return 0;
}
