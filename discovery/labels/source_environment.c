/* What the target's own environment says: the variables of OpenTelemetry, Pyroscope and Datadog
 * first, then those that pods are commonly given. */
#include "label_source.h"

static const struct pst_str nothing = {"", 0};

static struct pst_str variable(const struct pst_labelling *labelling, const char *name)
{
    struct pst_str value;

    return pst_facts_env(labelling->facts, name, &value) ? pst_str_trim(value) : nothing;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    char lower = (char)(c | 32);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Values are percent-encoded as in W3C baggage. */
static struct pst_str decode(struct pst_str value, char *dst, size_t size)
{
    size_t used = 0;

    for (size_t i = 0; i < value.len && used < size; i++) {
        char c = value.ptr[i];
        if (c == '%' && i + 2 < value.len && hex_digit(value.ptr[i + 1]) >= 0 &&
            hex_digit(value.ptr[i + 2]) >= 0) {
            c = (char)(hex_digit(value.ptr[i + 1]) * 16 + hex_digit(value.ptr[i + 2]));
            i += 2;
        }
        dst[used++] = c;
    }
    return (struct pst_str){dst, used};
}

/* key=value,key=value; the first of a key counts. */
static struct pst_str attribute(struct pst_str list, const char *key, char *dst, size_t size)
{
    struct pst_str item, wanted = pst_str(key);

    while (pst_str_next(&list, ',', &item)) {
        size_t equals = pst_str_find(item, '=');
        if (equals == item.len ||
            !pst_str_eq(pst_str_trim((struct pst_str){item.ptr, equals}), wanted))
            continue;
        struct pst_str value = {item.ptr + equals + 1, item.len - equals - 1};
        return decode(pst_str_trim(value), dst, size);
    }
    return nothing;
}

static void from_attribute(struct pst_labelling *labelling, const char *label, const char *key)
{
    char decoded[1024], by[128] = "OTEL_RESOURCE_ATTRIBUTES ";
    struct pst_str list = variable(labelling, "OTEL_RESOURCE_ATTRIBUTES");

    strncat(by, key, sizeof(by) - strlen(by) - 1);
    pst_label_series(labelling, label, attribute(list, key, decoded, sizeof(decoded)), by);
}

static void from_variable(struct pst_labelling *labelling, const char *label, const char *name)
{
    pst_label_series(labelling, label, variable(labelling, name), name);
}

static void service(struct pst_labelling *labelling)
{
    from_variable(labelling, "service_name", "OTEL_SERVICE_NAME");
    from_attribute(labelling, "service_name", "service.name");
    /* name{tag=value}: the tags are its SDK's business */
    struct pst_str name = variable(labelling, "PYROSCOPE_APPLICATION_NAME");
    name.len = pst_str_find(name, '{');
    pst_label_series(labelling, "service_name", name, "PYROSCOPE_APPLICATION_NAME");
    from_variable(labelling, "service_name", "DD_SERVICE");
}

static void meta_variables(struct pst_labelling *labelling)
{
    static const struct pst_str prefix = {"__meta_env_var_", 15};
    struct pst_str rest = labelling->facts->env;
    char name[160];

    while (rest.len > 0) {
        size_t len = pst_str_find(rest, '\0');
        struct pst_str item = {rest.ptr, len};
        size_t step = len < rest.len ? len + 1 : len;
        rest = (struct pst_str){rest.ptr + step, rest.len - step};
        size_t equals = pst_str_find(item, '=');
        if (equals == item.len || prefix.len + equals >= sizeof(name))
            continue;
        memcpy(name, prefix.ptr, prefix.len);
        memcpy(name + prefix.len, item.ptr, equals);
        name[prefix.len + equals] = '\0';
        pst_label_meta(labelling, name,
                       (struct pst_str){item.ptr + equals + 1, item.len - equals - 1});
    }
}

void pst_label_source_environment(struct pst_labelling *labelling)
{
    service(labelling);
    from_variable(labelling, "namespace", "POD_NAMESPACE");
    from_variable(labelling, "namespace", "KUBERNETES_NAMESPACE");
    from_attribute(labelling, "namespace", "k8s.namespace.name");
    from_attribute(labelling, "namespace", "service.namespace");
    from_variable(labelling, "pod", "POD_NAME");
    from_attribute(labelling, "pod", "k8s.pod.name");
    from_attribute(labelling, "container", "k8s.container.name");
    from_variable(labelling, "node", "NODE_NAME");
    from_attribute(labelling, "node", "k8s.node.name");
    meta_variables(labelling);
}
