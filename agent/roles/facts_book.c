/* Keeps scan's ids and the table's apart, and remembers what the daemon has not been told. */
#include "facts_book.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/map.h"
#include "roles/link.h"
#include "usage.h"

/* Of one target of scan. */
struct known {
    uint32_t id; /* in the table */
    uint64_t exec_id;
    bool told; /* the daemon has its latest state */
};

struct pst_facts_book {
    struct pst_table *table;
    int link;
    struct pst_map *known; /* scan's id -> struct known */
    struct pst_buf message;
    bool owed;
};

struct pst_facts_book *pst_facts_book_new(struct pst_table *table, int link)
{
    struct pst_facts_book *book = calloc(1, sizeof(*book));

    if (!book)
        return NULL;
    book->table = table;
    book->link = link;
    pst_buf_init(&book->message, PST_MAX_LINK_MESSAGE_BYTES);
    book->known = pst_map_new(sizeof(uint64_t), sizeof(struct known), PST_MAX_TARGETS);
    /* Entries of a reader before this one may be of processes that have ended since. */
    book->owed = true;
    return book->known ? book : pst_facts_book_free(book);
}

struct pst_facts_book *pst_facts_book_free(struct pst_facts_book *book)
{
    if (!book)
        return NULL;
    pst_buf_done(&book->message);
    (void)pst_map_free(book->known);
    free(book);
    return NULL;
}

/* Tells one program from the next in the same process; the same again for a restarted reader. */
static uint64_t exec_id(const struct pst_facts *facts)
{
    uint64_t words[2];

    memcpy(words, facts->random, sizeof(words));
    return words[0] ^ words[1] ^ facts->random_address;
}

static uint32_t table_id(const struct pst_facts_book *book, uint64_t scan_id)
{
    const struct known *known = pst_map_get(book->known, &scan_id);

    return known ? known->id : 0;
}

static int enter(struct pst_facts_book *book, const struct pst_facts *facts,
                 struct known **ret_known)
{
    struct pst_table_entry entry;
    struct known *known;
    bool fresh;
    int status = pst_map_put(book->known, &facts->id, (void **)&known, &fresh);

    if (status < 0)
        return status;
    /* The entry keeps the key it was made with, though AT_RANDOM may become readable later. */
    if (fresh)
        known->exec_id = exec_id(facts);
    memset(&entry, 0, sizeof(entry));
    entry.parent = table_id(book, facts->parent_id);
    entry.pid = facts->pid;
    entry.start_ticks = facts->start_ticks;
    entry.exec_id = known->exec_id;
    if (facts->random_address && known->exec_id == exec_id(facts))
        entry.random_address = facts->random_address;
    if (facts->state == PST_TARGET_READY) {
        entry.runtime = facts->runtime;
        entry.second = facts->second;
    }
    status = pst_table_put(book->table, &entry, &known->id);
    if (status < 0)
        (void)pst_map_remove(book->known, &facts->id);
    *ret_known = known;
    return status;
}

static int tell(struct pst_facts_book *book, enum pst_scan_event event,
                const struct pst_facts *facts, uint32_t id)
{
    struct pst_link_facts message = {.kind = PST_LINK_FACT, .event = event, .facts = *facts};

    message.facts.id = id;
    message.facts.parent_id = table_id(book, facts->parent_id);
    if (message.facts.parent_id == id)
        message.facts.parent_id = 0;
    int status = pst_link_facts_encode(&message, &book->message);
    if (status < 0)
        return status;
    return pst_link_send(book->link, book->message.data, book->message.len, NULL, 0, 0);
}

static void ended(struct pst_facts_book *book, const struct pst_facts *facts)
{
    uint32_t id = table_id(book, facts->id);

    if (id == 0)
        return;
    /* An end that is not told stays in the table, and settle finds it there. */
    if (tell(book, PST_SCAN_GONE, facts, id) == 0)
        pst_table_remove(book->table, id);
    else
        book->owed = true;
    (void)pst_map_remove(book->known, &facts->id);
}

void pst_facts_book_event(void *context, enum pst_scan_event event, const struct pst_facts *facts)
{
    struct pst_facts_book *book = context;
    struct known *known;

    if (event == PST_SCAN_GONE) {
        ended(book, facts);
        return;
    }
    if (enter(book, facts, &known) < 0)
        return;
    known->told = tell(book, event, facts, known->id) == 0;
    book->owed = book->owed || !known->told;
}

void pst_facts_book_owe_all(struct pst_facts_book *book)
{
    size_t cursor = 0;
    const void *key;
    void *value;

    while (pst_map_next(book->known, &cursor, &key, &value))
        ((struct known *)value)->told = false;
    book->owed = true;
}

static bool has_table_id(const struct pst_facts_book *book, uint32_t id)
{
    size_t cursor = 0;
    const void *key;
    void *value;

    while (pst_map_next(book->known, &cursor, &key, &value))
        if (((struct known *)value)->id == id)
            return true;
    return false;
}

static bool settle_ends(struct pst_facts_book *book)
{
    struct pst_table_entry entry;
    uint32_t cursor = 0;

    while (pst_table_next(book->table, &cursor, &entry)) {
        if (has_table_id(book, entry.id))
            continue;
        struct pst_facts facts = {
            .pid = entry.pid,
            .start_ticks = entry.start_ticks,
            .state = PST_TARGET_GONE,
            .reason = PST_STR("gone"),
        };
        if (tell(book, PST_SCAN_GONE, &facts, entry.id) < 0)
            return false;
        pst_table_remove(book->table, entry.id);
    }
    return true;
}

bool pst_facts_book_settle(struct pst_facts_book *book, const struct pst_scan *scan)
{
    const struct pst_facts *facts;
    size_t cursor = 0;

    if (!book->owed)
        return true;
    if (!settle_ends(book))
        return false;
    while (pst_scan_next(scan, &cursor, &facts)) {
        struct known *known = pst_map_get(book->known, &facts->id);
        if (!known || known->told)
            continue;
        if (tell(book, PST_SCAN_NEW, facts, known->id) < 0)
            return false;
        known->told = true;
    }
    book->owed = false;
    return true;
}

int pst_facts_book_scan(struct pst_facts_book *book, const struct pst_scan *scan, uint64_t runs)
{
    struct pst_link_facts message = {.kind = PST_LINK_SCAN};
    struct pst_scan_stats stats;

    pst_scan_stats(scan, &stats);
    message.scan.processes = stats.processes;
    message.scan.denied = stats.denied;
    message.scan.refused_targets = stats.refused_targets;
    message.scan.last_run_ns = stats.last_run_ns;
    message.scan.runs = runs;
    pst_usage_self(&message.scan.cpu_ns, &message.scan.memory_bytes);
    int status = pst_link_facts_encode(&message, &book->message);
    if (status < 0)
        return status;
    return pst_link_send(book->link, book->message.data, book->message.len, NULL, 0, 0);
}
