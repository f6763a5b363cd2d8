/* Closed windows on their way from the sampling thread to the shipping thread. Guarded by
 * windows_lock. */
#ifndef PST_SAMPLER_QUEUE_H
#define PST_SAMPLER_QUEUE_H

#include "sampler/sampler.h"
#include "window.h"

struct pst_closed {
    struct pst_closed *next;
    struct pst_sampler_window stats;
    struct pst_window *window; /* NULL: only its state is told */
    struct pst_names *names;   /* of the window; owned */
    pid_t pid;
    unsigned modes;
    bool native;      /* with native frames */
    uint64_t stop_ns; /* median length of the stops that they took */
    bool end;         /* no window: the sequence is complete */
};

struct pst_closed_queue {
    struct pst_closed *head, **tail;
    size_t count;
};

void pst_closed_queue_init(struct pst_closed_queue *queue);
/* Takes ownership of entry. */
void pst_closed_queue_push(struct pst_closed_queue *queue, struct pst_closed *entry);
struct pst_closed *pst_closed_queue_pop(struct pst_closed_queue *queue);
struct pst_closed *pst_closed_free(struct pst_closed *entry);

#endif
