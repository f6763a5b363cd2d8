/* Dicts, in the order of their entries. The value of a key whose name is a secret's is not read. */
#include "show.h"

enum { ENTRIES_AT_ONCE = 32 };

struct walk {
    struct pst_keys keys;
    uint64_t values; /* array of a split table; 0: values stand beside their keys */
    uint32_t written;
};

static void write_pair(struct pst_show *value, struct walk *walk, uint64_t key, uint64_t object)
{
    if (walk->written++ > 0)
        pst_show_ascii(value, ", ");
    size_t start = value->text.len;
    pst_show_object(value, key);
    pst_show_ascii(value, ": ");
    if (value->full || value->failed)
        return;
    struct pst_str name = {value->text.data + start, value->text.len - start};
    if (value->options->secret && value->options->secret(value->options->context, name))
        pst_show_ascii(value, "<redacted>");
    else
        pst_show_object(value, object);
}

static void write_block(struct pst_show *value, struct walk *walk, uint32_t first, uint32_t n)
{
    const struct pst_keys *keys = &walk->keys;
    const unsigned char *split = NULL;
    const unsigned char *block = pst_show_read(
        value, keys->entries + (uint64_t)first * keys->stride, (size_t)n * keys->stride);

    if (walk->values)
        split = pst_show_read(value, walk->values + first * 8ull, n * 8ull);
    if (!block || (walk->values && !split))
        return;
    for (uint32_t i = 0; i < n && !value->full && !value->failed; i++) {
        uint32_t at = i * keys->stride + keys->key_offset;
        uint64_t key = pst_word(block, at);
        uint64_t object = split ? pst_word(split, i * 8) : pst_word(block, at + 8);
        if (key && object)
            write_pair(value, walk, key, object);
    }
}

void pst_show_dict(struct pst_show *value, uint64_t address)
{
    const struct pst_layout *l = value->layout;
    struct walk walk = {0};
    uint64_t keys = address + l->object.dict_keys, values = 0;
    if (l->dict_kind != PST_DICT_TABLE) { /* else the dict itself holds the table */
        keys = pst_show_word(value, keys);
        values = pst_show_word(value, address + l->object.dict_values);
    }
    const unsigned char *head = pst_show_read(value, keys, PST_KEYS_HEAD_BYTES);

    if (!head)
        return;
    if (!pst_keys_parse(l, head, keys, &walk.keys)) {
        value->failed = true;
        return;
    }
    walk.values = values && l->header_in_place ? values + 8 : values;
    pst_show_ascii(value, "{");
    for (uint32_t first = 0; first < walk.keys.count && !value->full && !value->failed;
         first += ENTRIES_AT_ONCE) {
        uint32_t left = walk.keys.count - first;
        write_block(value, &walk, first, left < ENTRIES_AT_ONCE ? left : ENTRIES_AT_ONCE);
    }
    pst_show_ascii(value, "}");
}
