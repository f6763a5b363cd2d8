/* The socket of containerd, CRI-O or another runtime of Kubernetes: a container and its pod by the
 * container's id, in the names that Kubernetes itself would give them, owners excepted. Reading the
 * socket is root on the machine: it is used where a person mounted it. */
#include <errno.h>
#include <stdio.h>

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
        NULL,
    };

    return pst_engine_socket(config->discovery.containers.cri, usual);
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

/* A list of what has this id. With the body in reply, which is to be done with. */
static int list(struct pst_grpc *grpc, const char *path, const char *id,
                struct pst_grpc_reply *reply, struct pst_buf *why)
{
    Pst__Cri__Filter filter = PST__CRI__FILTER__INIT;
    Pst__Cri__ListRequest message = PST__CRI__LIST_REQUEST__INIT;
    uint8_t packed[PST_CONTAINER_ID_BYTES + 16];

    filter.id = (char *)(uintptr_t)id;
    message.filter = &filter;
    struct pst_grpc_request request = {.path = path,
                                       .message = packed,
                                       .message_bytes =
                                           pst__cri__list_request__pack(&message, packed),
                                       .max_reply_bytes = PST_MAX_CRI_BYTES};
    pst_grpc_call(grpc, &request, reply);
    return reply->failure || reply->code != PST_GRPC_OK ? failed(reply, why) : 0;
}

static int judged(int status, struct pst_buf *why)
{
    if (status == -EBADMSG)
        (void)pst_buf_puts(why, "the answer is not what the interface says");
    return status;
}

/* ---- one container ---- */

static int add_pod(struct pst_grpc *grpc, const char *id, struct pst_meta *meta,
                   struct pst_buf *why)
{
    struct pst_grpc_reply reply;

    pst_grpc_reply_init(&reply);
    int status = list(grpc, SERVICE "ListPodSandbox", id, &reply, why);
    if (status == 0)
        status = judged(pst_cri_take_pod(pst_buf_view(&reply.body), id, meta), why);
    pst_grpc_reply_done(&reply);
    return status;
}

static int add_container(struct pst_grpc *grpc, const char *id, struct pst_meta *meta,
                         char ret_pod[PST_CONTAINER_ID_BYTES], struct pst_buf *why)
{
    struct pst_grpc_reply reply;

    pst_grpc_reply_init(&reply);
    int status = list(grpc, SERVICE "ListContainers", id, &reply, why);
    if (status == 0)
        status = judged(pst_cri_take_container(pst_buf_view(&reply.body), id, meta, ret_pod), why);
    pst_grpc_reply_done(&reply);
    return status;
}

/* One that another engine runs is no failure: the list is empty then. */
static int fetch_one(struct pst_asking *asking, struct pst_grpc *grpc, const char *id)
{
    struct pst_meta *meta = pst_meta_new();
    char pod[PST_CONTAINER_ID_BYTES] = "";

    if (!meta)
        return -ENOMEM;
    int status = add_container(grpc, id, meta, pod, asking->why);
    bool found = status > 0;
    if (found && pod[0])
        status = add_pod(grpc, pod, meta, asking->why);
    if (found && status >= 0)
        pst_metadata_put(asking->metadata, PST_ENGINE_CRI, pst_str(id), meta);
    pst_meta_unref(meta);
    return status < 0 ? status : 0;
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
