/* The bounded queue in front of the writer: never blocks the one who puts, loses the oldest first,
 * and counts each loss with its reason. The caller holds the store's lock. */
#include "base/metrics.h"
#include "internal.h"

static struct pst_item *pop(struct pst_store_queue *queue)
{
    struct pst_item *item = queue->items[queue->head];
    queue->head = (queue->head + 1) % PST_MAX_STORE_QUEUE_ITEMS;
    queue->count--;
    queue->bytes -= item->body_bytes;
    return item;
}

void pst_store_count_drop(struct pst_store *store, const char *reason)
{
    store->finished++;
    store->stats.dropped++;
    pst_metric_add(PST_METRIC_STORE_DROPPED, reason, NULL, 1);
}

static void drop(struct pst_store *store, struct pst_item *item, const char *reason)
{
    pst_item_unref(item);
    pst_store_count_drop(store, reason);
}

static bool fits(const struct pst_store_queue *queue, size_t bytes)
{
    return queue->count + queue->taken < PST_MAX_STORE_QUEUE_ITEMS &&
           queue->bytes + queue->taken_bytes + bytes <= PST_MAX_STORE_QUEUE_BYTES;
}

void pst_store_queue_push(struct pst_store *store, struct pst_item *item)
{
    struct pst_store_queue *queue = &store->queue;
    const char *reason = store->degraded_word ? store->degraded_word : "queue_full";
    store->put++;
    if (item->body_bytes > PST_MAX_STORE_ITEM_BYTES) {
        drop(store, item, "too_large");
        return;
    }
    while (!fits(queue, item->body_bytes) && queue->count > 0)
        drop(store, pop(queue), reason);
    if (!fits(queue, item->body_bytes)) {
        drop(store, item, reason);
        return;
    }
    queue->items[(queue->head + queue->count) % PST_MAX_STORE_QUEUE_ITEMS] = item;
    queue->count++;
    queue->bytes += item->body_bytes;
}

size_t pst_store_queue_take(struct pst_store *store,
                            struct pst_item *ret_items[PST_STORE_BATCH_ITEMS])
{
    struct pst_store_queue *queue = &store->queue;
    size_t count = 0, bytes = 0;
    while (queue->count > 0 && count < PST_STORE_BATCH_ITEMS &&
           (count == 0 ||
            bytes + queue->items[queue->head]->body_bytes <= PST_MAX_STORE_BATCH_BYTES)) {
        ret_items[count] = pop(queue);
        bytes += ret_items[count++]->body_bytes;
    }
    queue->taken = count;
    queue->taken_bytes = bytes;
    return count;
}

void pst_store_queue_finish(struct pst_store *store, struct pst_item **items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        pst_item_unref(items[i]);
    store->queue.taken = store->queue.taken_bytes = 0;
    store->finished += count;
    store->stats.written += count;
}

void pst_store_queue_return(struct pst_store *store, struct pst_item **items, size_t count)
{
    struct pst_store_queue *queue = &store->queue;
    for (size_t i = count; i-- > 0;) {
        queue->head = (queue->head + PST_MAX_STORE_QUEUE_ITEMS - 1) % PST_MAX_STORE_QUEUE_ITEMS;
        queue->items[queue->head] = items[i];
        queue->count++;
        queue->bytes += items[i]->body_bytes;
    }
    queue->taken = queue->taken_bytes = 0;
}

void pst_store_queue_drop_all(struct pst_store *store, const char *reason)
{
    while (store->queue.count > 0)
        drop(store, pop(&store->queue), reason);
}
