/* See cache.h. Entries are few and compared one by one; what leaves the cache while somebody still
 * reads it is freed by the reader. */
#include "cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

enum {
    ENTRIES = 4,
    KEPT_S = 60,
    KEPT_BYTES = 8 * 1024 * 1024,
};

struct entry {
    struct pst_merged *merged; /* NULL: free */
    char *service;
    size_t service_len;
    enum pst_mode mode;
    int64_t from_ns, to_ns;
    uint64_t used_ns; /* monotonic */
    size_t bytes;
};

struct pst_cache {
    pthread_mutex_t lock;
    struct entry entries[ENTRIES];
};

struct pst_cache *pst_cache_new(void)
{
    struct pst_cache *cache = calloc(1, sizeof(*cache));
    if (cache)
        (void)pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

void pst_merged_unref(struct pst_merged *merged)
{
    if (!merged || atomic_fetch_sub_explicit(&merged->references, 1, memory_order_acq_rel) != 1)
        return;
    pst_profile_free(merged->profile);
    free(merged);
}

static void forget(struct entry *entry)
{
    pst_merged_unref(entry->merged);
    free(entry->service);
    memset(entry, 0, sizeof(*entry));
}

struct pst_cache *pst_cache_free(struct pst_cache *cache)
{
    if (!cache)
        return NULL;
    for (size_t i = 0; i < ENTRIES; i++)
        forget(&cache->entries[i]);
    (void)pthread_mutex_destroy(&cache->lock);
    free(cache);
    return NULL;
}

void pst_cache_prune(struct pst_cache *cache)
{
    uint64_t now_ns = pst_clock_monotonic_ns();
    if (pthread_mutex_trylock(&cache->lock) != 0)
        return; /* a merge is running: the next turn does it */
    for (size_t i = 0; i < ENTRIES; i++)
        if (cache->entries[i].merged && now_ns - cache->entries[i].used_ns > KEPT_S * PST_NS_PER_S)
            forget(&cache->entries[i]);
    (void)pthread_mutex_unlock(&cache->lock);
}

static bool is_for(const struct entry *entry, const struct pst_range *range)
{
    return entry->merged && entry->mode == range->mode && entry->from_ns == range->from_ns &&
           entry->to_ns == range->to_ns &&
           pst_str_eq((struct pst_str){entry->service, entry->service_len}, range->service);
}

static struct entry *least_used(struct pst_cache *cache)
{
    struct entry *least = &cache->entries[0];
    for (size_t i = 1; i < ENTRIES; i++)
        if (!cache->entries[i].merged ||
            (least->merged && cache->entries[i].used_ns < least->used_ns))
            least = &cache->entries[i];
    return least;
}

static void make_room(struct pst_cache *cache, size_t bytes)
{
    for (;;) {
        size_t held = 0;
        struct entry *oldest = NULL;
        for (size_t i = 0; i < ENTRIES; i++) {
            struct entry *entry = &cache->entries[i];
            if (!entry->merged)
                continue;
            held += entry->bytes;
            if (!oldest || entry->used_ns < oldest->used_ns)
                oldest = entry;
        }
        if (!oldest || held + bytes <= KEPT_BYTES)
            return;
        forget(oldest);
    }
}

static void keep(struct pst_cache *cache, const struct pst_range *range, struct pst_merged *merged)
{
    size_t bytes = pst_profile_bytes(merged->profile);
    make_room(cache, bytes);
    struct entry *entry = least_used(cache);
    forget(entry);
    char *service = pst_str_dup(range->service);
    if (!service)
        return;
    atomic_fetch_add(&merged->references, 1);
    *entry = (struct entry){merged,         service,      range->service.len,       range->mode,
                            range->from_ns, range->to_ns, pst_clock_monotonic_ns(), bytes};
}

static bool no_label(void *context, struct pst_str key)
{
    return false;
}

static int merge(struct pst_server *server, const struct pst_range *range, struct pst_merged **ret)
{
    struct pst_merged *merged = calloc(1, sizeof(*merged));
    if (!merged)
        return -ENOMEM;
    atomic_init(&merged->references, 1);
    struct pst_store_query query = {.service = range->service,
                                    .mode = range->mode,
                                    .from_ns = range->from_ns,
                                    .to_ns = range->to_ns,
                                    .keep_label = no_label};
    int r = pst_store_merge(server->store, &query, pst_server_stopping, server, &merged->profile,
                            &merged->result);
    if (r < 0)
        free(merged);
    else
        *ret = merged;
    return r;
}

/* The lock is held over the merge: who asks for the same thing meanwhile finds it done. */
int pst_cache_merge(struct pst_server *server, const struct pst_range *range,
                    struct pst_merged **ret)
{
    struct pst_cache *cache = server->cache;
    if (!server->store)
        return -ENODEV;
    (void)pthread_mutex_lock(&cache->lock);
    int r = 0;
    bool found = false;
    for (size_t i = 0; i < ENTRIES && !found; i++) {
        struct entry *entry = &cache->entries[i];
        found = is_for(entry, range);
        if (found) {
            entry->used_ns = pst_clock_monotonic_ns();
            atomic_fetch_add(&entry->merged->references, 1);
            *ret = entry->merged;
        }
    }
    if (!found) {
        r = merge(server, range, ret);
        if (r == 0)
            keep(cache, range, *ret);
    }
    (void)pthread_mutex_unlock(&cache->lock);
    return r;
}

void pst_answer_store_error(struct pst_answer *answer, int r)
{
    if (r == -ENODEV)
        pst_answer_text(answer, MHD_HTTP_SERVICE_UNAVAILABLE,
                        "there is no embedded store at the moment");
    else if (r == -ECANCELED)
        pst_answer_text(answer, MHD_HTTP_SERVICE_UNAVAILABLE, "the agent is stopping");
    else
        pst_answer_text(answer, MHD_HTTP_INTERNAL_SERVER_ERROR,
                        "the embedded store cannot be read (error %d)", -r);
    answer->retry_after_s = 5;
}
