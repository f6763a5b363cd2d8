/* fuzz: labels scan target profile base */
/* Any bytes as what else a process says of itself: cgroup, environment, arguments, version text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup.h"
#include "detect.h"
#include "environ.h"
#include "labels/mask.h"
#include "labels/target_labels.h"
#include "scan/cgroup_names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_container(struct pst_str text)
{
    struct pst_str id;
    char uid[40];

    struct pst_str pod = {"", 0}, container = {"", 0};

    pst_mountinfo_pod(text, &pod, &container);
    (void)pst_cgroup_in_pod(text);
    (void)pst_cgroup_is_sibling(text);
    (void)pst_cgroup_unit(text);
    (void)pst_cgroup_pod_container(text);
    if (pst_cgroup_pod_uid(text, uid, sizeof(uid)).len > 36)
        abort();

    if (!pst_cgroup_container(text, &id))
        return;
    if (id.len < 34 || id.ptr < text.ptr || id.ptr + id.len > text.ptr + text.len)
        abort();
}

static void check_labels(struct pst_str text, struct pst_str env)
{
    struct pst_facts facts = {.argv = text, .env = env, .cwd = text, .cgroup = text, .comm = text};
    struct pst_target_labels labels;

    if (pst_target_labels_make(&facts, NULL, &labels) < 0)
        return;
    if (pst_labels_get(labels.series, "service_name").len == 0)
        abort();
    pst_target_labels_done(&labels);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pst_str text = {(const char *)data, size};
    struct pst_buf env, masked;
    uint64_t words[64] = {0};
    uint32_t hexversion;

    check_container(text);
    (void)pst_version_search(text, &hexversion);
    (void)pst_version_from_name(text, &hexversion);
    memcpy(words, data, size < sizeof(words) ? size : sizeof(words));
    (void)pst_random_parse(words, 64);
    pst_buf_init(&env, 65536);
    pst_buf_init(&masked, 4 * size + 65536);
    (void)pst_environ_intact(text, size & 1);
    (void)pst_environ_filter(text, &env);
    check_labels(text, pst_buf_view(&env));
    if (pst_mask_arguments(text, &masked) < 0)
        abort();
    pst_buf_done(&env);
    pst_buf_done(&masked);
    return 0;
}
