/* fuzz: labels net scan config profile base */
/* Any bytes as a list of pods of the kubelet or the API server, or as one pod of a watch: what is
 * accepted goes into a table that stands here for the real one. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

void pst_metadata_put(struct pst_metadata *metadata, enum pst_engine engine, struct pst_str id,
                      struct pst_meta *meta)
{
    struct pst_container_key key;
    struct pst_str name, value;

    (void)metadata;
    check(engine == PST_ENGINE_KUBERNETES);
    (void)pst_container_key_make(id, &key);
    check(pst_meta_count(meta) <= PST_MAX_META_LABELS);
    for (size_t i = 0; i < pst_meta_count(meta); i++) {
        pst_meta_at(meta, i, &name, &value);
        check(pst_str_starts(name, PST_STR("__meta_")));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pst_buf why;

    pst_buf_init(&why, 1024);
    json_t *root = pst_json_parse((struct pst_str){(const char *)data, size}, &why);
    if (root) {
        int status = pst_kubernetes_take(NULL, root);
        check(status == 0 || status == -EBADMSG || status == -ENOMEM);
        (void)pst_kubernetes_take_pod(NULL, root);
    }
    json_decref(root);
    pst_buf_done(&why);
    return 0;
}
