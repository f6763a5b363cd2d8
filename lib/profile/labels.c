/* Label sets: a small sorted array, copied by value. */
#include "profile/labels.h"

#include <errno.h>
#include <stdlib.h>

#include "base/limits.h"

struct label {
    char *name, *value; /* NUL-terminated, no NUL inside, valid UTF-8 */
};

struct pst_labels {
    size_t count;
    struct label items[PST_MAX_LABELS];
};

struct pst_labels *pst_labels_new(void)
{
    return calloc(1, sizeof(struct pst_labels));
}

struct pst_labels *pst_labels_free(struct pst_labels *labels)
{
    for (size_t i = 0; labels && i < labels->count; i++) {
        free(labels->items[i].name);
        free(labels->items[i].value);
    }
    free(labels);
    return NULL;
}

struct pst_labels *pst_labels_copy(const struct pst_labels *labels)
{
    struct pst_labels *copy = pst_labels_new();

    for (size_t i = 0; copy && i < labels->count; i++) {
        const struct label *item = &labels->items[i];

        if (pst_labels_set(copy, pst_str(item->name), pst_str(item->value)) < 0)
            copy = pst_labels_free(copy);
    }
    return copy;
}

/* Index of the name, or where it would go. */
static size_t find(const struct pst_labels *labels, struct pst_str name, bool *ret_found)
{
    size_t at;

    *ret_found = false;
    for (at = 0; at < labels->count; at++) {
        const char *there = labels->items[at].name;
        size_t len = strlen(there), shorter = len < name.len ? len : name.len;
        int order = memcmp(there, name.ptr, shorter);

        if (order == 0)
            order = len < name.len ? -1 : len > name.len;
        *ret_found = order == 0;
        if (order >= 0)
            break;
    }
    return at;
}

/* Valid UTF-8 without NUL (U+FFFD instead), cut on a character's border; NULL when out of memory.
 */
static char *clean_copy(struct pst_str text)
{
    struct pst_buf buf;
    size_t len;

    if (text.len > PST_MAX_LABEL_VALUE_BYTES)
        text.len = PST_MAX_LABEL_VALUE_BYTES + 4; /* the rest is cut anyway */
    pst_buf_init(&buf, 4UL * PST_MAX_LABEL_VALUE_BYTES);
    while (text.len) {
        size_t part = pst_str_find(text, '\0');

        if (pst_buf_utf8(&buf, (struct pst_str){text.ptr, part}) < 0 ||
            (part < text.len && pst_buf_puts(&buf, "\xef\xbf\xbd") < 0)) {
            pst_buf_done(&buf);
            return NULL;
        }
        part += part < text.len;
        text.ptr += part;
        text.len -= part;
    }
    if (buf.len > PST_MAX_LABEL_VALUE_BYTES) {
        len = PST_MAX_LABEL_VALUE_BYTES;
        buf.len = pst_utf8_valid_prefix((struct pst_str){buf.data, len});
        buf.data[buf.len] = 0;
    }
    return pst_buf_steal(&buf, &len);
}

static void remove_at(struct pst_labels *labels, size_t at)
{
    free(labels->items[at].name);
    free(labels->items[at].value);
    labels->count--;
    memmove(labels->items + at, labels->items + at + 1,
            (labels->count - at) * sizeof(labels->items[0]));
}

static int insert_at(struct pst_labels *labels, size_t at, char *name, char *value)
{
    memmove(labels->items + at + 1, labels->items + at,
            (labels->count - at) * sizeof(labels->items[0]));
    labels->items[at] = (struct label){name, value};
    labels->count++;
    return 0;
}

int pst_labels_set(struct pst_labels *labels, struct pst_str name, struct pst_str value)
{
    bool found;
    size_t at;
    char *clean_name, *clean_value;

    if (!name.len || pst_str_find(name, '\0') < name.len || name.len > PST_MAX_LABEL_VALUE_BYTES ||
        pst_utf8_valid_prefix(name) != name.len)
        return -EINVAL;
    at = find(labels, name, &found);
    if (!value.len) {
        if (found)
            remove_at(labels, at);
        return 0;
    }
    if (!found && labels->count == PST_MAX_LABELS)
        return -ENOSPC;
    clean_value = clean_copy(value);
    if (!clean_value)
        return -ENOMEM;
    if (found) {
        free(labels->items[at].value);
        labels->items[at].value = clean_value;
        return 0;
    }
    clean_name = pst_str_dup(name);
    if (!clean_name) {
        free(clean_value);
        return -ENOMEM;
    }
    return insert_at(labels, at, clean_name, clean_value);
}

struct pst_str pst_labels_get(const struct pst_labels *labels, const char *name)
{
    bool found;
    size_t at = find(labels, pst_str(name), &found);

    return found ? pst_str(labels->items[at].value) : PST_STR("");
}

size_t pst_labels_count(const struct pst_labels *labels)
{
    return labels->count;
}

void pst_labels_at(const struct pst_labels *labels, size_t index, struct pst_str *ret_name,
                   struct pst_str *ret_value)
{
    *ret_name = pst_str(labels->items[index].name);
    *ret_value = pst_str(labels->items[index].value);
}

bool pst_labels_equal(const struct pst_labels *a, const struct pst_labels *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->items[i].name, b->items[i].name) != 0 ||
            strcmp(a->items[i].value, b->items[i].value) != 0)
            return false;
    return true;
}

int pst_labels_encode(const struct pst_labels *labels, struct pst_buf *out)
{
    size_t start = out->len;
    int rc = 0;

    for (size_t i = 0; i < labels->count && rc == 0; i++) {
        const struct label *item = &labels->items[i];

        rc = pst_buf_append(out, item->name, strlen(item->name) + 1);
        if (rc == 0)
            rc = pst_buf_append(out, item->value, strlen(item->value) + 1);
    }
    if (rc < 0 && out->data) {
        out->len = start;
        out->data[start] = 0;
    }
    return rc;
}

/* Takes "text NUL" off the front. */
static bool take_text(struct pst_str *rest, struct pst_str *ret)
{
    size_t len = pst_str_find(*rest, '\0');

    if (len == rest->len)
        return false;
    *ret = (struct pst_str){rest->ptr, len};
    rest->ptr += len + 1;
    rest->len -= len + 1;
    return true;
}

int pst_labels_decode(const void *data, size_t len, struct pst_labels **ret)
{
    struct pst_str rest = {data, len};
    struct pst_labels *labels = pst_labels_new();
    int rc = labels ? 0 : -ENOMEM;

    while (rc == 0 && rest.len) {
        struct pst_str name, value;
        bool found = false;

        if (!take_text(&rest, &name) || !take_text(&rest, &value) || !value.len)
            rc = -EBADMSG;
        /* Canonical means ascending: what was encoded comes back as the same bytes. */
        else if (find(labels, name, &found) != labels->count || found)
            rc = -EBADMSG;
        else
            rc = pst_labels_set(labels, name, value);
        if (rc == -EINVAL)
            rc = -EBADMSG;
    }
    if (rc < 0)
        labels = pst_labels_free(labels);
    else
        *ret = labels;
    return rc;
}

int pst_labels_format(const struct pst_labels *labels, struct pst_buf *out)
{
    int rc = pst_buf_puts(out, "{");

    for (size_t i = 0; i < labels->count && rc == 0; i++) {
        rc = pst_buf_printf(out, "%s%s=\"", i ? ", " : "", labels->items[i].name);
        if (rc == 0)
            rc = pst_buf_escaped(out, pst_str(labels->items[i].value));
        if (rc == 0)
            rc = pst_buf_puts(out, "\"");
    }
    return rc < 0 ? rc : pst_buf_puts(out, "}");
}
