/* Entries in an array, found by id through a map. */
#include "pipeline/known.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/map.h"

/* Ended targets stay for a while beside the live ones. */
enum { MAX_KNOWN = 2 * PST_MAX_TARGETS, SHOWN_GONE = 256 };
/* A process that ends ships its window at once; half a minute is for readers that are held up. */
static const uint64_t last_window_ns = 30 * PST_NS_PER_S;

struct pst_known_table {
    struct pst_known **items;
    size_t count, cap;
    struct pst_map *by_id; /* id -> struct pst_known * */
};

struct pst_known_table *pst_known_new(void)
{
    struct pst_known_table *table = calloc(1, sizeof(*table));
    if (!table)
        return NULL;
    table->by_id = pst_map_new(sizeof(uint64_t), sizeof(struct pst_known *), MAX_KNOWN);
    if (!table->by_id) {
        free(table);
        return NULL;
    }
    return table;
}

static void known_free(struct pst_known *known)
{
    pst_facts_free(known->facts);
    pst_engines_done(&known->engines);
    pst_meta_unref(known->before);
    pst_labels_free(known->after);
    free(known->why);
    free(known);
}

struct pst_known_table *pst_known_free(struct pst_known_table *table)
{
    if (!table)
        return NULL;
    for (size_t i = 0; i < table->count; i++)
        known_free(table->items[i]);
    free(table->items);
    pst_map_free(table->by_id);
    free(table);
    return NULL;
}

struct pst_known *pst_known_get(struct pst_known_table *table, uint64_t id)
{
    struct pst_known **there = pst_map_get(table->by_id, &id);
    return there ? *there : NULL;
}

static void forget(struct pst_known_table *table, size_t at)
{
    struct pst_known *known = table->items[at];
    pst_map_remove(table->by_id, &known->id);
    known_free(known);
    table->items[at] = table->items[--table->count];
}

/* Where processes come and go quickly, the ended ones make room before their time. */
static void make_room(struct pst_known_table *table)
{
    size_t oldest = table->count;
    if (table->count < MAX_KNOWN)
        return;
    for (size_t i = 0; i < table->count; i++)
        if (table->items[i]->gone &&
            (oldest == table->count || table->items[i]->gone_ns < table->items[oldest]->gone_ns))
            oldest = i;
    if (oldest < table->count)
        forget(table, oldest);
}

static int insert(struct pst_known_table *table, uint64_t id, struct pst_known **ret)
{
    if (table->count == table->cap) {
        size_t cap = table->cap ? table->cap * 2 : 16;
        struct pst_known **items = realloc(table->items, cap * sizeof(struct pst_known *));
        if (!items)
            return -ENOMEM;
        table->items = items;
        table->cap = cap;
    }
    struct pst_known *known = calloc(1, sizeof(*known));
    if (!known)
        return -ENOMEM;
    known->id = id;
    void *value;
    int r = pst_map_put(table->by_id, &id, &value, NULL);
    if (r < 0) {
        free(known);
        return r;
    }
    *(struct pst_known **)value = known;
    table->items[table->count++] = known;
    *ret = known;
    return 0;
}

int pst_known_put(struct pst_known_table *table, const struct pst_facts *facts, uint64_t now_ns,
                  struct pst_known **ret)
{
    struct pst_facts *copy = pst_facts_copy(facts);
    if (!copy)
        return -ENOMEM;
    struct pst_known *known = pst_known_get(table, facts->id);
    if (!known) {
        make_room(table);
        int r = insert(table, facts->id, &known);
        if (r < 0) {
            pst_facts_free(copy);
            return r;
        }
        known->seen_ns = now_ns;
    }
    if (known->facts && !pst_str_eq(known->facts->container_id, copy->container_id))
        pst_engines_done(&known->engines);
    pst_facts_free(known->facts);
    known->facts = copy;
    *ret = known;
    return 0;
}

bool pst_known_engines(struct pst_known *known, struct pst_engines *engines, bool waiting)
{
    bool news = waiting != known->waiting;
    for (size_t i = 0; i < PST_ENGINE_COUNT; i++) {
        struct pst_meta *said = engines->of[i];
        if (!said || said == known->engines.of[i])
            continue;
        engines->of[i] = known->engines.of[i];
        known->engines.of[i] = said;
        news = true;
    }
    pst_engines_done(engines);
    known->waiting = waiting;
    return news;
}

void pst_known_set_labels(struct pst_known *known, struct pst_meta *before,
                          struct pst_labels *after, char *why)
{
    pst_meta_unref(known->before);
    pst_labels_free(known->after);
    free(known->why);
    known->before = before;
    known->after = after;
    known->why = why;
}

void pst_known_window(struct pst_known *known, const struct pst_sampler_window *window,
                      uint64_t now_ns)
{
    known->last = *window;
    known->has_window = true;
    known->samples += window->samples;
    known->torn += window->torn;
    known->failed += window->failed;
    known->trimmed += window->trimmed;
    known->retried += window->retries;
    known->late += window->late;
    known->cpu_ns += window->cpu_ns;
    if (window->verdict == PST_V_OK && window->ticks > 0) {
        known->last_sample_ns = window->time_ns + window->duration_ns;
        known->last_sample_mono_ns = now_ns;
    }
    if (window->gone && !known->gone) {
        known->gone = true;
        known->gone_ns = now_ns;
    }
}

uint64_t pst_known_unseen_ns(struct pst_known *known)
{
    if (!known->gone || known->last_sample_mono_ns)
        return 0;
    return pst_known_growth(&known->unseen_told_ns, known->cpu_ns);
}

uint64_t pst_known_growth(uint64_t *last, uint64_t total)
{
    uint64_t growth = total < *last ? total : total - *last;
    *last = total;
    return growth;
}

int pst_known_by_need(const void *a, const void *b)
{
    const struct pst_known *x = *(struct pst_known *const *)a, *y = *(struct pst_known *const *)b;
    if (x->has_window != y->has_window)
        return x->has_window ? 1 : -1;
    if (x->last.cpu_ns != y->last.cpu_ns)
        return x->last.cpu_ns < y->last.cpu_ns ? 1 : -1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* How many of the ended ones are there beyond what is kept of them for people to see. */
static size_t beyond_shown(const struct pst_known_table *table)
{
    size_t gone = 0;
    for (size_t i = 0; i < table->count; i++)
        gone += table->items[i]->gone;
    return gone > SHOWN_GONE ? gone - SHOWN_GONE : 0;
}

/* Its last window has come and has its labels. */
static bool is_over(const struct pst_known *known, uint64_t now_ns)
{
    return !known->waiting && now_ns - known->gone_ns >= last_window_ns;
}

void pst_known_expire(struct pst_known_table *table, uint64_t now_ns, uint64_t keep_ns)
{
    size_t beyond = beyond_shown(table);
    for (size_t i = 0; i < table->count;) {
        struct pst_known *known = table->items[i];
        bool old = known->gone && now_ns - known->gone_ns >= keep_ns;
        bool crowded = beyond > 0 && known->gone && is_over(known, now_ns);
        if (!old && !crowded) {
            i++;
            continue;
        }
        beyond -= beyond > 0;
        forget(table, i);
    }
}

size_t pst_known_count(const struct pst_known_table *table)
{
    return table->count;
}

struct pst_known *pst_known_at(struct pst_known_table *table, size_t index)
{
    return table->items[index];
}

bool pst_known_readable(const struct pst_known *known)
{
    return !known->gone && !known->stalled && !known->refused &&
           known->facts->state == PST_TARGET_READY;
}

bool pst_known_wanted(const struct pst_known *known)
{
    return pst_known_readable(known) && !known->dropped && !known->resting;
}

const char *pst_known_state(const struct pst_known *known, const char **ret_reason,
                            char *reason_buffer, size_t size)
{
    struct pst_str word = known->facts->reason;
    (void)snprintf(reason_buffer, size, "%.*s", (int)word.len, word.ptr ? word.ptr : "");
    *ret_reason = reason_buffer;
    if (known->gone)
        return "gone";
    if (known->stalled) {
        *ret_reason = "stalled";
        return "failed";
    }
    if (known->refused) {
        *ret_reason = "stalled_cgroup";
        return "skipped";
    }
    if (known->facts->state == PST_TARGET_FAILED)
        return "failed";
    if (known->dropped || known->resting) {
        *ret_reason = known->dropped ? known->dropped : known->resting;
        return "skipped";
    }
    if (known->facts->state == PST_TARGET_STARTING)
        return "waiting";
    if (!known->has_window) {
        *ret_reason = "first_window";
        return "waiting";
    }
    *ret_reason = known->last.verdict == PST_V_OK ? "" : pst_verdict_word(known->last.verdict);
    return known->last.verdict == PST_V_OK          ? "active"
           : known->last.verdict == PST_V_NOT_READY ? "waiting"
                                                    : "failed";
}
