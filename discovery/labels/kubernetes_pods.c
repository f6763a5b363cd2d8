/* A v1 PodList, from the kubelet or the API server alike, as __meta_kubernetes_* labels of each
 * container, in the names of Prometheus' pod discovery. */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "engine.h"

enum { CRON_DIGITS = 8, DAY_S = 86400 };

static int set(struct pst_meta *meta, const char *name, struct pst_str value)
{
    int status = value.len > 0 ? pst_meta_set(meta, pst_str(name), value) : 0;

    return status == -ENOMEM ? status : 0;
}

static const json_t *controller_of(const json_t *metadata)
{
    json_t *owner;
    size_t i;

    json_array_foreach(json_object_get(metadata, "ownerReferences"), i, owner)
    {
        if (json_is_true(json_object_get(owner, "controller")))
            return owner;
    }
    return NULL;
}

/* NAME-END without the end, which is known from elsewhere; empty when it does not fit. */
static struct pst_str without_end(struct pst_str name, struct pst_str end)
{
    if (end.len == 0 || name.len <= end.len + 1 || !pst_str_ends(name, end) ||
        name.ptr[name.len - end.len - 1] != '-')
        return (struct pst_str){"", 0};
    return (struct pst_str){name.ptr, name.len - end.len - 1};
}

/* A CronJob names its jobs NAME-MINUTES, by the minute for which they were due; only a minute of
 * the day before the pod was made counts, so that no other job is taken for one. */
static struct pst_str cron_name(struct pst_str job, struct pst_str created)
{
    struct tm tm = {0};
    uint64_t minutes;
    size_t dash = pst_str_rfind(job, '-');
    char text[40];

    if (dash == job.len || job.len - dash - 1 != CRON_DIGITS || created.len >= sizeof(text) ||
        pst_str_u64((struct pst_str){job.ptr + dash + 1, CRON_DIGITS}, 10, UINT32_MAX, &minutes) <
            0)
        return (struct pst_str){"", 0};
    memcpy(text, created.ptr, created.len);
    text[created.len] = '\0';
    if (!strptime(text, "%Y-%m-%dT%H:%M:%S", &tm))
        return (struct pst_str){"", 0};
    int64_t late_s = (int64_t)timegm(&tm) - (int64_t)minutes * 60;
    return late_s >= -60 && late_s <= DAY_S ? (struct pst_str){job.ptr, dash}
                                            : (struct pst_str){"", 0};
}

static int set_owner(struct pst_meta *meta, const json_t *metadata)
{
    const json_t *owner = controller_of(metadata);
    struct pst_str kind = pst_json_member(owner, "kind"), name = pst_json_member(owner, "name");
    struct pst_str hash = pst_json_member(json_object_get(metadata, "labels"), "pod-template-hash");
    int status = set(meta, "__meta_kubernetes_pod_controller_kind", kind);

    if (status == 0)
        status = set(meta, "__meta_kubernetes_pod_controller_name", name);
    if (status == 0 && pst_str_eq(kind, PST_STR("ReplicaSet")))
        status = set(meta, "__meta_kubernetes_pod_deployment_name", without_end(name, hash));
    if (status == 0 && pst_str_eq(kind, PST_STR("Job")))
        status = set(meta, "__meta_kubernetes_pod_job_name", name);
    if (status == 0 && pst_str_eq(kind, PST_STR("Job")))
        status = set(meta, "__meta_kubernetes_pod_cronjob_name",
                     cron_name(name, pst_json_member(metadata, "creationTimestamp")));
    return status;
}

/* A pod that a file on the node describes has no owner, or the node, and is called NAME-NODE. */
static struct pst_str static_name(const json_t *metadata, const json_t *spec)
{
    const json_t *notes = json_object_get(metadata, "annotations");
    struct pst_str source = pst_json_member(notes, "kubernetes.io/config.source");
    struct pst_str name = pst_json_member(metadata, "name"), without;

    if (!json_object_get(notes, "kubernetes.io/config.mirror") &&
        !pst_str_eq(source, PST_STR("file")) && !pst_str_eq(source, PST_STR("http")))
        return (struct pst_str){"", 0};
    without = without_end(name, pst_json_member(spec, "nodeName"));
    return without.len > 0 ? without : name;
}

/* pystrobe as an image or a command: NAME, NAME:TAG, NAME@DIGEST, with any folder before it. */
static bool is_pystrobe(struct pst_str word)
{
    struct pst_str name = pst_str_basename(word);

    name.len = pst_str_find(name, '@');
    name.len = pst_str_find(name, ':');
    return pst_str_eq(name, PST_STR("pystrobe"));
}

static bool has_sidecar(const json_t *spec)
{
    static const char *const lists[] = {"containers", "initContainers"};
    json_t *container;
    size_t i;

    for (size_t list = 0; list < 2; list++) {
        json_array_foreach(json_object_get(spec, lists[list]), i, container)
        {
            const json_t *command = json_object_get(container, "command");
            if (is_pystrobe(pst_json_member(container, "image")) ||
                is_pystrobe(pst_json_view(json_array_get(command, 0))))
                return true;
        }
    }
    return false;
}

static int set_pod(struct pst_meta *meta, const json_t *pod)
{
    const json_t *metadata = json_object_get(pod, "metadata"), *spec = json_object_get(pod, "spec");
    const json_t *state = json_object_get(pod, "status");
    const struct {
        const char *name;
        struct pst_str value;
    } rows[] = {
        {"__meta_kubernetes_namespace", pst_json_member(metadata, "namespace")},
        {"__meta_kubernetes_pod_name", pst_json_member(metadata, "name")},
        {"__meta_kubernetes_pod_uid", pst_json_member(metadata, "uid")},
        {"__meta_kubernetes_pod_ip", pst_json_member(state, "podIP")},
        {"__meta_kubernetes_pod_host_ip", pst_json_member(state, "hostIP")},
        {"__meta_kubernetes_pod_phase", pst_json_member(state, "phase")},
        {"__meta_kubernetes_pod_node_name", pst_json_member(spec, "nodeName")},
        {"__meta_kubernetes_pod_static_name", static_name(metadata, spec)},
        {"__meta_pystrobe_sidecar", has_sidecar(spec) ? PST_STR("true") : PST_STR("")},
    };
    int status = 0;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && status == 0; i++)
        status = set(meta, rows[i].name, rows[i].value);
    if (status == 0)
        status = set_owner(meta, metadata);
    if (status == 0)
        status = pst_engine_set_map(meta, "__meta_kubernetes_pod_label_",
                                    "__meta_kubernetes_pod_labelpresent_",
                                    json_object_get(metadata, "labels"));
    if (status == 0)
        status = pst_engine_set_map(meta, "__meta_kubernetes_pod_annotation_",
                                    "__meta_kubernetes_pod_annotationpresent_",
                                    json_object_get(metadata, "annotations"));
    return status;
}

/* "containerd://ID" -> "ID" */
static struct pst_str bare_id(struct pst_str id)
{
    const char *at = memmem(id.ptr, id.len, "://", 3);

    return at ? (struct pst_str){at + 3, id.len - (size_t)(at + 3 - id.ptr)} : id;
}

static int take_container(struct pst_metadata *metadata, const json_t *pod, const json_t *container,
                          bool init)
{
    struct pst_str id = bare_id(pst_json_member(container, "containerID"));
    struct pst_meta *meta = id.len > 0 ? pst_meta_new() : NULL;
    int status = meta ? 0 : -ENOMEM;

    if (id.len == 0) /* not started yet */
        return 0;
    /* Before the pod's, of which there may be more than there is room for. */
    if (status == 0)
        status =
            set(meta, "__meta_kubernetes_pod_container_name", pst_json_member(container, "name"));
    if (status == 0)
        status =
            set(meta, "__meta_kubernetes_pod_container_image", pst_json_member(container, "image"));
    if (status == 0)
        status = set(meta, "__meta_kubernetes_pod_container_id",
                     pst_json_member(container, "containerID"));
    if (status == 0)
        status = set(meta, "__meta_kubernetes_pod_container_init",
                     init ? PST_STR("true") : PST_STR("false"));
    if (status == 0)
        status = set_pod(meta, pod);
    if (status == 0)
        pst_metadata_put(metadata, PST_ENGINE_KUBERNETES, id, meta);
    pst_meta_unref(meta);
    return status;
}

int pst_kubernetes_take_pod(struct pst_metadata *metadata, const json_t *pod)
{
    static const char *const lists[] = {"containerStatuses", "initContainerStatuses",
                                        "ephemeralContainerStatuses"};
    const json_t *state = json_object_get(pod, "status");
    json_t *container;
    size_t i;

    for (size_t list = 0; list < sizeof(lists) / sizeof(lists[0]); list++) {
        json_array_foreach(json_object_get(state, lists[list]), i, container)
        {
            int status = take_container(metadata, pod, container, list == 1);
            if (status < 0)
                return status;
        }
    }
    return 0;
}

int pst_kubernetes_take(struct pst_metadata *metadata, const json_t *list)
{
    const json_t *items = json_object_get(list, "items");
    json_t *pod;
    size_t i;

    if (json_is_null(items)) /* no pods: Go writes null for an empty list */
        return 0;
    if (!json_is_array(items))
        return -EBADMSG;
    json_array_foreach(items, i, pod)
    {
        int status = pst_kubernetes_take_pod(metadata, pod);
        if (status < 0)
            return status;
    }
    return 0;
}
