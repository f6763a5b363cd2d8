/* The socket of containerd, CRI-O or another runtime of Kubernetes: a container and its pod by the
 * container's id, in the names that Kubernetes itself would give them, owners excepted. Reading the
 * socket is root on the machine: it is used where a person mounted it. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "cri.pb-c.h"
#include "engine.h"
#include "net/grpc.h"

#define SERVICE "/runtime.v1.RuntimeService/"

static const uint64_t timeout_ns = 5 * PST_NS_PER_S;

static const char *socket_of(const struct pst_config *config)
{
    static const char *const usual[] = {
        "/run/containerd/containerd.sock",
        "/var/run/crio/crio.sock",
        "/run/k3s/containerd/containerd.sock",
        "/var/snap/microk8s/common/run/containerd.sock",
    };
    const char *named = config->discovery.containers.cri;

    if (strcmp(named, "off") == 0)
        return NULL;
    if (strcmp(named, "auto") != 0)
        return named;
    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
        if (access(usual[i], R_OK | W_OK) == 0)
            return usual[i];
    return NULL;
}

static bool present(const struct pst_config *config)
{
    return socket_of(config) != NULL;
}

/* ---- calls ---- */

static int failed(const struct pst_grpc_reply *reply, struct pst_buf *why)
{
    if (reply->failure)
        (void)pst_buf_printf(why, "%s: ", reply->failure);
    else
        (void)pst_buf_printf(why, "%s: ", pst_grpc_code_word(reply->code));
    (void)pst_buf_escaped(why, pst_str(reply->message));
    return reply->code == PST_GRPC_UNIMPLEMENTED ? -ENOSYS : -EIO;
}

/* A list of what has this id, as the method's answer. NULL with *ret_status. */
static ProtobufCMessage *list(struct pst_grpc *grpc, const char *path, const char *id,
                              const ProtobufCMessageDescriptor *answer, struct pst_buf *why,
                              int *ret_status)
{
    Pst__Cri__Filter filter = PST__CRI__FILTER__INIT;
    Pst__Cri__ListRequest message = PST__CRI__LIST_REQUEST__INIT;
    uint8_t packed[PST_CONTAINER_ID_BYTES + 16];
    ProtobufCMessage *found = NULL;
    struct pst_grpc_reply reply;

    filter.id = (char *)(uintptr_t)id;
    message.filter = &filter;
    struct pst_grpc_request request = {.path = path,
                                       .message = packed,
                                       .message_bytes =
                                           pst__cri__list_request__pack(&message, packed),
                                       .max_reply_bytes = PST_MAX_CRI_BYTES};
    pst_grpc_reply_init(&reply);
    pst_grpc_call(grpc, &request, &reply);
    *ret_status = 0;
    if (reply.failure || reply.code != PST_GRPC_OK) {
        *ret_status = failed(&reply, why);
    } else {
        found =
            protobuf_c_message_unpack(answer, NULL, reply.body.len,
                                      (const uint8_t *)(reply.body.data ? reply.body.data : ""));
        if (!found)
            *ret_status = -EBADMSG;
        if (!found)
            (void)pst_buf_puts(why, "the answer is not what the interface says");
    }
    pst_grpc_reply_done(&reply);
    return found;
}

/* ---- labels ---- */

static int set(struct pst_meta *meta, const char *name, const char *value)
{
    int status = value && value[0] ? pst_meta_set(meta, pst_str(name), pst_str(value)) : 0;

    return status == -ENOMEM ? status : 0;
}

/* Keys of the kubelet's own say again what the metadata says. */
static int set_map(struct pst_meta *meta, const char *prefix, const char *present_prefix,
                   Pst__Cri__Entry *const *entries, size_t count)
{
    enum { NAME_BYTES = 512 };
    char name[NAME_BYTES];
    int status = 0;

    for (size_t i = 0; i < count && status == 0; i++) {
        struct pst_str key = pst_str(entries[i]->key);
        if (pst_str_starts(key, PST_STR("io.kubernetes.")))
            continue;
        pst_engine_label_name(prefix, key, name, sizeof(name));
        status = set(meta, name, entries[i]->value);
        pst_engine_label_name(present_prefix, key, name, sizeof(name));
        if (status == 0)
            status = set(meta, name, "true");
    }
    return status;
}

static int set_container(struct pst_meta *meta, const Pst__Cri__Container *container)
{
    const Pst__Cri__ImageSpec *image = container->image;
    int status = set(meta, "__meta_kubernetes_pod_container_id", container->id);

    if (status == 0 && container->metadata)
        status = set(meta, "__meta_kubernetes_pod_container_name", container->metadata->name);
    if (status == 0 && image)
        status = set(meta, "__meta_kubernetes_pod_container_image",
                     image->user_specified_image[0] ? image->user_specified_image : image->image);
    return status;
}

static int set_pod(struct pst_meta *meta, const Pst__Cri__PodSandbox *pod)
{
    int status = 0;

    if (pod->metadata) {
        status = set(meta, "__meta_kubernetes_namespace", pod->metadata->namespace_);
        if (status == 0)
            status = set(meta, "__meta_kubernetes_pod_name", pod->metadata->name);
        if (status == 0)
            status = set(meta, "__meta_kubernetes_pod_uid", pod->metadata->uid);
    }
    if (status == 0)
        status = set_map(meta, "__meta_kubernetes_pod_label_",
                         "__meta_kubernetes_pod_labelpresent_", pod->labels, pod->n_labels);
    if (status == 0)
        status = set_map(meta, "__meta_kubernetes_pod_annotation_",
                         "__meta_kubernetes_pod_annotationpresent_", pod->annotations,
                         pod->n_annotations);
    return status;
}

/* ---- one container ---- */

static int add_pod(struct pst_grpc *grpc, const char *id, struct pst_meta *meta,
                   struct pst_buf *why)
{
    int status;
    ProtobufCMessage *message =
        strlen(id) < PST_CONTAINER_ID_BYTES
            ? list(grpc, SERVICE "ListPodSandbox", id,
                   &pst__cri__list_pod_sandbox_response__descriptor, why, &status)
            : NULL;
    const Pst__Cri__ListPodSandboxResponse *pods = (const void *)message;

    if (!message)
        return strlen(id) < PST_CONTAINER_ID_BYTES ? status : 0;
    for (size_t i = 0; i < pods->n_items && status == 0; i++)
        if (strcmp(pods->items[i]->id, id) == 0)
            status = set_pod(meta, pods->items[i]);
    protobuf_c_message_free_unpacked(message, NULL);
    return status;
}

static int take(struct pst_asking *asking, struct pst_grpc *grpc,
                const Pst__Cri__Container *container)
{
    struct pst_meta *meta = pst_meta_new();
    int status = meta ? set_container(meta, container) : -ENOMEM;

    if (status == 0)
        status = add_pod(grpc, container->pod_sandbox_id, meta, asking->why);
    if (status == 0)
        pst_metadata_put(asking->metadata, PST_ENGINE_CRI, pst_str(container->id), meta);
    pst_meta_unref(meta);
    return status;
}

/* One that another engine runs is no failure: the list is empty then. A runtime also takes the
 * beginning of an id. */
static int fetch_one(struct pst_asking *asking, struct pst_grpc *grpc, const char *id)
{
    int status;
    ProtobufCMessage *message =
        list(grpc, SERVICE "ListContainers", id, &pst__cri__list_containers_response__descriptor,
             asking->why, &status);
    const Pst__Cri__ListContainersResponse *found = (const void *)message;

    if (!message)
        return status;
    for (size_t i = 0; i < found->n_containers && status == 0; i++)
        if (strcmp(found->containers[i]->id, id) == 0)
            status = take(asking, grpc, found->containers[i]);
    protobuf_c_message_free_unpacked(message, NULL);
    return status;
}

static int fetch(struct pst_asking *asking, const struct pst_container_key *ids, size_t count)
{
    struct pst_net_settings settings = {.timeout_ns = timeout_ns};
    const char *path = socket_of(asking->config);
    bool named = strcmp(asking->config->discovery.containers.cri, "auto") != 0;
    struct pst_error error = {0};
    struct pst_grpc *grpc = NULL;
    char url[256];
    int status = 0;

    if (!path)
        return 0;
    pst_engine_socket_url(path, url, sizeof(url));
    settings.url = url;
    (void)pst_buf_printf(asking->why, "%s: ", url);
    if (pst_grpc_new(&settings, asking->cancel, &grpc, &error) < 0) {
        (void)pst_buf_puts(asking->why, error.text[0] ? error.text : "out of memory");
        return -EIO;
    }
    for (size_t i = 0; i < count && status == 0; i++)
        status = fetch_one(asking, grpc, ids[i].id);
    pst_grpc_free(grpc);
    /* a containerd whose CRI is off, as Docker's, is nobody's fault */
    return status == -ENOSYS && !named ? 0 : status;
}

const struct pst_engine_ops pst_engine_CRI = {present, fetch, NULL};
