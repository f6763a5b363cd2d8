/* Series labels as resource attributes, by the names of the semantic conventions. */
#include <errno.h>

#include "base/cleanup.h"
#include "encoder.h"

/* First come, first kept: keys must be unique. */
static int add_resource(struct pst_otlp_encoder *encoder, struct pst_otlp_resource *resource,
                        struct pst_str key, struct pst_str value)
{
    size_t at = resource->message.n_attributes;
    if (value.len == 0 || at == PST_ARRAY_SIZE(resource->pairs))
        return 0;
    for (size_t i = 0; i < at; i++) {
        if (pst_str_eq(pst_str(resource->pairs[i].key), key))
            return 0;
    }
    resource->values[at] = (Pst__Otlp__AnyValue)PST__OTLP__ANY_VALUE__INIT;
    resource->values[at].value_case = PST__OTLP__ANY_VALUE__VALUE_STRING_VALUE;
    resource->values[at].string_value = pst_otlp_text(encoder, value);
    resource->pairs[at] = (Pst__Otlp__KeyValue)PST__OTLP__KEY_VALUE__INIT;
    resource->pairs[at].key = pst_otlp_text(encoder, key);
    resource->pairs[at].value = &resource->values[at];
    resource->list[at] = &resource->pairs[at];
    if (!resource->pairs[at].key || !resource->values[at].string_value)
        return -ENOMEM;
    resource->message.n_attributes = at + 1;
    return 0;
}

static struct pst_str resource_key(struct pst_str label)
{
    static const char *const names[][2] = {
        {"service_name", "service.name"},
        {"namespace", "k8s.namespace.name"},
        {"pod", "k8s.pod.name"},
        {"container", "k8s.container.name"},
        {"node", "k8s.node.name"},
        {"python_version", "process.runtime.version"},
        {"cluster", "k8s.cluster.name"},
        {"env", "deployment.environment.name"},
        {"service_version", "service.version"},
    };
    for (size_t i = 0; i < PST_ARRAY_SIZE(names); i++) {
        if (pst_str_eq(label, pst_str(names[i][0])))
            return pst_str(names[i][1]);
    }
    return label;
}

/* namespace.pod.container, as Kubernetes' conventions for OpenTelemetry have it. */
static int add_instance(struct pst_otlp_encoder *encoder, struct pst_otlp_resource *resource,
                        const struct pst_labels *labels)
{
    struct pst_str namespace = pst_labels_get(labels, "namespace");
    struct pst_str pod = pst_labels_get(labels, "pod");
    struct pst_str container = pst_labels_get(labels, "container");
    if (!namespace.len || !pod.len || !container.len)
        return 0;
    pst_auto(pst_buf_done) struct pst_buf text;
    pst_buf_init(&text, 3UL * PST_MAX_LABEL_VALUE_BYTES + 8);
    int r = pst_buf_printf(&text, "%s.%s.%s", namespace.ptr, pod.ptr, container.ptr);
    return r < 0 ? r
                 : add_resource(encoder, resource, PST_STR("service.instance.id"),
                                pst_buf_view(&text));
}

int pst_otlp_fill_resource(struct pst_otlp_encoder *encoder, const struct pst_labels *labels,
                           const struct pst_config_pairs *external,
                           struct pst_otlp_resource *resource)
{
    resource->message = (Pst__Otlp__Resource)PST__OTLP__RESOURCE__INIT;
    resource->message.attributes = resource->list;
    struct pst_str service = pst_labels_get(labels, "service_name");
    int r = add_resource(encoder, resource, PST_STR("service.name"),
                         service.len ? service : PST_STR("unknown_service"));
    for (size_t i = 0; r == 0 && external && i < external->count; i++)
        r = add_resource(encoder, resource, resource_key(pst_str(external->items[i].name)),
                         pst_str(external->items[i].value));
    for (size_t i = 0; r == 0 && i < pst_labels_count(labels); i++) {
        struct pst_str name, value;
        pst_labels_at(labels, i, &name, &value);
        if (!pst_str_starts(name, PST_STR("__")))
            r = add_resource(encoder, resource, resource_key(name), value);
    }
    if (r == 0)
        r = add_resource(encoder, resource, PST_STR("service.namespace"),
                         pst_labels_get(labels, "namespace"));
    if (r == 0)
        r = add_instance(encoder, resource, labels);
    if (r == 0)
        r = add_resource(encoder, resource, PST_STR("process.runtime.name"), PST_STR("cpython"));
    if (r == 0)
        r = add_resource(encoder, resource, PST_STR("telemetry.distro.name"), PST_STR("pystrobe"));
    return r < 0 ? r
                 : add_resource(encoder, resource, PST_STR("telemetry.distro.version"),
                                PST_STR(PST_VERSION));
}
