/* The threads that ask sources, one for each. A question is due when a container is unknown to a
 * source; questions for one that stays unknown grow rarer and end, so that a container which a
 * source does not know costs nothing. A source that is not there or fails is tried every 15 s.
 * Where a source tells of changes by itself it is followed instead. */
#include "labels/metadata.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"
#include "engine.h"
#include "scan/cgroup_names.h"

enum { IDS_AT_ONCE = 64 };
static const uint64_t first_gap_ns = PST_NS_PER_S / 2; /* between two turns of one source */
static const uint64_t last_gap_ns = 15 * PST_NS_PER_S;
static const uint64_t long_enough_ns = 30 * PST_NS_PER_S; /* followed: then all was well */

enum turn { ASK_WHEN_WANTED, ASK, FOLLOW };

struct source {
    struct pst_metadata *metadata;
    pthread_t thread;
    struct pst_cancel *cancel; /* of this configuration */
    struct pst_engine_memory memory;
    uint64_t next_ns, gap_ns;
    size_t cursor; /* behind the last container that was asked for */
    enum pst_engine engine;
    enum turn turn;
    bool started, ended;
    bool renewed; /* the configuration is another than that of memory and cancel */
    bool failing, present;
};

struct pst_metadata {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* something to ask, something learned, or the end */
    struct pst_config *config;
    struct pst_containers *containers;
    struct source sources[PST_ENGINE_COUNT];
    struct pst_random random;
    int fd;
    bool ending;
};

static const struct pst_engine_ops *const engines[] = {
#define PST_ENGINE(id, word) &pst_engine_##id,
    PST_ENGINES(PST_ENGINE)
#undef PST_ENGINE
};
static const char *const words[] = {
#define PST_ENGINE(id, word) word,
    PST_ENGINES(PST_ENGINE)
#undef PST_ENGINE
};

static void tell(struct pst_metadata *metadata)
{
    uint64_t one = 1;
    ssize_t ignored = write(metadata->fd, &one, sizeof(one));

    (void)ignored;
    (void)pthread_cond_broadcast(&metadata->changed);
}

void pst_metadata_put(struct pst_metadata *metadata, enum pst_engine engine, struct pst_str id,
                      struct pst_meta *meta)
{
    struct pst_container_key key;

    if (!pst_container_key_make(id, &key))
        return;
    pthread_mutex_lock(&metadata->lock);
    int status =
        pst_containers_put(metadata->containers, engine, &key, meta, pst_clock_monotonic_ns());
    if (status == 1)
        tell(metadata);
    pthread_mutex_unlock(&metadata->lock);
    if (status < 0)
        pst_metric_add(PST_METRIC_OVERFLOW, "containers", NULL, 1);
}

/* ---- one turn ---- */

static struct source *source_of(struct pst_asking *asking)
{
    return (struct source *)((char *)asking->memory - offsetof(struct source, memory));
}

void pst_asking_answered(struct pst_asking *asking)
{
    struct source *source = source_of(asking);

    if (source->failing)
        pst_log_info("metadata", "%s answers again", words[source->engine]);
    source->failing = false;
}

static void judge(struct source *source, struct pst_asking *asking, int status)
{
    if (status == 0 && source->turn != FOLLOW)
        pst_asking_answered(asking);
    if (status >= 0 || status == -ESTALE || pst_cancel_raised(source->cancel))
        return;
    pst_metric_add(PST_METRIC_METADATA_FAILURES, words[source->engine], NULL, 1);
    if (!source->failing)
        pst_log_warn("metadata", "%s cannot be asked: %s; its labels are missing until it can",
                     words[source->engine], asking->why->data ? asking->why->data : "");
    source->failing = true;
}

static enum turn next_turn(enum turn turn, int status)
{
    if (status == PST_ENGINE_FOLLOW || (turn == FOLLOW && status == 0))
        return FOLLOW;
    return turn == FOLLOW || (turn == ASK && status < 0) ? ASK : ASK_WHEN_WANTED;
}

/* When the next turn comes. Those of a thousand nodes that lost one server spread. */
static void schedule(struct source *source, uint64_t begun_ns, int status)
{
    struct pst_metadata *metadata = source->metadata;
    uint64_t now_ns = pst_clock_monotonic_ns();

    if (status == PST_ENGINE_FOLLOW) {
        source->next_ns = now_ns;
        return;
    }
    if (source->turn == FOLLOW && now_ns - begun_ns >= long_enough_ns)
        source->gap_ns = first_gap_ns;
    source->next_ns = now_ns + source->gap_ns;
    if (source->turn != ASK_WHEN_WANTED)
        source->next_ns += pst_random_below(&metadata->random, source->gap_ns);
    source->gap_ns = source->gap_ns * 2 < last_gap_ns ? source->gap_ns * 2 : last_gap_ns;
}

/* Unlocks while the source is asked. */
static void take_turn(struct source *source, const struct pst_container_key *ids, size_t count)
{
    struct pst_metadata *metadata = source->metadata;
    const struct pst_engine_ops *ops = engines[source->engine];
    struct pst_config *config = pst_config_ref(metadata->config);
    struct pst_buf why;
    struct pst_asking asking = {metadata, config, source->cancel, &source->memory, &why};
    uint64_t begun_ns = pst_clock_monotonic_ns();
    int status = 0;

    pthread_mutex_unlock(&metadata->lock);
    pst_buf_init(&why, 1024);
    bool present = ops->present(config);
    if (present)
        status = source->turn == FOLLOW ? ops->follow(&asking) : ops->fetch(&asking, ids, count);
    if (present)
        judge(source, &asking, status);
    pst_buf_done(&why);
    pst_config_unref(config);
    pthread_mutex_lock(&metadata->lock);
    source->present = present;
    if (present && status >= 0 && !pst_cancel_raised(source->cancel))
        pst_containers_asked(metadata->containers, source->engine, ids, count,
                             pst_clock_monotonic_ns());
    schedule(source, begun_ns, status);
    source->turn = present ? next_turn(source->turn, status) : ASK_WHEN_WANTED;
}

/* ---- a source's thread ---- */

static void wait_until(struct pst_metadata *metadata, uint64_t until_ns)
{
    struct timespec until = {.tv_sec = (time_t)(until_ns / PST_NS_PER_S),
                             .tv_nsec = (long)(until_ns % PST_NS_PER_S)};

    (void)pthread_cond_timedwait(&metadata->changed, &metadata->lock, &until);
}

/* Under a new configuration nothing of the old one counts. */
static void renew(struct source *source)
{
    struct pst_cancel *cancel = pst_cancel_new();

    if (!cancel) /* tried again in the next round; until then the old one ends each turn */
        return;
    source->cancel = pst_cancel_free(source->cancel);
    source->cancel = cancel;
    source->memory = (struct pst_engine_memory){0};
    source->turn = ASK_WHEN_WANTED;
    source->gap_ns = first_gap_ns;
    source->next_ns = 0;
    source->renewed = false;
}

/* Whatever is due is asked. Returns when to look again. */
static uint64_t round_of(struct source *source)
{
    struct pst_metadata *metadata = source->metadata;
    struct pst_container_key ids[IDS_AT_ONCE];
    uint64_t now_ns = pst_clock_monotonic_ns(), next_ns = now_ns + last_gap_ns;
    size_t cursor = source->cursor, count = 0;

    if (source->renewed)
        renew(source);
    if (source->turn == ASK_WHEN_WANTED)
        count = pst_containers_wanted(metadata->containers, source->engine, now_ns, ids,
                                      IDS_AT_ONCE, &cursor);
    bool due = count > 0 || source->turn != ASK_WHEN_WANTED;
    if (due && source->next_ns <= now_ns) {
        source->cursor = cursor;
        take_turn(source, ids, count);
    }
    if (due && source->next_ns < next_ns)
        next_ns = source->next_ns;
    pst_containers_forget(metadata->containers, pst_clock_monotonic_ns());
    return next_ns;
}

static void *run(void *context)
{
    struct source *source = context;
    struct pst_metadata *metadata = source->metadata;

    pthread_mutex_lock(&metadata->lock);
    while (!metadata->ending) {
        uint64_t next_ns = round_of(source);
        if (!metadata->ending && !source->renewed && next_ns > pst_clock_monotonic_ns())
            wait_until(metadata, next_ns);
    }
    source->ended = true;
    (void)pthread_cond_broadcast(&metadata->changed);
    pthread_mutex_unlock(&metadata->lock);
    return NULL;
}

/* ---- making and ending ---- */

static void release(struct pst_metadata *metadata)
{
    for (size_t i = 0; i < PST_ENGINE_COUNT; i++)
        (void)pst_cancel_free(metadata->sources[i].cancel);
    (void)pst_containers_free(metadata->containers);
    pst_config_unref(metadata->config);
    if (metadata->fd >= 0)
        (void)close(metadata->fd);
    (void)pthread_cond_destroy(&metadata->changed);
    (void)pthread_mutex_destroy(&metadata->lock);
    free(metadata);
}

static int start(struct pst_metadata *metadata)
{
    int status = metadata->fd >= 0 && metadata->containers ? 0 : -ENOMEM;

    for (size_t i = 0; i < PST_ENGINE_COUNT && status == 0; i++) {
        struct source *source = &metadata->sources[i];
        source->metadata = metadata;
        source->engine = (enum pst_engine)i;
        source->gap_ns = first_gap_ns;
        source->present = engines[i]->present(metadata->config);
        source->cancel = pst_cancel_new();
        status = source->cancel ? -pthread_create(&source->thread, NULL, run, source) : -ENOMEM;
        source->started = status == 0;
    }
    return status;
}

int pst_metadata_new(struct pst_config *config, struct pst_metadata **ret)
{
    struct pst_metadata *metadata = calloc(1, sizeof(*metadata));
    pthread_condattr_t attributes;

    if (!metadata)
        return -ENOMEM;
    (void)pthread_mutex_init(&metadata->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&metadata->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    metadata->config = pst_config_ref(config);
    metadata->random.state = pst_random_seed() ^ pst_clock_monotonic_ns();
    metadata->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    metadata->containers = pst_containers_new();
    int status = start(metadata);
    if (status < 0)
        (void)pst_metadata_free(metadata, pst_clock_monotonic_ns() + last_gap_ns);
    else
        *ret = metadata;
    return status;
}

void pst_metadata_configure(struct pst_metadata *metadata, struct pst_config *config)
{
    pthread_mutex_lock(&metadata->lock);
    pst_config_unref(metadata->config);
    metadata->config = pst_config_ref(config);
    for (size_t i = 0; i < PST_ENGINE_COUNT; i++) {
        metadata->sources[i].present = engines[i]->present(config);
        metadata->sources[i].renewed = true;
        pst_cancel_raise(metadata->sources[i].cancel);
    }
    (void)pthread_cond_broadcast(&metadata->changed);
    pthread_mutex_unlock(&metadata->lock);
}

static bool all_ended(const struct pst_metadata *metadata)
{
    for (size_t i = 0; i < PST_ENGINE_COUNT; i++)
        if (metadata->sources[i].started && !metadata->sources[i].ended)
            return false;
    return true;
}

struct pst_metadata *pst_metadata_free(struct pst_metadata *metadata, uint64_t until_ns)
{
    if (!metadata)
        return NULL;
    pthread_mutex_lock(&metadata->lock);
    metadata->ending = true;
    for (size_t i = 0; i < PST_ENGINE_COUNT; i++)
        if (metadata->sources[i].cancel)
            pst_cancel_raise(metadata->sources[i].cancel);
    (void)pthread_cond_broadcast(&metadata->changed);
    while (!all_ended(metadata) && pst_clock_monotonic_ns() < until_ns)
        wait_until(metadata, until_ns);
    bool ended = all_ended(metadata);
    pthread_mutex_unlock(&metadata->lock);
    for (size_t i = 0; i < PST_ENGINE_COUNT; i++) {
        if (!metadata->sources[i].started)
            continue;
        if (ended)
            (void)pthread_join(metadata->sources[i].thread, NULL);
        else /* what they use stays */
            (void)pthread_detach(metadata->sources[i].thread);
    }
    if (ended)
        release(metadata);
    return NULL;
}

/* ---- asking the table ---- */

int pst_metadata_fd(const struct pst_metadata *metadata)
{
    return metadata->fd;
}

static unsigned present(const struct pst_metadata *metadata)
{
    unsigned set = 0;

    for (size_t i = 0; i < PST_ENGINE_COUNT; i++)
        set |= metadata->sources[i].present ? 1U << i : 0;
    return set;
}

/* What Kubernetes and its runtime call the target's container: not one that an engine inside of it
 * made, which they do not know. */
static struct pst_str pods_container(const struct pst_facts *facts)
{
    struct pst_str id = pst_cgroup_pod_container(facts->cgroup);

    return id.len > 0 ? id : facts->container_id;
}

/* 1: a container that nobody asked for before. Under the lock. */
static int look_up(struct pst_metadata *metadata, const struct pst_container_key *key,
                   struct pst_engines *ret)
{
    return pst_containers_get(metadata->containers, key, pst_clock_monotonic_ns(), ret);
}

static int look_up_both(struct pst_metadata *metadata, const struct pst_container_key *pods,
                        const struct pst_container_key *own, struct pst_engines *ret)
{
    struct pst_engines inner = {0};
    int status = look_up(metadata, pods, ret);

    if (memcmp(pods, own, sizeof(*own)) == 0)
        return status;
    int other = look_up(metadata, own, &inner);
    struct pst_meta *outer = ret->of[PST_ENGINE_DOCKER];
    ret->of[PST_ENGINE_DOCKER] = inner.of[PST_ENGINE_DOCKER];
    inner.of[PST_ENGINE_DOCKER] = outer;
    pst_engines_done(&inner);
    return status == 1 || other == 1;
}

bool pst_metadata_get(struct pst_metadata *metadata, const struct pst_facts *facts,
                      struct pst_engines *ret)
{
    bool in_pod = facts->pod_uid.len > 0 || pst_cgroup_in_pod(facts->cgroup);
    struct pst_container_key own, pods;

    memset(ret, 0, sizeof(*ret));
    if (!pst_container_key_make(facts->container_id, &own) ||
        !pst_container_key_make(pods_container(facts), &pods))
        return false;
    pthread_mutex_lock(&metadata->lock);
    if (look_up_both(metadata, &pods, &own, ret) == 1) {
        for (size_t i = 0; i < PST_ENGINE_COUNT; i++)
            metadata->sources[i].gap_ns = first_gap_ns;
        (void)pthread_cond_broadcast(&metadata->changed);
    }
    bool waiting = in_pod && pst_containers_wait(metadata->containers, &pods, present(metadata),
                                                 pst_clock_monotonic_ns());
    pthread_mutex_unlock(&metadata->lock);
    return waiting;
}

void pst_metadata_settle(struct pst_metadata *metadata, const struct pst_facts *facts,
                         uint64_t until_ns)
{
    struct pst_container_key key;

    if (!pst_container_key_make(facts->container_id, &key))
        return;
    for (;;) {
        struct pst_engines found;
        bool waiting = pst_metadata_get(metadata, facts, &found), known = false;
        for (size_t i = 0; i < PST_ENGINE_COUNT; i++)
            known = known || found.of[i];
        pst_engines_done(&found);
        if ((!waiting && known) || pst_clock_monotonic_ns() >= until_ns)
            return;
        pthread_mutex_lock(&metadata->lock);
        uint64_t step_ns = pst_clock_monotonic_ns() + PST_NS_PER_S / 10;
        wait_until(metadata, step_ns < until_ns ? step_ns : until_ns);
        pthread_mutex_unlock(&metadata->lock);
    }
}
