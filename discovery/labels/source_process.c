/* The process itself: the last resort for a name, and the meta labels of every target. */
#include <stdio.h>

#include "base/limits.h"
#include "label_source.h"
#include "labels/mask.h"

static void number(struct pst_labelling *labelling, const char *name, uint64_t value)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    pst_label_meta(labelling, name, pst_str(text));
}

static void masked_arguments(struct pst_labelling *labelling)
{
    struct pst_buf text __attribute__((cleanup(pst_buf_done)));

    pst_buf_init(&text, 2 * PST_MAX_CMDLINE_BYTES);
    if (pst_mask_arguments(labelling->facts->argv, &text) == 0)
        pst_label_meta(labelling, "__meta_process_cmdline", pst_buf_view(&text));
}

void pst_label_source_process(struct pst_labelling *labelling)
{
    const struct pst_facts *facts = labelling->facts;
    char version[32];

    pst_label_series(labelling, "service_name", pst_str_basename(facts->exe), "executable");
    pst_label_series(labelling, "service_name", facts->comm, "name of the process");
    pst_label_series(labelling, "service_name", PST_STR("python"), "nothing else is known");
    number(labelling, "__meta_process_pid", (uint64_t)facts->pid);
    number(labelling, "__meta_process_ppid", (uint64_t)facts->ppid);
    number(labelling, "__meta_process_uid", facts->uid);
    number(labelling, "__meta_process_start_time", facts->start_time_ns / 1000000000);
    pst_label_meta(labelling, "__meta_process_exe", facts->exe);
    pst_label_meta(labelling, "__meta_process_comm", facts->comm);
    pst_label_meta(labelling, "__meta_process_cwd", facts->cwd);
    pst_label_meta(labelling, "__meta_process_cgroup", facts->cgroup);
    masked_arguments(labelling);
    pst_label_meta(labelling, "__meta_python_version",
                   pst_str(pst_version_text(facts->runtime.hexversion, version, sizeof(version))));
    pst_label_meta(labelling, "__meta_python_implementation", PST_STR("cpython"));
    pst_label_meta(labelling, "__meta_python_free_threaded",
                   facts->runtime.free_threaded ? PST_STR("true") : PST_STR("false"));
}
