/* fuzz: labels net scan config profile base */
/* Any bytes as a container runtime's answer: the first byte says whether containers or pods were
 * asked for. What is found must be what was asked for, and nothing may be said of another. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char id[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_values(const struct pst_meta *meta)
{
    struct pst_str name, value;

    check(pst_meta_count(meta) <= PST_MAX_META_LABELS);
    for (size_t i = 0; i < pst_meta_count(meta); i++) {
        pst_meta_at(meta, i, &name, &value);
        check(pst_str_starts(name, PST_STR("__meta_kubernetes_")));
        check(value.len <= 3 * PST_MAX_LABEL_VALUE_BYTES); /* a wrong byte becomes three */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char pod[PST_CONTAINER_ID_BYTES] = "";
    struct pst_meta *meta = pst_meta_new();
    int status;

    if (size == 0 || size > PST_MAX_CRI_BYTES || !meta) {
        pst_meta_unref(meta);
        return 0;
    }
    struct pst_str answer = {(const char *)data + 1, size - 1};
    if (data[0] & 1)
        status = pst_cri_take_pod(answer, id, meta);
    else
        status = pst_cri_take_container(answer, id, meta, pod);
    check(status == 1 || status == 0 || status == -EBADMSG);
    if (status == 1 && !(data[0] & 1))
        check(pst_str_eq(pst_meta_get(meta, "__meta_kubernetes_pod_container_id"), pst_str(id)));
    if (status != 1)
        check(pst_meta_count(meta) == 0);
    check_values(meta);
    pst_meta_unref(meta);
    return 0;
}
