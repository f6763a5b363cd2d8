/* The list of what waits. Bodies are shared with other exporters' queues, so the bound counts them
 * in each. With a spool a body may be on disk alone; the list itself is always in memory. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "base/clock.h"
#include "list.h"

/* A disk that fails may work again; until then no more than a few are tried. */
enum { HELD_MAX = 8 };
#define HOLD_NS PST_NS_PER_S

static size_t weight(const struct pst_node *node)
{
    return node->body_bytes + PST_QUEUE_ITEM_BYTES;
}

static void unhold(struct pst_queue *queue, struct pst_node *node)
{
    node->held_ns = 0;
    queue->held--;
    pst_series_remove(&queue->busy, node->series);
}

static void unlink_node(struct pst_queue *queue, struct pst_node *node)
{
    *(node->older ? &node->older->newer : &queue->oldest) = node->newer;
    *(node->newer ? &node->newer->older : &queue->newest) = node->older;
    if (queue->spool.unwritten == node)
        queue->spool.unwritten = node->newer;
    if (node->held_ns)
        unhold(queue, node);
    queue->items--;
    queue->bytes -= weight(node);
}

void pst_list_unload(struct pst_queue *queue, struct pst_node *node)
{
    if (!node->item)
        return;
    queue->memory_bytes -= node->body_bytes;
    node->item = pst_item_unref(node->item);
    node->entry.item = NULL;
}

void pst_list_discard(struct pst_queue *queue, struct pst_node *node)
{
    pst_list_unload(queue, node);
    if (node->writing) {
        node->gone = true;
    } else if (node->row && queue->has_spool) {
        node->newer = queue->spool.buried;
        queue->spool.buried = node;
        (void)pthread_cond_signal(&queue->spool.wake);
    } else {
        free(node);
    }
}

void pst_list_prepend(struct pst_queue *queue, struct pst_node *first, struct pst_node *last,
                      size_t items, size_t bytes)
{
    last->newer = queue->oldest;
    *(queue->oldest ? &queue->oldest->older : &queue->newest) = last;
    queue->oldest = first;
    queue->items += items;
    queue->bytes += bytes;
}

/* ---- dropping ---- */

/* Moves a node to the end of the drop list. Its body leaves memory at once, so that no other is
 * dropped for the room that it still takes. */
static void drop(struct pst_queue *queue, struct pst_node *node, const char *reason,
                 struct pst_node ***drops)
{
    unlink_node(queue, node);
    pst_list_unload(queue, node);
    node->reason = reason;
    node->newer = NULL;
    **drops = node;
    *drops = &node->newer;
}

/* The oldest node that is not with a consumer; false when there is none. */
static bool drop_oldest(struct pst_queue *queue, const char *reason, struct pst_node ***drops)
{
    struct pst_node *node = queue->oldest;
    while (node && node->taken)
        node = node->newer;
    if (!node)
        return false;
    drop(queue, node, reason, drops);
    return true;
}

static void tell(struct pst_queue *queue, int64_t time_ns, size_t body_bytes, const char *reason)
{
    struct pst_queue_drop drop = {time_ns, body_bytes, reason};
    queue->owner.dropped(queue->owner.context, &drop);
}

/* Outside the lock: the callback may take others. */
static void tell_drops(struct pst_queue *queue, struct pst_node *drops)
{
    while (drops) {
        struct pst_node *next = drops->newer;
        tell(queue, drops->time_ns, drops->body_bytes, drops->reason);
        pthread_mutex_lock(&queue->lock);
        pst_list_discard(queue, drops);
        pthread_mutex_unlock(&queue->lock);
        drops = next;
    }
}

/* ---- the producer ---- */

static void append(struct pst_queue *queue, struct pst_node *node)
{
    node->older = queue->newest;
    *(queue->newest ? &queue->newest->newer : &queue->oldest) = node;
    queue->newest = node;
    queue->items++;
    queue->bytes += weight(node);
    queue->memory_bytes += node->body_bytes;
    if (!queue->spool.unwritten)
        queue->spool.unwritten = node;
}

/* What is on disk as well leaves memory, not the queue. */
static void keep_memory(struct pst_queue *queue, struct pst_node ***drops)
{
    size_t most = queue->bounds.max_memory_bytes;
    struct pst_node *node = queue->oldest, *next;
    for (; node && most && queue->memory_bytes > most; node = next) {
        next = node->newer;
        if (node->taken || !node->item)
            continue;
        if (node->row)
            pst_list_unload(queue, node);
        else
            drop(queue, node, "queue_full", drops);
    }
}

static void keep_bounds(struct pst_queue *queue, struct pst_node ***drops)
{
    const struct pst_queue_bounds *bounds = &queue->bounds;
    bool more = true;
    while (more && (queue->items > bounds->max_items || queue->bytes > bounds->max_bytes))
        more = drop_oldest(queue, "queue_full", drops);
    keep_memory(queue, drops);
}

/* Memory fills faster than the usual delay empties it. */
static bool presses(const struct pst_queue *queue)
{
    return queue->spool.hurried || queue->memory_bytes > queue->bounds.max_memory_bytes / 2;
}

void pst_queue_push(struct pst_queue *queue, struct pst_item *item)
{
    size_t bytes = item->body_bytes + PST_QUEUE_ITEM_BYTES;
    const char *refused = bytes > queue->bounds.max_bytes ? "too_large" : NULL;
    struct pst_node *node = refused ? NULL : calloc(1, sizeof(*node));
    struct pst_node *drops = NULL, **drops_end = &drops;
    if (!node) {
        tell(queue, item->time_ns, item->body_bytes, refused ? refused : "no_memory");
        return;
    }
    node->item = pst_item_ref(item);
    node->entry.item = item;
    node->body_bytes = item->body_bytes;
    node->time_ns = item->time_ns;
    node->series = pst_series_of(item->labels, item->mode);
    node->pushed_ns = (int64_t)pst_clock_monotonic_ns();
    pthread_mutex_lock(&queue->lock);
    append(queue, node);
    keep_bounds(queue, &drops_end);
    if (queue->has_spool && (queue->spool.unwritten == node || presses(queue)))
        (void)pthread_cond_signal(&queue->spool.wake);
    pthread_mutex_unlock(&queue->lock);
    tell_drops(queue, drops);
}

/* ---- consumers ---- */

static void expire(struct pst_queue *queue, struct pst_node ***drops)
{
    uint64_t max_age_ns = queue->bounds.max_age_ns;
    int64_t now_ns = (int64_t)pst_clock_monotonic_ns();
    struct pst_node *node = queue->oldest;
    while (node && max_age_ns) {
        struct pst_node *next = node->newer;
        if (now_ns - node->pushed_ns <= (int64_t)max_age_ns)
            break;
        if (!node->taken)
            drop(queue, node, "expired", drops);
        node = next;
    }
}

static bool has_room(const struct pst_queue *queue, const struct pst_node *node)
{
    size_t most = queue->bounds.max_taken_bytes;
    return !most || !queue->taken || queue->taken_bytes + node->body_bytes <= most;
}

/* Whose turn comes before: 0 at once. One item that a backend always answers with a passing error
 * must not keep all others waiting: it goes last. While all fail each gets its try in turn. */
static unsigned turn(const struct pst_queue *queue, const struct pst_node *node)
{
    if (node->strikes)
        return UINT_MAX / 2 + node->strikes;
    return queue->failing ? node->releases : 0;
}

/* Items are looked at oldest first and each is its series' oldest unless that series is busy or was
 * passed over, so nothing overtakes in its own series. */
static struct pst_node *find_turn(struct pst_queue *queue)
{
    struct pst_series_set passed = {0};
    struct pst_node *best = NULL;
    unsigned looked_at = 0;
    for (struct pst_node *node = queue->oldest; node && looked_at < PST_MAX_QUEUE_LOOKAHEAD;
         node = node->newer, looked_at++) {
        if (node->taken || pst_series_has(&queue->busy, node->series) ||
            pst_series_has(&passed, node->series))
            continue;
        if (!best || turn(queue, node) < turn(queue, best))
            best = node;
        if (turn(queue, best) == 0 || !pst_series_add(&passed, node->series))
            break;
    }
    return best;
}

/* Where the first that may go finds no room nothing else goes, so that a large one gets its turn.
 */
static struct pst_node *find_free(struct pst_queue *queue)
{
    struct pst_node *node = find_turn(queue);
    return node && has_room(queue, node) ? node : NULL;
}

/* Under the lock. */
static void give_back(struct pst_queue *queue, struct pst_node *node)
{
    node->taken = false;
    queue->taken--;
    queue->taken_bytes -= node->body_bytes;
    pst_series_remove(&queue->busy, node->series);
}

/* Under the lock, which is given up for the disk: a taken node stays where it is. */
static int load(struct pst_queue *queue, struct pst_node *node)
{
    struct pst_item *item = NULL;
    if (node->item)
        return 0;
    pthread_mutex_unlock(&queue->lock);
    int r = pst_disk_load(queue->spool.disk, node->row, &item);
    pthread_mutex_lock(&queue->lock);
    if (r < 0)
        return r;
    node->item = item;
    node->entry.item = item;
    queue->memory_bytes += node->body_bytes;
    return 0;
}

/* Under the lock. What was taken in vain waits, and its series with it, which stays in order. */
static void hold(struct pst_queue *queue, struct pst_node *node)
{
    node->taken = false;
    queue->taken--;
    queue->taken_bytes -= node->body_bytes;
    node->held_ns = pst_clock_monotonic_ns() + HOLD_NS;
    queue->held++;
}

static void end_holds(struct pst_queue *queue)
{
    uint64_t now_ns = pst_clock_monotonic_ns();
    size_t left = queue->held;
    for (struct pst_node *node = queue->oldest; node && left > 0; node = node->newer) {
        left -= node->held_ns != 0;
        if (node->held_ns && node->held_ns <= now_ns)
            unhold(queue, node);
    }
}

/* What was written is not there any more, or is not what was written. */
static bool is_lost(int error)
{
    return error == -ENOENT || error == -EUCLEAN || error == -EFBIG;
}

static struct pst_node *take_one(struct pst_queue *queue, struct pst_node ***drops)
{
    end_holds(queue);
    while (queue->held < HELD_MAX) {
        struct pst_node *node = find_free(queue);
        if (!node || !pst_series_add(&queue->busy, node->series))
            return NULL;
        node->taken = true;
        queue->taken++;
        queue->taken_bytes += node->body_bytes;
        int r = load(queue, node);
        if (r == 0)
            return node;
        if (!is_lost(r)) {
            hold(queue, node);
            if (r == -ENOMEM || r == -EBUSY)
                return NULL; /* it is not this one's */
            continue;
        }
        give_back(queue, node);
        drop(queue, node, "unreadable", drops);
    }
    return NULL;
}

bool pst_queue_take(struct pst_queue *queue, struct pst_queue_entry **ret)
{
    struct pst_node *drops = NULL, **drops_end = &drops, *node = NULL;
    pthread_mutex_lock(&queue->lock);
    if (!queue->has_spool || queue->spool.ready) {
        expire(queue, &drops_end);
        node = take_one(queue, &drops_end);
    }
    pthread_mutex_unlock(&queue->lock);
    tell_drops(queue, drops);
    if (node)
        *ret = &node->entry;
    return node != NULL;
}

void pst_queue_done(struct pst_queue *queue, struct pst_queue_entry *entry)
{
    struct pst_node *node = (struct pst_node *)entry;
    pthread_mutex_lock(&queue->lock);
    give_back(queue, node);
    queue->done++;
    queue->failing = false;
    unlink_node(queue, node);
    pst_list_discard(queue, node);
    pthread_mutex_unlock(&queue->lock);
}

void pst_queue_release(struct pst_queue *queue, struct pst_queue_entry *entry)
{
    struct pst_node *node = (struct pst_node *)entry;
    pthread_mutex_lock(&queue->lock);
    give_back(queue, node);
    queue->failing = true;
    if (node->releases && node->done_before != queue->done)
        node->strikes += node->strikes < UINT_MAX / 4;
    node->releases += node->releases < UINT_MAX / 4;
    node->done_before = queue->done;
    if (node->row && presses(queue))
        pst_list_unload(queue, node);
    pthread_mutex_unlock(&queue->lock);
}

struct pst_queue_stats pst_queue_stats(struct pst_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    struct pst_queue_stats stats = {queue->items, queue->bytes, queue->taken, queue->memory_bytes};
    pthread_mutex_unlock(&queue->lock);
    return stats;
}

/* ---- beginning and end ---- */

struct pst_queue *pst_queue_new(const struct pst_queue_bounds *bounds, const char *directory,
                                const char *name, const struct pst_queue_owner *owner)
{
    struct pst_queue *queue = calloc(1, sizeof(*queue));
    if (!queue || pthread_mutex_init(&queue->lock, NULL) != 0) {
        free(queue);
        return NULL;
    }
    queue->bounds = *bounds;
    queue->owner = *owner;
    if (directory && pst_spool_start(queue, directory, name) < 0) {
        pthread_mutex_destroy(&queue->lock);
        free(queue);
        return NULL;
    }
    return queue;
}

void pst_queue_configure(struct pst_queue *queue, size_t max_bytes, uint64_t max_age_ns)
{
    pthread_mutex_lock(&queue->lock);
    queue->bounds.max_bytes = max_bytes;
    queue->bounds.max_age_ns = max_age_ns;
    pthread_mutex_unlock(&queue->lock);
}

void pst_queue_hurry(struct pst_queue *queue)
{
    if (!queue->has_spool)
        return;
    pthread_mutex_lock(&queue->lock);
    queue->spool.hurried = true;
    (void)pthread_cond_signal(&queue->spool.wake);
    pthread_mutex_unlock(&queue->lock);
}

/* What a stuck disk holds up is left behind with all that its thread uses. */
struct pst_queue *pst_queue_free(struct pst_queue *queue, const char *reason, bool forget)
{
    if (!queue || !pst_spool_stop(queue))
        return NULL;
    struct pst_node *node = queue->oldest, *next;
    for (; node; node = next) {
        next = node->newer;
        if (forget || !node->row)
            tell(queue, node->time_ns, node->body_bytes, reason);
        (void)pst_item_unref(node->item);
        free(node);
    }
    pst_spool_done(queue, forget);
    pthread_mutex_destroy(&queue->lock);
    free(queue);
    return NULL;
}
