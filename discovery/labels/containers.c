/* One row per container id: an answer by engine, the first question, the last sign of it. */
#include "containers.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/map.h"

enum { FORGOTTEN_AT_ONCE = 256 };
static const uint64_t asking_ns = 60 * PST_NS_PER_S;
static const uint64_t hold_ns = 30 * PST_NS_PER_S;  /* as long as a target waits for its labels */
static const uint64_t keep_ns = 300 * PST_NS_PER_S; /* after the last sign of a container */

struct entry {
    struct pst_meta *of[PST_ENGINE_COUNT];
    uint64_t asked_ns[PST_ENGINE_COUNT]; /* when the engine first answered without it; 0: not yet */
    uint64_t first_ns;                   /* first asked for; 0: nobody did */
    uint64_t seen_ns;                    /* last asked for or listed */
};

struct pst_containers {
    struct pst_map *entries; /* pst_container_key -> struct entry */
};

bool pst_container_key_make(struct pst_str id, struct pst_container_key *ret)
{
    memset(ret, 0, sizeof(*ret));
    if (id.len == 0 || id.len >= sizeof(ret->id))
        return false;
    memcpy(ret->id, id.ptr, id.len);
    return true;
}

struct pst_containers *pst_containers_new(void)
{
    struct pst_containers *containers = calloc(1, sizeof(*containers));

    if (!containers)
        return NULL;
    containers->entries = pst_map_new(sizeof(struct pst_container_key), sizeof(struct entry),
                                      PST_MAX_METADATA_CONTAINERS);
    return containers->entries ? containers : pst_containers_free(containers);
}

static void entry_done(struct entry *entry)
{
    for (size_t i = 0; i < PST_ENGINE_COUNT; i++)
        pst_meta_unref(entry->of[i]);
}

struct pst_containers *pst_containers_free(struct pst_containers *containers)
{
    size_t cursor = 0;
    void *value;

    if (!containers)
        return NULL;
    while (containers->entries && pst_map_next(containers->entries, &cursor, NULL, &value))
        entry_done(value);
    (void)pst_map_free(containers->entries);
    free(containers);
    return NULL;
}

size_t pst_containers_count(const struct pst_containers *containers)
{
    return pst_map_count(containers->entries);
}

/* Labels and annotations of a pod may be taken away, and rules and people mean that. */
static bool may_go(struct pst_str name)
{
    return pst_str_starts(name, PST_STR("__meta_kubernetes_pod_label")) ||
           pst_str_starts(name, PST_STR("__meta_kubernetes_pod_annotation"));
}

/* What is not said again of a container that was known stays: a pod that ends has no address any
 * more, one that is set aside no owner. What no memory is left for is what does not stay. */
static void keep(struct pst_meta *meta, const struct pst_meta *before)
{
    struct pst_str name, value;

    for (size_t i = 0; i < pst_meta_count(before); i++) {
        pst_meta_at(before, i, &name, &value);
        if (!may_go(name) && pst_meta_get(meta, name.ptr).len == 0)
            (void)pst_meta_set(meta, name, value);
    }
}

int pst_containers_put(struct pst_containers *containers, enum pst_engine engine,
                       const struct pst_container_key *key, struct pst_meta *meta, uint64_t now_ns)
{
    void *value;
    int status = pst_map_put(containers->entries, key, &value, NULL);

    if (status < 0)
        return status;
    struct entry *entry = value;
    entry->seen_ns = now_ns;
    if (entry->of[engine])
        keep(meta, entry->of[engine]);
    if (entry->of[engine] && pst_meta_equal(entry->of[engine], meta))
        return 0;
    pst_meta_unref(entry->of[engine]);
    entry->of[engine] = pst_meta_ref(meta);
    return entry->first_ns != 0;
}

int pst_containers_get(struct pst_containers *containers, const struct pst_container_key *key,
                       uint64_t now_ns, struct pst_engines *ret)
{
    void *value;
    int status = pst_map_put(containers->entries, key, &value, NULL);

    if (status < 0)
        return status;
    struct entry *entry = value;
    bool first = entry->first_ns == 0;
    if (first)
        entry->first_ns = now_ns;
    entry->seen_ns = now_ns;
    for (size_t i = 0; i < PST_ENGINE_COUNT; i++)
        ret->of[i] = entry->of[i] ? pst_meta_ref(entry->of[i]) : NULL;
    return first;
}

bool pst_containers_wait(const struct pst_containers *containers,
                         const struct pst_container_key *key, unsigned present, uint64_t now_ns)
{
    const struct entry *entry = pst_map_get(containers->entries, key);
    enum pst_engine best =
        present & 1U << PST_ENGINE_KUBERNETES ? PST_ENGINE_KUBERNETES : PST_ENGINE_CRI;

    return entry && present & 1U << best && !entry->of[best] && now_ns - entry->first_ns < hold_ns;
}

static bool wants(const struct entry *entry, enum pst_engine engine, uint64_t now_ns)
{
    return entry->first_ns && !entry->of[engine] &&
           (entry->asked_ns[engine] == 0 || now_ns - entry->asked_ns[engine] < asking_ns);
}

void pst_containers_asked(struct pst_containers *containers, enum pst_engine engine,
                          const struct pst_container_key *ids, size_t count, uint64_t now_ns)
{
    for (size_t i = 0; i < count; i++) {
        struct entry *entry = pst_map_get(containers->entries, &ids[i]);
        if (entry && entry->asked_ns[engine] == 0)
            entry->asked_ns[engine] = now_ns;
    }
}

size_t pst_containers_wanted(const struct pst_containers *containers, enum pst_engine engine,
                             uint64_t now_ns, struct pst_container_key *ids, size_t max,
                             size_t *cursor)
{
    size_t first = *cursor, count = 0;
    const void *key;
    void *value;

    for (int turn = 0; turn < 2 && count < max; turn++) {
        while (count < max && pst_map_next(containers->entries, cursor, &key, &value) &&
               (turn == 0 || *cursor <= first)) {
            const struct entry *entry = value;
            if (wants(entry, engine, now_ns))
                ids[count++] = *(const struct pst_container_key *)key;
        }
        if (count < max)
            *cursor = 0;
    }
    return count;
}

/* One walk and what it found, which may not be all: the map is not to be changed while it is
 * walked. */
static size_t forget_some(struct pst_containers *containers, uint64_t now_ns)
{
    struct pst_container_key old[FORGOTTEN_AT_ONCE];
    size_t cursor = 0, count = 0;
    const void *key;
    void *value;

    while (count < FORGOTTEN_AT_ONCE && pst_map_next(containers->entries, &cursor, &key, &value)) {
        struct entry *entry = value;
        if (now_ns - entry->seen_ns < keep_ns)
            continue;
        entry_done(entry);
        old[count++] = *(const struct pst_container_key *)key;
    }
    for (size_t i = 0; i < count; i++)
        (void)pst_map_remove(containers->entries, &old[i]);
    return count;
}

void pst_containers_forget(struct pst_containers *containers, uint64_t now_ns)
{
    while (forget_some(containers, now_ns) == FORGOTTEN_AT_ONCE)
        ;
}
