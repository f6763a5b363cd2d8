/* Assembles plans and looks their ids up. */
#include "plan_book.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/map.h"

enum { SKIPS = 128 };

struct rows {
    struct pst_plan_row items[PST_MAX_TARGETS];
    size_t count;
    uint64_t generation;
    unsigned shrink;
    bool enabled;
};

/* A process that a plan in force names, by pid. */
struct observed {
    uint32_t id;
    uint64_t start_ticks;
    uint64_t since_ticks;
};

struct pst_plan_book {
    const struct pst_table *table;
    struct rows *force, *incoming;
    bool receiving, native;
    uint32_t skips[SKIPS];
    size_t skip_count;
    struct pst_map *observed, *observed_next; /* pid_t -> struct observed */
    struct pst_sampler_target *targets;
};

struct pst_plan_book *pst_plan_book_new(const struct pst_table *table, bool native)
{
    struct pst_plan_book *book = calloc(1, sizeof(*book));

    if (!book)
        return NULL;
    book->table = table;
    book->native = native;
    book->force = calloc(1, sizeof(*book->force));
    book->incoming = calloc(1, sizeof(*book->incoming));
    book->targets = calloc(PST_MAX_TARGETS, sizeof(*book->targets));
    book->observed = pst_map_new(sizeof(pid_t), sizeof(struct observed), PST_MAX_TARGETS);
    book->observed_next = pst_map_new(sizeof(pid_t), sizeof(struct observed), PST_MAX_TARGETS);
    if (!book->force || !book->incoming || !book->targets || !book->observed ||
        !book->observed_next)
        return pst_plan_book_free(book);
    return book;
}

struct pst_plan_book *pst_plan_book_free(struct pst_plan_book *book)
{
    if (!book)
        return NULL;
    free(book->force);
    free(book->incoming);
    free(book->targets);
    (void)pst_map_free(book->observed);
    (void)pst_map_free(book->observed_next);
    free(book);
    return NULL;
}

void pst_plan_book_skip(struct pst_plan_book *book, uint32_t target)
{
    book->skips[book->skip_count++ % SKIPS] = target;
}

static bool skipped(const struct pst_plan_book *book, uint32_t target)
{
    for (size_t i = 0; i < SKIPS; i++)
        if (book->skips[i] == target)
            return true;
    return false;
}

uint64_t pst_plan_book_generation(const struct pst_plan_book *book)
{
    return book->force->generation;
}

unsigned pst_plan_book_shrink(const struct pst_plan_book *book)
{
    return book->force->shrink;
}

int pst_plan_book_take(struct pst_plan_book *book, const struct pst_link_plan *part)
{
    struct rows *incoming = book->incoming;

    if (part->first) {
        incoming->count = 0;
        incoming->generation = part->generation;
        incoming->enabled = part->enabled;
        incoming->shrink = part->shrink;
        book->receiving = true;
    }
    if (!book->receiving || part->generation != incoming->generation) {
        book->receiving = false;
        return -EBADMSG;
    }
    if (part->row_count > PST_MAX_TARGETS - incoming->count) {
        book->receiving = false;
        return -ENOSPC;
    }
    memcpy(incoming->items + incoming->count, part->rows,
           part->row_count * sizeof(*incoming->items));
    incoming->count += part->row_count;
    if (!part->last)
        return 0;
    book->receiving = false;
    book->incoming = book->force;
    book->force = incoming;
    return 1;
}

/* True for a process that was forked while its parent was being sampled: all the CPU on its clock
 * is of time that belongs to us. Not one that a plan already knew under the id it had before an
 * exec, since that CPU has been counted. */
static bool born_observed(const struct pst_plan_book *book, const struct pst_table_entry *entry)
{
    const struct observed *self = pst_map_get(book->observed, &entry->pid);
    struct pst_table_entry parent;

    if (self && self->start_ticks == entry->start_ticks && self->id != entry->id)
        return false;
    if (entry->parent == 0 || pst_table_get(book->table, entry->parent, &parent) < 0)
        return false;
    const struct observed *known = pst_map_get(book->observed, &parent.pid);
    return known && known->id == parent.id && known->since_ticks <= entry->start_ticks;
}

static void observe(struct pst_plan_book *book, const struct pst_table_entry *entry,
                    uint64_t boot_ticks)
{
    const struct observed *before = pst_map_get(book->observed, &entry->pid);
    void *value;

    if (pst_map_put(book->observed_next, &entry->pid, &value, NULL) < 0)
        return;
    *(struct observed *)value = (struct observed){
        .id = entry->id,
        .start_ticks = entry->start_ticks,
        .since_ticks = before && before->id == entry->id ? before->since_ticks : boot_ticks,
    };
}

static struct pst_sampler_target target_of(const struct pst_plan_row *row,
                                           const struct pst_table_entry *entry)
{
    return (struct pst_sampler_target){
        .id = entry->id,
        .pid = entry->pid,
        .start_ticks = entry->start_ticks,
        .random_address = entry->random_address,
        .random_mix = entry->exec_id,
        .runtime = entry->runtime,
        .second = entry->second,
        .hz = row->hz,
        .modes = row->modes,
        .window_ns = row->window_ns,
        .max_frames = row->max_frames,
        .class_names = row->class_names,
        .thin = true,
    };
}

size_t pst_plan_book_resolve(struct pst_plan_book *book, uint64_t boot_ticks,
                             const struct pst_sampler_target **ret_targets, bool *ret_again)
{
    size_t count = 0;

    *ret_again = false;
    pst_map_clear(book->observed_next);
    for (size_t i = 0; i < book->force->count && book->force->enabled; i++) {
        const struct pst_plan_row *row = &book->force->items[i];
        struct pst_table_entry entry;
        if (skipped(book, row->target))
            continue;
        int status = pst_table_get(book->table, row->target, &entry);
        *ret_again = *ret_again || status == -EAGAIN;
        /* Seen by discovery, but no runtime that could be attached to was found (yet). */
        if (status < 0 || entry.runtime.hexversion == 0)
            continue;
        struct pst_sampler_target *target = &book->targets[count++];
        *target = target_of(row, &entry);
        target->native = book->native;
        target->born_observed = born_observed(book, &entry);
        observe(book, &entry, boot_ticks);
    }
    struct pst_map *old = book->observed;
    book->observed = book->observed_next;
    book->observed_next = old;
    *ret_targets = book->targets;
    return count;
}
