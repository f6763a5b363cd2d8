/* Reading, merging, rendering and writing for convert and diff. */
#include "profile_files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "otlp/otlp.h"
#include "profile/item.h"
#include "render/changes.h"
#include "render/filter.h"
#include "render/frame.h"
#include "render/read.h"

enum { RATE_DEFAULT = 100 };

static bool is_stdio(const char *path)
{
    return strcmp(path, "-") == 0;
}

int pst_files_format(const struct pst_file_args *args, enum pst_format *ret,
                     struct pst_error *error)
{
    if (args->functions && args->no_lines)
        return pst_error_set(error, PST_EXIT_USAGE, "--nolineno", NULL,
                             "--function asks for a line number");
    if (!args->output)
        return pst_error_set(error, PST_EXIT_USAGE, "--output", "for example -o profile.svg",
                             "the file to write is missing");
    if (!args->format) {
        *ret = pst_format_of_file(pst_str(args->output));
        return 0;
    }
    if (pst_format_parse(pst_str(args->format), ret) == 0)
        return 0;
    return pst_error_set(error, PST_EXIT_USAGE, "--format",
                         "give flamegraph, html, speedscope, chrometrace, raw, pprof or otlp",
                         "%.60s is not a format", args->format[0] ? args->format : "\'\'");
}

static const char *explain(int rc)
{
    switch (rc) {
    case -EBADMSG:
        return "not a profile that pystrobe reads (pprof of cpu, wall or gil time, raw, "
               "speedscope)";
    case -EFBIG:
        return "larger than any profile that pystrobe takes";
    default:
        return strerror(-rc);
    }
}

static int read_one(const char *path, const struct pst_read_options *options,
                    struct pst_profile **ret)
{
    struct pst_buf file;
    /* A pipe's writer may take its time: `record -o - | convert -`. */
    pst_autofd int opened = is_stdio(path) ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    int rc = !is_stdio(path) && opened < 0 ? -errno : 0;

    pst_buf_init(&file, PST_MAX_PPROF_BYTES);
    if (rc == 0)
        rc = pst_io_read_all(is_stdio(path) ? STDIN_FILENO : opened, &file, false);
    if (rc == 0)
        rc = pst_read(pst_buf_view(&file), options, ret);
    pst_buf_done(&file);
    return rc;
}

static int read_into(const char *path, const struct pst_read_options *options,
                     struct pst_profile **all, struct pst_error *error)
{
    struct pst_profile *one = NULL;
    int rc = read_one(path, options, &one);

    if (rc < 0) {
        (void)pst_error_set(error, PST_EXIT_FAILED, path[0] ? path : "(no name)", NULL, "%s",
                            explain(rc));
        return rc;
    }
    if (!*all) {
        *all = one;
        return 0;
    }
    rc = pst_profile_merge(*all, one, NULL, NULL);
    if (rc == -EINVAL)
        (void)pst_error_set(error, PST_EXIT_FAILED, path, "convert each mode apart",
                            "holds %s time, the files before it %s time",
                            pst_mode_word(pst_profile_meta(one).mode),
                            pst_mode_word(pst_profile_meta(*all).mode));
    else if (rc < 0)
        (void)pst_error_set(error, PST_EXIT_FAILED, path, NULL, "merging: %s", strerror(-rc));
    pst_profile_free(one);
    return rc;
}

int pst_files_read(const struct pst_file_args *args, char *const *paths, size_t count,
                   struct pst_profile **ret, struct pst_error *error)
{
    struct pst_read_options options = {
        .mode = PST_MODE_CPU,
        .period_ns = (int64_t)(PST_NS_PER_S / (args->rate ? args->rate : RATE_DEFAULT))};
    struct pst_profile *wanted = NULL;
    int rc = 0;

    *ret = NULL;
    if (args->mode)
        (void)pst_mode_parse(pst_str(args->mode), &options.mode);
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = read_into(paths[i], &options, ret, error);
    if (rc == 0)
        rc = pst_files_filter(args, *ret, &wanted, error);
    if (rc == 0 && wanted) {
        pst_profile_free(*ret);
        *ret = wanted;
    }
    if (rc < 0)
        *ret = pst_profile_free(*ret);
    return rc;
}

int pst_files_check_difference(enum pst_format format, struct pst_error *error)
{
    if (format == PST_FORMAT_FLAMEGRAPH || format == PST_FORMAT_HTML)
        return 0;
    return pst_error_set(error, PST_EXIT_USAGE, "--format", "write .svg or .html",
                         "a difference is drawn as flamegraph or html, not %s",
                         pst_format_name(format));
}

int pst_files_filter(const struct pst_file_args *args, const struct pst_profile *profile,
                     struct pst_profile **ret, struct pst_error *error)
{
    struct pst_filter_options options = {
        .threads = args->only_threads.items,
        .thread_count = args->only_threads.count,
        .include = args->include.items,
        .include_count = args->include.count,
        .exclude = args->exclude.items,
        .exclude_count = args->exclude.count,
    };
    struct pst_filter *filter;
    int rc = pst_filter_new(&options, &filter, error);

    *ret = NULL;
    if (rc == 0 && filter && profile)
        rc = pst_filter_apply(filter, profile, ret);
    pst_filter_free(filter);
    if (rc == -ENOMEM)
        (void)pst_error_set(error, PST_EXIT_FAILED, NULL, NULL, "out of memory");
    return rc;
}

int pst_files_print_changes(const struct pst_profile *old, const struct pst_profile *new_profile,
                            FILE *out)
{
    enum { CHANGES_SHOWN = 10 };
    struct pst_buf text;
    int rc;

    pst_buf_init(&text, PST_MAX_RENDER_BYTES);
    rc = pst_changes_write(old, new_profile, CHANGES_SHOWN, &text);
    if (rc == 0 && text.len)
        (void)fwrite(text.data, 1, text.len, out);
    else if (rc == 0)
        (void)fputs("no function's share of own time changed\n", out);
    pst_buf_done(&text);
    return rc;
}

/* A ProfilesData message has the fields of the request that the exporter sends. The body's hash
 * names the profile: the same profile, the same bytes. */
static int render_otlp(const struct pst_profile *profile, struct pst_buf *out)
{
    struct pst_labels *labels = pst_labels_new();
    struct pst_item *item = NULL;
    int rc = labels ? pst_item_new(labels, profile, &item) : -ENOMEM;

    if (rc == 0)
        rc = pst_otlp_encode(profile, labels, NULL, item->sha256, out);
    pst_item_unref(item);
    pst_labels_free(labels);
    return rc;
}

int pst_files_render(const struct pst_file_args *args, enum pst_format format,
                     const struct pst_profile *profile, const struct pst_profile *old,
                     struct pst_buf *out)
{
    struct pst_render_options options = {
        .title = args->title,
        .subtitle = args->subtitle,
        .frame_flags = (args->full_filenames ? PST_FRAME_FULL_FILES : 0u) |
                       (args->no_lines ? PST_FRAME_NO_LINES : 0u) |
                       (args->functions ? PST_FRAME_FUNCTIONS : 0u),
        .files = args->files,
        .weight = format == PST_FORMAT_RAW ? PST_WEIGHT_SAMPLES : PST_WEIGHT_TIME,
        .processes = args->processes,
        .threads = args->threads,
        .apart = args->apart,
        .command = args->command,
        .parent = args->parent,
        .command_context = args->command_context,
        .flame = args->flame,
        .old = old,
    };

    if (args->weights)
        options.weight = strcmp(args->weights, "time") == 0 ? PST_WEIGHT_TIME : PST_WEIGHT_SAMPLES;
    return format == PST_FORMAT_OTLP ? render_otlp(profile, out)
                                     : pst_render(profile, format, &options, out);
}

int pst_files_write(const struct pst_file_args *args, enum pst_format format,
                    const struct pst_profile *profile, const struct pst_profile *old,
                    struct pst_output *output, struct pst_error *error)
{
    struct pst_buf out;
    int rc;

    pst_buf_init(&out, PST_MAX_RENDER_BYTES);
    rc = pst_files_render(args, format, profile, old, &out);
    if (rc < 0)
        (void)pst_error_set(error, PST_EXIT_FAILED, output->path, NULL, "cannot be drawn: %s",
                            strerror(-rc));
    else
        rc = pst_output_commit(output, &out, error);
    pst_buf_done(&out);
    return rc;
}
