/* What a pod's description says of each of its containers, as a kubelet and an API server write it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "engine.h"
#include "labels/target_labels.h"

#define HASH "0123456789abcdef0123456789abcdef"
#define STATUS                                                                                     \
    "\"status\":{\"containerStatuses\":[{\"name\":\"app\",\"containerID\":\"cri-o://one\"}]}"

/* In place of the table's: the last container that was put. */
static char put_id[80];
static struct pst_meta *put;

void pst_metadata_put(struct pst_metadata *metadata, enum pst_engine engine, struct pst_str id,
                      struct pst_meta *meta)
{
    assert_int_equal(engine, PST_ENGINE_KUBERNETES);
    (void)snprintf(put_id, sizeof(put_id), "%.*s", (int)id.len, id.ptr);
    pst_meta_unref(put);
    put = pst_meta_ref(meta);
}

static void take(const char *text)
{
    struct pst_buf why;

    pst_buf_init(&why, 256);
    json_t *pod = pst_json_parse(pst_str(text), &why);
    assert_non_null(pod);
    assert_int_equal(pst_kubernetes_take_pod(NULL, pod), 0);
    json_decref(pod);
    pst_buf_done(&why);
}

static void service_is(const char *wanted)
{
    struct pst_engines engines = {{[PST_ENGINE_KUBERNETES] = put}};
    const struct pst_label_lookup lookup = {NULL, NULL, &engines};
    struct pst_facts facts = {.id = 1, .container_id = pst_str(put_id)};
    struct pst_target_labels labels;

    assert_int_equal(pst_target_labels_make(&facts, &lookup, &labels), 0);
    struct pst_str found = pst_labels_get(labels.series, "service_name");
    if (!pst_str_eq(found, pst_str(wanted)))
        fail_msg("service \"%.*s\", not \"%s\"", (int)found.len, found.ptr, wanted);
    pst_target_labels_done(&labels);
}

static void a_static_pod_is_not_called_after_the_node_that_owns_it(void **state)
{
    static const struct {
        const char *pod, *service;
    } rows[] = {
        /* the kubelet, with the hash for a UID */
        {"{\"metadata\":{\"name\":\"fixed-node-1\",\"uid\":\"" HASH "\",\"annotations\":{"
         "\"kubernetes.io/config.hash\":\"" HASH "\",\"kubernetes.io/config.source\":\"file\"}},"
         "\"spec\":{\"nodeName\":\"node-1\"}," STATUS "}",
         "fixed"},
        /* the API server's mirror of it */
        {"{\"metadata\":{\"name\":\"fixed-node-1\",\"annotations\":{\"kubernetes.io/"
         "config.mirror\":"
         "\"" HASH "\"},\"ownerReferences\":[{\"kind\":\"Node\",\"name\":\"node-1\",\"controller\":"
         "true}]},\"spec\":{\"nodeName\":\"node-1\"}," STATUS "}",
         "fixed"},
        /* named by itself all the same, and a name that is not of this shape */
        {"{\"metadata\":{\"name\":\"fixed-node-1\",\"annotations\":{\"kubernetes.io/"
         "config.source\":"
         "\"http\"},\"labels\":{\"app.kubernetes.io/name\":\"shop\"}},"
         "\"spec\":{\"nodeName\":\"node-1\"}," STATUS "}",
         "shop"},
        {"{\"metadata\":{\"name\":\"node-1\",\"annotations\":{\"kubernetes.io/"
         "config.source\":\"file\""
         "}},\"spec\":{\"nodeName\":\"node-1\"}," STATUS "}",
         "node-1"},
        /* a pod of the API server's with such a name is none */
        {"{\"metadata\":{\"name\":\"web-node-1\",\"annotations\":{\"kubernetes.io/config.source\":"
         "\"api\"}},\"spec\":{\"nodeName\":\"node-1\"}," STATUS "}",
         "web-node-1"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        take(rows[i].pod);
        assert_string_equal(put_id, "one");
        service_is(rows[i].service);
    }
    put = pst_meta_unref(put);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_static_pod_is_not_called_after_the_node_that_owns_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
