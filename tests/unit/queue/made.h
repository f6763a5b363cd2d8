/* Items for tests of queues, and what a queue said about them. */
#ifndef PST_TESTS_QUEUE_MADE_H
#define PST_TESTS_QUEUE_MADE_H

#include <stdio.h>

#include "queue/queue.h"

static char log_text[4096];

static void on_drop(void *context, const struct pst_queue_drop *drop)
{
    size_t len = strlen(log_text);
    (void)snprintf(log_text + len, sizeof(log_text) - len, "%s%s:%lld", len ? " " : "",
                   drop->reason, (long long)drop->time_ns);
}

static struct pst_item *item(const char *service, int64_t number, size_t bytes)
{
    static const char zeros[8192];
    struct pst_profile_meta meta = {.mode = PST_MODE_CPU, .time_ns = number};
    struct pst_labels *labels = pst_labels_new();
    struct pst_item *made = NULL;
    assert_int_equal(pst_labels_set(labels, PST_STR("service_name"), pst_str(service)), 0);
    assert_int_equal(pst_item_from_body(labels, &meta, 1, 1, zeros, bytes, &made), 0);
    pst_labels_free(labels);
    return made;
}

static void push_of(struct pst_queue *queue, const char *service, int64_t number, size_t bytes)
{
    struct pst_item *made = item(service, number, bytes);
    pst_queue_push(queue, made);
    pst_item_unref(made);
}

static struct pst_queue_entry *taken;

static int64_t take(struct pst_queue *queue)
{
    return pst_queue_take(queue, &taken) ? taken->item->time_ns : -1;
}

#endif
