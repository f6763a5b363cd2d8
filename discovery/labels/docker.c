/* Docker's socket, or podman's, which speaks the same: one container by its id. Reading the socket
 * is root on the machine: it is used where a person mounted it. */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "engine.h"

static const uint64_t timeout_ns = 5 * PST_NS_PER_S;

static const char *socket_of(const struct pst_config *config)
{
    static const char *const usual[] = {"/var/run/docker.sock", "/run/podman/podman.sock", NULL};

    return pst_engine_socket(config->discovery.containers.docker, usual);
}

static bool present(const struct pst_config *config)
{
    return socket_of(config) != NULL;
}

static int set(struct pst_meta *meta, const char *name, struct pst_str value)
{
    int status = value.len > 0 ? pst_meta_set(meta, pst_str(name), value) : 0;

    return status == -ENOMEM ? status : 0;
}

static int fill(struct pst_meta *meta, const json_t *container)
{
    const json_t *settings = json_object_get(container, "Config");
    struct pst_str name = pst_json_member(container, "Name");

    if (name.len > 0 && name.ptr[0] == '/')
        name = (struct pst_str){name.ptr + 1, name.len - 1};
    int status = set(meta, "__meta_docker_container_id", pst_json_member(container, "Id"));
    if (status == 0)
        status = set(meta, "__meta_docker_container_name", name);
    if (status == 0)
        status = set(meta, "__meta_docker_container_image", pst_json_member(settings, "Image"));
    if (status == 0)
        status = set(meta, "__meta_docker_container_network_mode",
                     pst_json_member(json_object_get(container, "HostConfig"), "NetworkMode"));
    if (status == 0)
        status = pst_engine_set_map(meta, "__meta_docker_container_label_", NULL,
                                    json_object_get(settings, "Labels"));
    return status;
}

static int fetch_one(struct pst_asking *asking, const struct pst_net_settings *settings,
                     const char *id)
{
    char path[PST_CONTAINER_ID_BYTES + 32];
    int code;

    (void)snprintf(path, sizeof(path), "/containers/%s/json", id);
    json_t *container = pst_engine_get_json(settings, asking->cancel, path, &code, asking->why);
    if (!container) /* one that another engine runs is no failure */
        return code == 404 ? 0 : -EIO;
    struct pst_meta *meta = pst_meta_new();
    int status = meta ? fill(meta, container) : -ENOMEM;
    if (status == 0)
        pst_metadata_put(asking->metadata, PST_ENGINE_DOCKER, pst_str(id), meta);
    pst_meta_unref(meta);
    json_decref(container);
    return status;
}

static int fetch(struct pst_asking *asking, const struct pst_container_key *ids, size_t count)
{
    struct pst_net_settings settings = {.timeout_ns = timeout_ns};
    const char *path = socket_of(asking->config);
    char url[256];
    int status = 0;

    if (!path)
        return 0;
    pst_engine_socket_url(path, url, sizeof(url));
    settings.url = url;
    (void)pst_buf_printf(asking->why, "%s: ", url);
    for (size_t i = 0; i < count && status == 0; i++)
        status = fetch_one(asking, &settings, ids[i].id);
    return status;
}

const struct pst_engine_ops pst_engine_DOCKER = {present, fetch, NULL};
