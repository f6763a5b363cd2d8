/* Singly linked list with a tail. */
#include "queue.h"

#include <stdlib.h>

void pst_closed_queue_init(struct pst_closed_queue *queue)
{
    *queue = (struct pst_closed_queue){.tail = &queue->head};
}

void pst_closed_queue_push(struct pst_closed_queue *queue, struct pst_closed *entry)
{
    entry->next = NULL;
    *queue->tail = entry;
    queue->tail = &entry->next;
    queue->count++;
}

struct pst_closed *pst_closed_queue_pop(struct pst_closed_queue *queue)
{
    struct pst_closed *entry = queue->head;
    if (!entry)
        return NULL;
    queue->head = entry->next;
    if (!queue->head)
        queue->tail = &queue->head;
    queue->count--;
    return entry;
}

struct pst_closed *pst_closed_free(struct pst_closed *entry)
{
    if (entry) {
        pst_window_free(entry->window);
        pst_names_free(entry->names);
    }
    free(entry);
    return NULL;
}
