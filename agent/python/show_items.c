/* Objects that hold others in a row: list, tuple, set, frozenset. Items are read in blocks and only
 * as many as there is room for. */
#include <string.h>

#include "show.h"

enum {
    ITEMS_AT_ONCE = 64,
    SET_ENTRY = 16, /* key and hash; before 3.0 hash and key */
};

static void separate(struct pst_show *value, uint64_t index)
{
    if (index > 0)
        pst_show_ascii(value, ", ");
}

/* An item's place may be empty only for a moment. */
static void write_items(struct pst_show *value, uint64_t items, uint64_t count)
{
    for (uint64_t first = 0; first < count && !value->full && !value->failed;
         first += ITEMS_AT_ONCE) {
        uint64_t left = count - first;
        size_t n = left < ITEMS_AT_ONCE ? (size_t)left : ITEMS_AT_ONCE;
        const unsigned char *block = pst_show_read(value, items + first * 8, n * 8);
        for (size_t i = 0; block && i < n && !value->full && !value->failed; i++) {
            separate(value, first + i);
            pst_show_object(value, pst_word(block, (uint32_t)i * 8));
        }
    }
}

static bool read_count(struct pst_show *value, uint64_t address, uint64_t *ret)
{
    *ret = pst_show_word(value, address);
    if (*ret >> 47)
        value->failed = true;
    return !value->failed && !value->full;
}

void pst_show_list(struct pst_show *value, uint64_t address)
{
    const struct pst_layout *l = value->layout;
    uint64_t count;

    if (!read_count(value, address + l->object.bytes_size, &count))
        return;
    pst_show_ascii(value, "[");
    if (count > 0)
        write_items(value, pst_show_word(value, address + l->object.list_items), count);
    pst_show_ascii(value, "]");
}

void pst_show_tuple(struct pst_show *value, uint64_t address)
{
    const struct pst_layout *l = value->layout;
    uint64_t count;

    if (!read_count(value, address + l->object.bytes_size, &count))
        return;
    pst_show_ascii(value, "(");
    write_items(value, address + l->object.tuple_items, count);
    pst_show_ascii(value, count == 1 ? ",)" : ")");
}

struct entry {
    uint64_t key, hash;
};

static struct entry entry_at(const struct pst_show *value, const unsigned char *block, size_t i)
{
    uint64_t first = pst_word(block, (uint32_t)i * SET_ENTRY);
    uint64_t second = pst_word(block, (uint32_t)i * SET_ENTRY + 8);
    bool old = value->layout->text_kind == PST_TEXT_BYTES;

    return old ? (struct entry){second, first} : (struct entry){first, second};
}

/* Entries with a hash of -1 were removed, those without a key never used. Before 3.0 a removed one
 * keeps its hash and has a certain str for its key, whose own hash nobody ever asked for; one that
 * is in a set has it. */
static bool is_free(struct pst_show *value, const struct entry *entry)
{
    const struct pst_layout *l = value->layout;
    struct pst_show_type type;

    if (entry->key == 0 || entry->hash == UINT64_MAX)
        return true;
    return l->text_kind == PST_TEXT_BYTES && pst_show_type(value, entry->key, &type) &&
           type.builtin && strcmp(type.name, "str") == 0 &&
           pst_show_word(value, entry->key + l->object.text_hash) != entry->hash;
}

static void write_entries(struct pst_show *value, uint64_t table, uint64_t slots, uint64_t used)
{
    uint64_t written = 0;

    for (uint64_t first = 0; first < slots && written < used && !value->full && !value->failed;
         first += ITEMS_AT_ONCE) {
        uint64_t left = slots - first;
        size_t n = left < ITEMS_AT_ONCE ? (size_t)left : ITEMS_AT_ONCE;
        const unsigned char *block = pst_show_read(value, table + first * SET_ENTRY, n * SET_ENTRY);
        for (size_t i = 0; block && i < n && !value->full && !value->failed; i++) {
            struct entry entry = entry_at(value, block, i);
            if (is_free(value, &entry) || value->failed)
                continue;
            separate(value, written++);
            pst_show_object(value, entry.key);
        }
    }
    if (written != used && !value->full)
        value->failed = true;
}

void pst_show_set(struct pst_show *value, uint64_t address, bool frozen)
{
    const struct pst_layout *l = value->layout;
    uint64_t used, mask;

    if (!read_count(value, address + l->object.set_used, &used) ||
        !read_count(value, address + l->object.set_mask, &mask))
        return;
    bool old = l->text_kind == PST_TEXT_BYTES;
    if (used == 0 && !old) {
        pst_show_ascii(value, frozen ? "frozenset()" : "set()");
        return;
    }
    pst_show_ascii(value, frozen ? "frozenset(" : old ? "set(" : "");
    pst_show_ascii(value, old ? "[" : "{");
    write_entries(value, pst_show_word(value, address + l->object.set_table), mask + 1, used);
    pst_show_ascii(value, old ? "]" : "}");
    pst_show_ascii(value, frozen || old ? ")" : "");
}
