/* The thread that keeps a queue's copy on disk: reads at the start what an earlier process left,
 * writes what has waited for a while, removes what has left the queue. It alone changes the file.
 * While the disk refuses it tries again every few seconds; nobody waits for it but the end. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "list.h"

#define TRY_AGAIN_NS (5 * PST_NS_PER_S)
#define BATCH_BYTES  (1024 * 1024)
enum { BATCH_ITEMS = 256 };

/* One transaction. */
struct batch {
    struct pst_node *nodes[BATCH_ITEMS];
    struct pst_disk_row rows[BATCH_ITEMS];
    int64_t removed[BATCH_ITEMS];
    size_t count, removed_count;
    struct pst_node *buried;
};

/* ---- what was left ---- */

struct left {
    struct pst_queue *queue;
    struct pst_node *first, *last;
    size_t items, bytes;
    int64_t now_realtime_ns, now_monotonic_ns;
};

static bool take_left(void *context, const struct pst_disk_row *row)
{
    struct left *left = context;
    struct pst_node *node = calloc(1, sizeof(*node));
    if (!node)
        return false; /* the rest waits for the next start */
    int64_t age_ns = row->pushed_ns > 0 ? left->now_realtime_ns - row->pushed_ns : INT64_MAX / 4;
    node->row = row->row;
    node->series = pst_series_of(row->item->labels, row->item->mode);
    node->body_bytes = row->item->body_bytes;
    node->time_ns = row->item->time_ns;
    node->pushed_ns = left->now_monotonic_ns - (age_ns > 0 ? age_ns : 0);
    node->older = left->last;
    *(left->last ? &left->last->newer : &left->first) = node;
    left->last = node;
    left->items++;
    left->bytes += node->body_bytes + PST_QUEUE_ITEM_BYTES;
    return left->items < left->queue->bounds.max_items;
}

/* Without the lock. */
static int open_disk(struct pst_queue *queue)
{
    struct pst_spool *spool = &queue->spool;
    struct pst_disk *disk = NULL;
    struct left left = {.queue = queue,
                        .now_realtime_ns = (int64_t)pst_clock_realtime_ns(),
                        .now_monotonic_ns = (int64_t)pst_clock_monotonic_ns()};
    int r = pst_disk_open(spool->directory, spool->name, &disk);
    if (r < 0)
        return r;
    r = pst_disk_list(disk, take_left, &left);
    pthread_mutex_lock(&queue->lock);
    spool->disk = disk;
    if (left.first)
        pst_list_prepend(queue, left.first, left.last, left.items, left.bytes);
    pthread_mutex_unlock(&queue->lock);
    return r;
}

/* ---- writing ---- */

static bool is_due(const struct pst_queue *queue, const struct pst_node *node, int64_t now_ns)
{
    const struct pst_spool *spool = &queue->spool;
    return spool->hurried || spool->stopping ||
           queue->memory_bytes > queue->bounds.max_memory_bytes / 2 ||
           now_ns - node->pushed_ns >= (int64_t)PST_QUEUE_WRITE_DELAY_NS;
}

/* Under the lock. */
static void collect(struct pst_queue *queue, struct batch *batch)
{
    struct pst_spool *spool = &queue->spool;
    int64_t now_ns = (int64_t)pst_clock_monotonic_ns();
    int64_t to_realtime_ns = (int64_t)pst_clock_realtime_ns() - now_ns;
    size_t bytes = 0;
    batch->count = batch->removed_count = 0;
    batch->buried = NULL;
    while (spool->buried && batch->removed_count < BATCH_ITEMS) {
        struct pst_node *node = spool->buried;
        spool->buried = node->newer;
        node->newer = batch->buried;
        batch->buried = node;
        batch->removed[batch->removed_count++] = node->row;
    }
    struct pst_node *node = spool->unwritten;
    for (; node && batch->count < BATCH_ITEMS && bytes < BATCH_BYTES; node = node->newer) {
        if (node->row) /* on disk alone, among those whose file was lost */
            continue;
        if (!is_due(queue, node, now_ns))
            break;
        node->writing = true;
        bytes += node->body_bytes;
        batch->nodes[batch->count] = node;
        batch->rows[batch->count++] = (struct pst_disk_row){
            .pushed_ns = node->pushed_ns + to_realtime_ns, .item = pst_item_ref(node->item)};
    }
    spool->unwritten = node;
}

/* Under the lock. */
static void settle(struct pst_queue *queue, struct batch *batch, bool written)
{
    struct pst_spool *spool = &queue->spool;
    size_t enough = queue->bounds.max_memory_bytes / 2;
    for (size_t i = batch->count; i-- > 0;) {
        struct pst_node *node = batch->nodes[i];
        node->writing = false;
        if (written)
            node->row = batch->rows[i].row;
        else if (!node->gone && !node->reason) /* one that was dropped is on its way out */
            spool->unwritten = node;
        if (node->gone)
            pst_list_discard(queue, node);
        else if (written && !node->taken && queue->memory_bytes > enough)
            pst_list_unload(queue, node);
    }
    while (batch->buried) {
        struct pst_node *node = batch->buried;
        batch->buried = node->newer;
        if (written)
            free(node);
        else
            pst_list_discard(queue, node);
    }
}

/* Under the lock: what is in memory still is written again after its file was lost; the rest will
 * be found missing. */
static void write_lost_again(struct pst_queue *queue, int64_t lost_row)
{
    struct pst_spool *spool = &queue->spool;
    if (lost_row == spool->lost_row)
        return;
    spool->lost_row = lost_row;
    for (struct pst_node *node = queue->newest; node; node = node->older) {
        if (node->row <= lost_row && node->item)
            node->row = 0;
        if (!node->row)
            spool->unwritten = node;
    }
}

/* Without the lock: one transaction. 0, -EAGAIN when there was nothing to do, or what the disk
 * says.
 */
static int write_batch(struct pst_queue *queue, struct batch *batch)
{
    struct pst_spool *spool = &queue->spool;
    pthread_mutex_lock(&queue->lock);
    collect(queue, batch);
    pthread_mutex_unlock(&queue->lock);
    if (batch->count == 0 && batch->removed_count == 0)
        return -EAGAIN;
    int r = pst_disk_change(spool->disk, batch->removed, batch->removed_count, batch->rows,
                            batch->count);
    int64_t lost_row = pst_disk_lost_row(spool->disk);
    pthread_mutex_lock(&queue->lock);
    settle(queue, batch, r == 0);
    write_lost_again(queue, lost_row);
    pthread_mutex_unlock(&queue->lock);
    for (size_t i = 0; i < batch->count; i++)
        (void)pst_item_unref((struct pst_item *)(uintptr_t)batch->rows[i].item);
    return r;
}

/* Without the lock: one step, with the same results. A file that was begun anew gets the oldest
 * first; one that at once is damaged again is waited for like any other disk that refuses. */
static int work(struct pst_queue *queue, struct batch *batch)
{
    int r = queue->spool.disk ? 0 : open_disk(queue);
    if (r < 0)
        return r;
    r = write_batch(queue, batch);
    return r == -ESTALE ? write_batch(queue, batch) : r;
}

/* ---- the thread ---- */

static void tell_disk(struct pst_queue *queue, int error)
{
    struct pst_spool *spool = &queue->spool;
    if (error == spool->error)
        return;
    spool->error = error;
    queue->owner.disk(queue->owner.context, error);
}

/* Under the lock: until something may be due. */
static void rest(struct pst_queue *queue)
{
    struct pst_spool *spool = &queue->spool;
    uint64_t until_ns = spool->next_try_ns;
    if (!until_ns && spool->unwritten)
        until_ns = (uint64_t)(spool->unwritten->pushed_ns + (int64_t)PST_QUEUE_WRITE_DELAY_NS);
    struct timespec until = {.tv_sec = (time_t)(until_ns / PST_NS_PER_S),
                             .tv_nsec = (long)(until_ns % PST_NS_PER_S)};
    if (until_ns)
        (void)pthread_cond_timedwait(&spool->wake, &queue->lock, &until);
    else if (!spool->buried)
        (void)pthread_cond_wait(&spool->wake, &queue->lock);
}

/* Without the lock. */
static int step(struct pst_queue *queue, struct batch *batch)
{
    struct pst_spool *spool = &queue->spool;
    int r = work(queue, batch);
    if (r != -EAGAIN)
        tell_disk(queue, r < 0 ? r : 0);
    if (!spool->ready) {
        pthread_mutex_lock(&queue->lock);
        spool->ready = true;
        pthread_mutex_unlock(&queue->lock);
        queue->owner.loaded(queue->owner.context);
    }
    return r;
}

static void *run(void *argument)
{
    struct pst_queue *queue = argument;
    struct pst_spool *spool = &queue->spool;
    struct batch batch;
    pthread_mutex_lock(&queue->lock);
    for (;;) {
        bool last = spool->stopping;
        int r = -EAGAIN;
        if (last || pst_clock_monotonic_ns() >= spool->next_try_ns) {
            pthread_mutex_unlock(&queue->lock);
            r = step(queue, &batch);
            pthread_mutex_lock(&queue->lock);
            spool->next_try_ns =
                r < 0 && r != -EAGAIN ? pst_clock_monotonic_ns() + TRY_AGAIN_NS : 0;
        }
        if (last && r < 0)
            break;
        if (r < 0 && !spool->stopping)
            rest(queue);
    }
    spool->ended = true;
    (void)pthread_cond_signal(&spool->over);
    pthread_mutex_unlock(&queue->lock);
    return NULL;
}

/* ---- for the queue ---- */

int pst_spool_start(struct pst_queue *queue, const char *directory, const char *name)
{
    struct pst_spool *spool = &queue->spool;
    pthread_condattr_t attributes;
    sigset_t all, old;
    spool->directory = strdup(directory);
    spool->name = strdup(name);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&spool->wake, &attributes);
    (void)pthread_cond_init(&spool->over, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    queue->has_spool = true;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    int r = spool->directory && spool->name ? -pthread_create(&spool->thread, NULL, run, queue)
                                            : -ENOMEM;
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (r < 0) {
        pst_spool_done(queue, false);
        queue->has_spool = false;
        return r;
    }
    (void)pthread_setname_np(spool->thread, "queue");
    return 0;
}

bool pst_spool_stop(struct pst_queue *queue)
{
    struct pst_spool *spool = &queue->spool;
    if (!queue->has_spool)
        return true;
    uint64_t until_ns = pst_clock_monotonic_ns() + PST_QUEUE_END_NS;
    struct timespec until = {.tv_sec = (time_t)(until_ns / PST_NS_PER_S),
                             .tv_nsec = (long)(until_ns % PST_NS_PER_S)};
    pthread_mutex_lock(&queue->lock);
    spool->stopping = true;
    (void)pthread_cond_signal(&spool->wake);
    while (!spool->ended && pthread_cond_timedwait(&spool->over, &queue->lock, &until) == 0)
        continue;
    bool ended = spool->ended;
    pthread_mutex_unlock(&queue->lock);
    if (ended)
        (void)pthread_join(spool->thread, NULL);
    else
        (void)pthread_detach(spool->thread);
    return ended;
}

void pst_spool_done(struct pst_queue *queue, bool forget)
{
    struct pst_spool *spool = &queue->spool;
    if (!queue->has_spool)
        return;
    spool->disk = forget ? pst_disk_remove(spool->disk) : pst_disk_close(spool->disk);
    while (spool->buried) {
        struct pst_node *node = spool->buried;
        spool->buried = node->newer;
        free(node);
    }
    (void)pthread_cond_destroy(&spool->wake);
    (void)pthread_cond_destroy(&spool->over);
    free(spool->directory);
    free(spool->name);
}
