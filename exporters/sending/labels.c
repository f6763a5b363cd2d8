/* Series labels for backends with Prometheus's alphabet, and templates over labels. */
#include <errno.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "sending/sending.h"

static bool name_char(char c, bool first)
{
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (!first && c >= '0' && c <= '9');
}

/* Into name (at most size - 1 bytes); what the alphabet lacks becomes an underscore. */
static struct pst_str clean_name(struct pst_str from, char *name, size_t size)
{
    size_t len = 0;
    if (from.len > 0 && from.ptr[0] >= '0' && from.ptr[0] <= '9')
        name[len++] = '_';
    for (size_t i = 0; i < from.len && len < size; i++, len++)
        name[len] = name_char(from.ptr[i], len == 0) ? from.ptr[i] : '_';
    return (struct pst_str){name, len};
}

/* First come, first kept; labels past the bound are left out, the ones that name the series came
 * before. */
static int add(struct pst_labels *labels, struct pst_str name, struct pst_str value, bool replace)
{
    char clean[256];
    char text[257];
    name = clean_name(name, clean, sizeof(clean));
    if (name.len == 0 || value.len == 0 || pst_str_starts(name, PST_STR("__")))
        return 0;
    memcpy(text, name.ptr, name.len);
    text[name.len] = '\0';
    if (!replace && pst_labels_get(labels, text).len)
        return 0;
    int r = pst_labels_set(labels, name, value);
    return r == -ENOSPC ? 0 : r;
}

static void free_labels(struct pst_labels **labels)
{
    pst_labels_free(*labels);
}

int pst_sending_labels(const struct pst_sending *sending, const struct pst_item *item,
                       struct pst_labels **ret)
{
    pst_auto(free_labels) struct pst_labels *labels = pst_labels_new();
    if (!labels)
        return -ENOMEM;
    struct pst_str service = pst_labels_get(item->labels, "service_name");
    int r = pst_labels_set(labels, PST_STR("__name__"), pst_str(pst_mode_series(item->mode)));
    if (r == 0)
        r = pst_labels_set(labels, PST_STR("service_name"),
                           service.len ? service : PST_STR("unknown_service"));
    const struct pst_config_pairs *external = &sending->settings->external_labels;
    for (size_t i = 0; r == 0 && i < external->count; i++)
        r = add(labels, pst_str(external->items[i].name), pst_str(external->items[i].value), true);
    for (size_t i = 0; r == 0 && i < pst_labels_count(item->labels); i++) {
        struct pst_str name, value;
        pst_labels_at(item->labels, i, &name, &value);
        r = add(labels, name, value, false);
    }
    if (r < 0)
        return r;
    *ret = PST_STEAL(labels);
    return 0;
}

int pst_sending_template(const char *text, const struct pst_labels *labels, struct pst_buf *out)
{
    while (*text) {
        const char *open = strstr(text, "${");
        size_t plain = open ? (size_t)(open - text) : strlen(text);
        int r = pst_buf_append(out, text, plain);
        if (r < 0 || !open)
            return r;
        const char *close = strchr(open, '}');
        char name[256];
        if (!close || close == open + 2 || (size_t)(close - open) > sizeof(name))
            return -EINVAL;
        size_t len = (size_t)(close - open) - 2;
        memcpy(name, open + 2, len);
        name[len] = '\0';
        struct pst_str value = pst_labels_get(labels, name);
        if (!value.len)
            return -ENOENT;
        r = pst_buf_str(out, value);
        if (r < 0)
            return r;
        text = close + 1;
    }
    return 0;
}
