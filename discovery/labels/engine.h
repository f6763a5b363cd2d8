/* What the table of metadata and its sources share. */
#ifndef PST_LABELS_ENGINE_H
#define PST_LABELS_ENGINE_H

#include <jansson.h>

#include "containers.h"
#include "net/http.h"

/* Puts or replaces what an engine says of a container; takes a reference. Thread-safe. */
void pst_metadata_put(struct pst_metadata *metadata, enum pst_engine engine, struct pst_str id,
                      struct pst_meta *meta);

/* What an engine keeps between its turns; zeroed when the configuration changes. */
struct pst_engine_memory {
    char version[64];      /* up to which changes are known; "": none */
    bool paged;            /* the whole list at once was too large */
    uint64_t unwatched_ns; /* until then changes are not followed: that was refused */
    unsigned refused;      /* so many times in a row */
    bool fell_back;        /* the better place to ask failed; said once */
};

/* One turn of a source, on its own thread. */
struct pst_asking {
    struct pst_metadata *metadata;
    const struct pst_config *config;
    struct pst_cancel *cancel;
    struct pst_engine_memory *memory;
    struct pst_buf *why; /* of a failure */
};
/* The source answered: said once after it had failed. */
void pst_asking_answered(struct pst_asking *asking);

enum { PST_ENGINE_FOLLOW = 1 };

struct pst_engine_ops {
    /* Whether the configuration and this machine have it at all. Cheap. */
    bool (*present)(const struct pst_config *config);
    /* Asks for these containers (and puts whatever else comes along). 0, PST_ENGINE_FOLLOW when
     * changes can be followed from here on (maybe without a request), or negative with the reason
     * in why. */
    int (*fetch)(struct pst_asking *asking, const struct pst_container_key *ids, size_t count);
    /* Puts what changes until the source ends that. 0: to be followed on; -ESTALE: to be fetched
     * anew, no failure; else negative with the reason in why. NULL where nothing can be followed.
     */
    int (*follow)(struct pst_asking *asking);
};

#define PST_ENGINE(id, word) extern const struct pst_engine_ops pst_engine_##id;
PST_ENGINES(PST_ENGINE)
#undef PST_ENGINE

/* The socket that a setting means: its path, for "auto" the first of the usual ones (NULL ends
 * them) that may be used. NULL: it is off, or none is there. */
const char *pst_engine_socket(const char *setting, const char *const *usual);
/* "unix:" in front of a socket's path that a person wrote with or without it. */
void pst_engine_socket_url(const char *path, char *dst, size_t size);

/* A URL of an IPv6 address that a person or the downward API wrote without its brackets gets them:
 * https://fd00::1:10250 means https://[fd00::1]:10250, since what is meant always has a port. Else
 * as it is. */
void pst_engine_bracketed_url(const char *url, char *dst, size_t size);

/* GET of a JSON document of at most PST_MAX_METADATA_BYTES. NULL with the reason in why and
 * *ret_status (0: no answer). */
json_t *pst_engine_get_json(const struct pst_net_settings *settings, struct pst_cancel *cancel,
                            const char *path, int *ret_status, struct pst_buf *why);

/* An object of at most PST_MAX_METADATA_TREE_BYTES; NULL with the reason in why. */
json_t *pst_json_parse(struct pst_str text, struct pst_buf *why);

/* "" where it is no string. */
struct pst_str pst_json_view(const json_t *value);
struct pst_str pst_json_member(const json_t *object, const char *key);
/* Sets prefix + key, what is no letter, digit or _ made _ of, for each string of an object; with
 * present also presentprefix + key = "true". */
int pst_engine_set_map(struct pst_meta *meta, const char *prefix, const char *present,
                       const json_t *map);
/* As Prometheus makes a label's name of a key. */
void pst_engine_label_name(const char *prefix, struct pst_str key, char *dst, size_t size);

/* cri_reply.c: what the answer to ListContainers says of the container with this very id. With room
 * for a sandbox's id in ret_pod, empty where it names none of a size that ids have. 1: said; 0: it
 * is not in the list; -EBADMSG, -ENOMEM. */
int pst_cri_take_container(struct pst_str answer, const char *id, struct pst_meta *meta,
                           char ret_pod[PST_CONTAINER_ID_BYTES]);
/* The same of ListPodSandbox and a pod. */
int pst_cri_take_pod(struct pst_str answer, const char *id, struct pst_meta *meta);

/* kubernetes_pods.c: every container of a pod list, or of one pod, into the table. 0, -EBADMSG,
 * -ENOMEM. */
int pst_kubernetes_take(struct pst_metadata *metadata, const json_t *list);
int pst_kubernetes_take_pod(struct pst_metadata *metadata, const json_t *pod);

/* kubernetes_watch.c: takes the version of an object or list, by its metadata; one that is no word
 * is none. */
void pst_kubernetes_note_version(struct pst_engine_memory *memory, const json_t *metadata);

/* An open-ended GET of changes to pods from memory's version on. As follow of
 * the engine's ops. path: with what selects the pods. *ret_status as of pst_engine_get_json. */
int pst_kubernetes_watch(struct pst_asking *asking, const struct pst_net_settings *settings,
                         const char *path, int *ret_status);

#endif
