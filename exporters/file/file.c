/* The file exporter. A file stands alone, so the series labels go into its comments, and every
 * sample label stays unless sample_labels names some. */
#include "file/file.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/limits.h"
#include "folder.h"
#include "profile/pprof.h"
#include "sending/sending.h"

struct pst_exporter {
    const struct pst_config_exporter *settings;
    struct pst_folder *folder; /* NULL until it could be opened */
};

static int create(const struct pst_config_exporter *settings, struct pst_exporter **ret,
                  struct pst_error *error)
{
    if (!settings->directory || !settings->directory[0])
        return pst_error_set(error, PST_EXIT_USAGE, settings->where, "add directory: /some/folder",
                             "the file exporter %s has no directory", settings->name);
    struct pst_exporter *exporter = calloc(1, sizeof(*exporter));
    if (!exporter)
        return -ENOMEM;
    exporter->settings = settings;
    *ret = exporter;
    return 0;
}

static void destroy(struct pst_exporter *exporter)
{
    if (exporter) {
        pst_folder_free(exporter->folder);
        free(exporter);
    }
}

static struct pst_export_verdict from_errno(const struct pst_exporter *exporter, int error)
{
    const char *text = strerror(-error);
    const char *directory = exporter->settings->directory;
    switch (error) {
    case -ENOMEM:
        return pst_sending_retry(0, "no_memory", "out of memory");
    case -ENOSPC:
    case -EDQUOT:
        return pst_sending_retry(0, "no_space", "%.180s: %s", directory, text);
    case -EACCES:
    case -EPERM:
    case -EROFS:
    case -ENOTDIR:
        return pst_sending_retry(PST_SENDING_OPERATOR_NS, "not_writable", "%.180s: %s", directory,
                                 text);
    default:
        return pst_sending_retry(0, "io", "%.180s: %s", directory, text);
    }
}

static int open_folder(struct pst_exporter *exporter)
{
    const struct pst_config_exporter *settings = exporter->settings;
    if (exporter->folder)
        return 0;
    return pst_folder_open(settings->directory, settings->max_size_bytes, settings->max_age_ns,
                           &exporter->folder);
}

static bool keep_label(void *context, struct pst_str key)
{
    const struct pst_config_exporter *settings = context;
    for (size_t i = 0; i < settings->sample_labels.count; i++) {
        if (pst_str_eq(pst_str(settings->sample_labels.items[i]), key))
            return true;
    }
    return !settings->sample_labels_set;
}

static int add_comments(struct pst_profile *profile, const struct pst_labels *labels,
                        const struct pst_config_pairs *external)
{
    pst_auto(pst_buf_done) struct pst_buf line;
    pst_buf_init(&line, 2UL * PST_MAX_LABEL_VALUE_BYTES + 16);
    int r = 0;
    for (size_t i = 0; r == 0 && i < pst_labels_count(labels) + external->count; i++) {
        struct pst_str name, value;
        if (i < pst_labels_count(labels)) {
            pst_labels_at(labels, i, &name, &value);
        } else {
            const struct pst_config_pair *pair = &external->items[i - pst_labels_count(labels)];
            name = pst_str(pair->name);
            value = pst_str(pair->value);
        }
        pst_buf_reset(&line);
        r = pst_buf_printf(&line, "%.*s=%.*s", (int)name.len, name.ptr, (int)value.len, value.ptr);
        if (r == 0)
            r = pst_profile_add_comment(profile, pst_buf_view(&line));
    }
    return r == -ENOSPC ? 0 : r; /* a profile without the last comments is still a profile */
}

static void free_profile(struct pst_profile **profile)
{
    pst_profile_free(*profile);
}

static int make_body(const struct pst_exporter *exporter, const struct pst_item *item,
                     struct pst_buf *out)
{
    pst_auto(free_profile) struct pst_profile *whole = NULL;
    int r = pst_pprof_decode(item->body, item->body_bytes, &whole);
    if (r < 0)
        return r;
    pst_auto(free_profile) struct pst_profile *kept = pst_profile_new(item->mode);
    if (!kept)
        return -ENOMEM;
    pst_profile_set_max_bytes(kept, SIZE_MAX);
    r = pst_profile_merge(kept, whole, keep_label,
                          (struct pst_config_exporter *)(uintptr_t)exporter->settings);
    if (r == 0)
        r = add_comments(kept, item->labels, &exporter->settings->external_labels);
    return r < 0 ? r : pst_pprof_encode(kept, true, out);
}

static struct pst_export_verdict send_item(struct pst_exporter *exporter,
                                           const struct pst_item *item,
                                           struct pst_export_progress *progress)
{
    int r = open_folder(exporter);
    if (r < 0)
        return from_errno(exporter, r);
    pst_auto(pst_buf_done) struct pst_buf body;
    pst_buf_init(&body, PST_MAX_PPROF_BYTES);
    r = make_body(exporter, item, &body);
    if (r < 0 && r != -ENOMEM)
        return pst_sending_rejected("malformed", "the stored profile cannot be read (%d)", -r);
    if (r == 0)
        r = pst_folder_write(exporter->folder, pst_labels_get(item->labels, "service_name"),
                             pst_mode_word(item->mode), item->time_ns, pst_buf_view(&body));
    if (r == -ENOENT) /* the folder was removed: made again at the next attempt */
        exporter->folder = pst_folder_free(exporter->folder);
    return r < 0 ? from_errno(exporter, r) : pst_sending_delivered();
}

static struct pst_export_verdict probe(struct pst_exporter *exporter)
{
    int r = open_folder(exporter);
    if (r == 0 && access(exporter->settings->directory, W_OK | X_OK) < 0)
        r = -errno;
    return r < 0 ? from_errno(exporter, r) : pst_sending_delivered();
}

const struct pst_exporter_type pst_file_exporter = {
    .name = "file",
    .create = create,
    .send = send_item,
    .probe = probe,
    .destroy = destroy,
};
