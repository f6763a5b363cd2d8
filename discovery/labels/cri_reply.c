/* Answers of a container runtime, as labels: a runtime also takes the beginning of an id, so that
 * what counts is the entry with the whole one. Pure; a megabyte of empty entries would be fifty
 * once decoded, so that memory for it is bounded too. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "cri.pb-c.h"
#include "engine.h"

static void *budget_alloc(void *context, size_t size)
{
    size_t *left = context;

    if (size > *left)
        return NULL;
    *left -= size;
    return malloc(size);
}

static void budget_free(void *context, void *pointer)
{
    (void)context;
    free(pointer);
}

static ProtobufCMessage *unpack(const ProtobufCMessageDescriptor *descriptor, struct pst_str answer)
{
    size_t left = PST_MAX_CRI_TREE_BYTES;
    ProtobufCAllocator allocator = {budget_alloc, budget_free, &left};

    return protobuf_c_message_unpack(descriptor, &allocator, answer.len,
                                     (const uint8_t *)(answer.ptr ? answer.ptr : ""));
}

static void release(ProtobufCMessage *message)
{
    ProtobufCAllocator allocator = {budget_alloc, budget_free, NULL};

    protobuf_c_message_free_unpacked(message, &allocator);
}

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

int pst_cri_take_container(struct pst_str answer, const char *id, struct pst_meta *meta,
                           char ret_pod[PST_CONTAINER_ID_BYTES])
{
    ProtobufCMessage *message = unpack(&pst__cri__list_containers_response__descriptor, answer);
    const Pst__Cri__ListContainersResponse *found = (const void *)message;
    int status = 0;

    if (!message)
        return -EBADMSG;
    ret_pod[0] = '\0';
    for (size_t i = 0; i < found->n_containers && status == 0; i++) {
        const Pst__Cri__Container *container = found->containers[i];
        if (strcmp(container->id, id) != 0)
            continue;
        status = set_container(meta, container) < 0 ? -ENOMEM : 1;
        if (strlen(container->pod_sandbox_id) < PST_CONTAINER_ID_BYTES)
            (void)snprintf(ret_pod, PST_CONTAINER_ID_BYTES, "%s", container->pod_sandbox_id);
    }
    release(message);
    return status;
}

int pst_cri_take_pod(struct pst_str answer, const char *id, struct pst_meta *meta)
{
    ProtobufCMessage *message = unpack(&pst__cri__list_pod_sandbox_response__descriptor, answer);
    const Pst__Cri__ListPodSandboxResponse *pods = (const void *)message;
    int status = 0;

    if (!message)
        return -EBADMSG;
    for (size_t i = 0; i < pods->n_items && status == 0; i++)
        if (strcmp(pods->items[i]->id, id) == 0)
            status = set_pod(meta, pods->items[i]) < 0 ? -ENOMEM : 1;
    release(message);
    return status;
}
