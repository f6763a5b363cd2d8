/* The store's public face: starting and ending, the put that never blocks, and what it says about
 * itself. Everything that touches the disk is in the writer's thread or in the readers. */
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "internal.h"

static int refuse(const char *directory, int r, pid_t holder, struct pst_error *error)
{
    if (r == -EBUSY && holder > 0)
        return pst_error_set(error, PST_EXIT_FAILED, directory,
                             "stop it, or give this agent its own store.directory",
                             "another agent (pid %d) uses this store", (int)holder);
    if (r == -EBUSY)
        return pst_error_set(error, PST_EXIT_FAILED, directory,
                             "stop it, or give this agent its own store.directory",
                             "another agent uses this store");
    if (r == -ELOOP)
        return pst_error_set(error, PST_EXIT_FAILED, directory,
                             "name the real directory in store.directory",
                             "the store's directory is a symbolic link");
    if (r == -ENOTDIR)
        return pst_error_set(error, PST_EXIT_FAILED, directory,
                             "name a directory in store.directory",
                             "the store's path is not a directory");
    return pst_error_set(error, PST_EXIT_FAILED, directory,
                         "name a directory of this user, or one below it that does not exist yet",
                         "the store's directory belongs to somebody else");
}

static struct pst_store *new_store(const char *directory, uint64_t retention_ns,
                                   uint64_t max_size_bytes)
{
    struct pst_store *store = calloc(1, sizeof(*store));
    if (!store)
        return NULL;
    size_t path_bytes = strlen(directory) + sizeof("/store.db");
    store->directory = strdup(directory);
    store->path = malloc(path_bytes);
    if (!store->directory || !store->path) {
        free(store->directory);
        free(store->path);
        free(store);
        return NULL;
    }
    (void)snprintf(store->path, path_bytes, "%s/store.db", directory);
    store->lock_fd = -1;
    store->retention_ns = retention_ns;
    store->max_size_bytes = max_size_bytes;
    (void)pthread_rwlock_init(&store->file, NULL);
    (void)pthread_mutex_init(&store->lock, NULL);
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&store->work, &attributes);
    (void)pthread_cond_init(&store->done, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    return store;
}

static void free_store(struct pst_store *store)
{
    if (store->lock_fd >= 0)
        (void)close(store->lock_fd);
    (void)pthread_cond_destroy(&store->work);
    (void)pthread_cond_destroy(&store->done);
    (void)pthread_mutex_destroy(&store->lock);
    (void)pthread_rwlock_destroy(&store->file);
    free(store->directory);
    free(store->path);
    free(store);
}

int pst_store_open(const char *directory, uint64_t retention_ns, uint64_t max_size_bytes,
                   struct pst_store **ret, struct pst_error *error)
{
    struct pst_store *store = new_store(directory, retention_ns, max_size_bytes);
    if (!store)
        return -ENOMEM;
    pid_t holder = 0;
    int r = pst_db_claim_directory(directory, PST_STORE_LOCK_NAME, &store->lock_fd, &holder);
    if (r == -EBUSY || r == -ELOOP || r == -ENOTDIR || r == -EPERM) {
        free_store(store);
        return refuse(directory, r, holder, error);
    }
    store->stats.corrupt_files = pst_store_count_aside(directory);
    if (pthread_create(&store->thread, NULL, pst_store_writer_main, store) != 0) {
        free_store(store);
        return pst_error_set(error, PST_EXIT_FAILED, NULL, NULL, "cannot start the store's thread");
    }
    *ret = store;
    return 0;
}

void pst_store_configure(struct pst_store *store, uint64_t retention_ns, uint64_t max_size_bytes)
{
    (void)pthread_mutex_lock(&store->lock);
    store->retention_ns = retention_ns;
    store->max_size_bytes = max_size_bytes;
    (void)pthread_mutex_unlock(&store->lock);
}

static struct timespec deadline(uint64_t timeout_ns)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    uint64_t nsec = (uint64_t)at.tv_nsec + timeout_ns % PST_NS_PER_S;
    at.tv_sec += (time_t)(timeout_ns / PST_NS_PER_S + nsec / PST_NS_PER_S);
    at.tv_nsec = (long)(nsec % PST_NS_PER_S);
    return at;
}

struct pst_store *pst_store_close(struct pst_store *store, uint64_t timeout_ns)
{
    if (!store)
        return NULL;
    struct timespec until = deadline(timeout_ns);
    (void)pthread_mutex_lock(&store->lock);
    store->stopping = true;
    (void)pthread_cond_broadcast(&store->work);
    while (!store->ended)
        if (pthread_cond_timedwait(&store->done, &store->lock, &until) != 0)
            break;
    bool ended = store->ended;
    (void)pthread_mutex_unlock(&store->lock);
    if (!ended) {
        (void)pthread_detach(store->thread);
        pst_log_warn("store_stuck", "the embedded store's disk does not answer: left behind");
        return NULL;
    }
    (void)pthread_join(store->thread, NULL);
    free_store(store);
    return NULL;
}

void pst_store_put(struct pst_store *store, struct pst_item *item)
{
    (void)pthread_mutex_lock(&store->lock);
    pst_store_queue_push(store, pst_item_ref(item));
    (void)pthread_cond_signal(&store->work);
    (void)pthread_mutex_unlock(&store->lock);
}

bool pst_store_flush(struct pst_store *store, uint64_t timeout_ns)
{
    struct timespec until = deadline(timeout_ns);
    (void)pthread_mutex_lock(&store->lock);
    uint64_t goal = store->put;
    while (store->finished < goal)
        if (pthread_cond_timedwait(&store->done, &store->lock, &until) != 0)
            break;
    bool done = store->finished >= goal;
    (void)pthread_mutex_unlock(&store->lock);
    return done;
}

void pst_store_stats(struct pst_store *store, struct pst_store_stats *ret)
{
    (void)pthread_mutex_lock(&store->lock);
    *ret = store->stats;
    ret->queued = store->queue.count + store->queue.taken;
    (void)pthread_mutex_unlock(&store->lock);
}

void pst_store_update_metrics(struct pst_store *store)
{
    struct pst_store_stats stats;
    pst_store_stats(store, &stats);
    pst_metric_set(PST_METRIC_STORE_BYTES, NULL, NULL, (double)stats.bytes);
    pst_metric_set(PST_METRIC_STORE_PROFILES, NULL, NULL, (double)stats.profiles);
    pst_metric_set(PST_METRIC_STORE_DEGRADED, NULL, NULL, stats.degraded ? 1 : 0);
}
