/* The formats by name and ending, and the one door to all writers. */
#include "render/format.h"

#include <errno.h>
#include <strings.h>

#include "profile/pprof.h"
#include "render/chrometrace.h"
#include "render/folded.h"
#include "render/html.h"
#include "render/speedscope.h"
#include "render/svg.h"
#include "render/text.h"
#include "render_internal.h"

static const struct {
    const char *name;
    const char *endings[4]; /* the first one is written, the others are read too */
} formats[PST_FORMAT_COUNT] = {
    [PST_FORMAT_FLAMEGRAPH] = {"flamegraph", {".svg"}},
    [PST_FORMAT_HTML] = {"html", {".html", ".htm"}},
    [PST_FORMAT_SPEEDSCOPE] = {"speedscope", {".speedscope.json", ".json"}},
    [PST_FORMAT_CHROMETRACE] = {"chrometrace", {".trace.json"}},
    [PST_FORMAT_RAW] = {"raw", {".txt", ".folded"}},
    [PST_FORMAT_PPROF] = {"pprof", {".pb.gz", ".pprof"}},
    [PST_FORMAT_OTLP] = {"otlp", {".otlp"}},
};

int pst_format_parse(struct pst_str name, enum pst_format *ret)
{
    for (int format = 0; format < PST_FORMAT_COUNT; format++) {
        const char *known = formats[format].name;

        if (name.len != strlen(known) || strncasecmp(name.ptr, known, name.len) != 0)
            continue;
        *ret = (enum pst_format)format;
        return 0;
    }
    return -EINVAL;
}

const char *pst_format_name(enum pst_format format)
{
    return formats[format].name;
}

const char *pst_format_ending(enum pst_format format)
{
    return formats[format].endings[0];
}

enum pst_format pst_format_of_file(struct pst_str path)
{
    enum pst_format best = PST_FORMAT_FLAMEGRAPH;
    size_t longest = 0;

    /* ".trace.json" is also ".json": the longer one wins. */
    for (int format = 0; format < PST_FORMAT_COUNT; format++)
        for (int i = 0; i < 4 && formats[format].endings[i]; i++) {
            struct pst_str ending = pst_str(formats[format].endings[i]);

            if (ending.len <= longest || !pst_str_ends(path, ending))
                continue;
            longest = ending.len;
            best = (enum pst_format)format;
        }
    return best;
}

int pst_render_tree(const struct pst_profile *profile, const struct pst_render_options *options,
                    unsigned frame_flags, enum pst_weight weight, struct pst_tree **ret)
{
    struct pst_tree_options tree_options = {.frame_flags = frame_flags,
                                            .files = &options->files,
                                            .weight = weight,
                                            .processes = options->processes,
                                            .threads = options->threads,
                                            .command = options->command,
                                            .parent = options->parent,
                                            .command_context = options->command_context};
    struct pst_tree *tree;
    int rc = 0;

    if (options->old && pst_profile_meta(options->old).mode != pst_profile_meta(profile).mode)
        return -EINVAL;
    tree = pst_tree_new(&tree_options);
    if (!tree)
        return -ENOMEM;
    if (options->old)
        rc = pst_tree_add(tree, options->old, 0);
    if (rc == 0)
        rc = pst_tree_add(tree, profile, options->old != NULL);
    if (rc == 0)
        rc = pst_tree_finish(tree);
    if (rc < 0)
        tree = pst_tree_free(tree);
    *ret = tree;
    return rc;
}

int pst_render_title(const struct pst_profile *profile, const struct pst_render_options *options,
                     struct pst_buf *out)
{
    if (options->title)
        return pst_buf_utf8(out, pst_str(options->title));
    return pst_buf_printf(out, "pystrobe · %s%s", pst_mode_word(pst_profile_meta(profile).mode),
                          options->old ? " · difference" : "");
}

int pst_render_subtitle(const struct pst_profile *profile, const struct pst_render_options *options,
                        struct pst_buf *out)
{
    struct pst_profile_meta meta = pst_profile_meta(profile);
    int64_t samples, value_ns;
    int rc;

    if (options->subtitle)
        return pst_buf_utf8(out, pst_str(options->subtitle));
    pst_profile_total(profile, &samples, &value_ns);
    rc = pst_text_duration(out, value_ns);
    if (rc == 0)
        rc = pst_buf_printf(out, " of %s time", pst_mode_word(meta.mode));
    if (rc == 0 && meta.duration_ns > 0) {
        rc = pst_buf_puts(out, " in ");
        if (rc == 0)
            rc = pst_text_duration(out, meta.duration_ns);
    }
    if (rc == 0)
        rc = pst_buf_puts(out, ", ");
    if (rc == 0)
        rc = pst_text_count(out, samples);
    if (rc == 0)
        rc = pst_buf_puts(out, samples == 1 ? " sample" : " samples");
    if (rc == 0 && options->old)
        rc = pst_buf_puts(out, " · red grew, blue shrank; widths are the new profile's");
    return rc;
}

static int write_svg(const struct pst_profile *profile, const struct pst_render_options *options,
                     const struct pst_tree *tree, struct pst_buf *out)
{
    struct pst_svg_options svg = {.flame = options->flame, .difference = options->old != NULL};
    struct pst_buf title, subtitle;
    int rc;

    pst_buf_init(&title, 1 << 16);
    pst_buf_init(&subtitle, 1 << 16);
    rc = pst_render_title(profile, options, &title);
    if (rc == 0)
        rc = pst_render_subtitle(profile, options, &subtitle);
    svg.title = title.data;
    svg.subtitle = subtitle.data;
    if (rc == 0)
        rc = pst_svg_write(tree, &svg, out);
    pst_buf_done(&title);
    pst_buf_done(&subtitle);
    return rc;
}

static int render_tree_format(const struct pst_profile *profile, enum pst_format format,
                              const struct pst_render_options *options, struct pst_buf *out)
{
    struct pst_tree *tree;
    int rc = pst_render_tree(profile, options, options->frame_flags, options->weight, &tree);

    if (rc < 0)
        return rc;
    rc = format == PST_FORMAT_RAW ? pst_folded_write(tree, out)
                                  : write_svg(profile, options, tree, out);
    pst_tree_free(tree);
    return rc;
}

int pst_render(const struct pst_profile *profile, enum pst_format format,
               const struct pst_render_options *options, struct pst_buf *out)
{
    switch (format) {
    case PST_FORMAT_FLAMEGRAPH:
    case PST_FORMAT_RAW:
        return render_tree_format(profile, format, options, out);
    case PST_FORMAT_HTML:
        return pst_html_write(profile, options, out);
    case PST_FORMAT_SPEEDSCOPE:
        return pst_speedscope_write(profile, options, out);
    case PST_FORMAT_CHROMETRACE:
        return pst_chrometrace_write(profile, options->frame_flags, out);
    case PST_FORMAT_PPROF:
        return pst_pprof_encode(profile, true, out);
    case PST_FORMAT_OTLP:
    case PST_FORMAT_COUNT:
        break;
    }
    return -ENOTSUP;
}
