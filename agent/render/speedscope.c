/* Writes speedscope JSON as py-spy's readers know it: seconds, each frame with name, file, line and
 * col, each sample an entry of its own. Frames are the profile's locations in their order, or its
 * functions where lines are not wanted, then a root for each thread where that is. */
#include "render/speedscope.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "groups.h"
#include "put.h"
#include "render/frame.h"
#include "render/text.h"
#include "render_internal.h"

/* Entries with more frames than this become one where they are equal and neighbours: what would be
 * some hundred megabytes of text opens nowhere. */
enum { MOST_FRAMES_WRITTEN = 16 << 20 };

struct writer {
    const struct pst_profile *profile;
    const struct pst_render_options *options;
    const struct pst_groups *groups;
    struct pst_buf *out;
    bool each; /* sample has an entry of its own */
    int error;
};

#define put_json(w, text) put_by(w, pst_text_json((w)->out, text))

/* --- frames --- */

static bool by_function(const struct writer *w)
{
    return w->options->frame_flags & (PST_FRAME_FUNCTIONS | PST_FRAME_NO_LINES);
}

static uint32_t frame_count(const struct writer *w)
{
    return by_function(w) ? pst_profile_function_count(w->profile)
                          : pst_profile_location_count(w->profile);
}

static uint32_t frame_of(const struct writer *w, uint32_t location)
{
    uint32_t function = location;
    int64_t line;

    if (by_function(w))
        pst_profile_location_at(w->profile, location, &function, &line);
    return function;
}

static void put_frame(struct writer *w, struct pst_str name, struct pst_str file, int64_t line)
{
    put(w, "{\"name\":");
    put_json(w, name);
    put(w, ",\"file\":");
    put_json(w, file);
    if (w->options->frame_flags & PST_FRAME_NO_LINES)
        put(w, ",\"line\":null,\"col\":null}");
    else
        putf(w, ",\"line\":%lld,\"col\":null}", (long long)line);
}

static void put_one_frame(struct writer *w, uint32_t frame)
{
    uint32_t id = frame;
    int64_t line = 0;

    if (!by_function(w))
        pst_profile_location_at(w->profile, frame, &id, &line);
    const struct pst_function *function = pst_profile_function_at(w->profile, id);
    if (w->options->frame_flags & PST_FRAME_FUNCTIONS)
        line = function->start_line;
    put_frame(w, pst_profile_text(w->profile, function->name),
              pst_profile_text(w->profile, function->filename), line);
}

static void put_frames(struct writer *w)
{
    struct pst_buf root;
    uint32_t count = frame_count(w);

    put(w, "\"shared\":{\"frames\":[");
    for (uint32_t i = 0; i < count && w->error == 0; i++) {
        put(w, i ? ",\n" : "\n");
        put_one_frame(w, i);
    }
    pst_buf_init(&root, 1 << 16);
    for (size_t i = 0; w->options->threads && i < w->groups->count && w->error == 0; i++) {
        pst_buf_reset(&root);
        put_by(w, pst_frame_thread(w->groups->items[i].tid, w->groups->items[i].name, &root));
        put(w, i + count ? ",\n" : "\n");
        put_frame(w, pst_buf_view(&root), PST_STR(""), 0);
    }
    pst_buf_done(&root);
    put(w, "]}");
}

/* --- what a thread showed --- */

/* A stack, or nothing (sample UINT32_MAX), for so long. */
struct entry {
    uint32_t sample, group;
    int64_t weight_ns, samples;
};

struct track {
    struct entry *entries;
    size_t count;
    int64_t end_ns;
};

static bool same_stack(const struct pst_profile *profile, uint32_t left, uint32_t right)
{
    struct pst_profile_sample a, b;

    pst_profile_sample(profile, left, &a);
    pst_profile_sample(profile, right, &b);
    return a.depth == b.depth &&
           memcmp(a.locations, b.locations, a.depth * sizeof(*a.locations)) == 0;
}

/* Time without a sample (half an interval of wall time counts for the stack before it) belongs to
 * an entry that has one. */
static bool joins(const struct writer *w, const struct entry *last, const struct entry *next)
{
    return last->sample != UINT32_MAX && next->sample != UINT32_MAX && last->group == next->group &&
           (!w->each || last->samples == 0 || next->samples == 0) &&
           same_stack(w->profile, last->sample, next->sample);
}

static void add_entry(const struct writer *w, struct track *track, const struct entry *entry)
{
    struct entry *last = track->count ? &track->entries[track->count - 1] : NULL;

    if (__builtin_add_overflow(track->end_ns, entry->weight_ns, &track->end_ns))
        track->end_ns = INT64_MAX;
    if (last && joins(w, last, entry)) {
        last->weight_ns += entry->weight_ns;
        last->samples += entry->samples;
    } else {
        track->entries[track->count++] = *entry;
    }
}

/* One thread: where the samples say their time, what lies between them is there too. */
static void add_thread(const struct writer *w, uint32_t index, bool at_its_time,
                       struct track *track)
{
    const struct pst_group *group = &w->groups->items[index];

    for (size_t i = 0; i < group->count; i++) {
        struct pst_profile_sample sample;
        int64_t start_ns = track->end_ns;

        if (at_its_time)
            start_ns = pst_groups_start(w->groups, w->profile, group->samples[i], track->end_ns);
        if (start_ns > track->end_ns)
            add_entry(w, track, &(struct entry){UINT32_MAX, index, start_ns - track->end_ns, 0});
        pst_profile_sample(w->profile, group->samples[i], &sample);
        add_entry(w, track,
                  &(struct entry){group->samples[i], index, sample.value_ns, sample.samples});
    }
}

/* --- writing it --- */

static int64_t times(const struct writer *w, const struct entry *entry)
{
    return w->each && entry->samples > 1 ? entry->samples : 1;
}

static void put_seconds(struct writer *w, int64_t ns)
{
    char text[40];
    int len = snprintf(text, sizeof(text), "%lld.%09lld", (long long)(ns / 1000000000),
                       (long long)(ns % 1000000000));

    while (text[len - 1] == '0' && text[len - 2] != '.')
        text[--len] = 0;
    put(w, text);
}

static void put_stack(struct writer *w, const struct entry *entry)
{
    struct pst_profile_sample sample = {.depth = 0};
    const char *comma = "";

    if (entry->sample != UINT32_MAX)
        pst_profile_sample(w->profile, entry->sample, &sample);
    put(w, "[");
    if (entry->sample != UINT32_MAX && w->options->threads) {
        putf(w, "%u", frame_count(w) + entry->group);
        comma = ",";
    }
    for (size_t i = sample.depth; i > 0 && w->error == 0; i--) {
        putf(w, "%s%u", comma, frame_of(w, sample.locations[i - 1]));
        comma = ",";
    }
    put(w, "]");
}

static void put_samples_of(struct writer *w, const struct track *track)
{
    put(w, "\"samples\":[");
    for (size_t i = 0; i < track->count; i++)
        for (int64_t k = times(w, &track->entries[i]); k > 0 && w->error == 0; k--) {
            put_stack(w, &track->entries[i]);
            put(w, k > 1 || i + 1 < track->count ? ",\n" : "");
        }
    put(w, "]");
}

static void put_weights_of(struct writer *w, const struct track *track)
{
    put(w, ",\"weights\":[");
    for (size_t i = 0; i < track->count; i++) {
        int64_t left_ns = track->entries[i].weight_ns;

        for (int64_t k = times(w, &track->entries[i]); k > 0 && w->error == 0; k--) {
            put_seconds(w, left_ns / k);
            put(w, k > 1 || i + 1 < track->count ? "," : "");
            left_ns -= left_ns / k;
        }
    }
    put(w, "]");
}

/* The samples of `count` groups as one profile. Several have no common time line: they are laid one
 * behind the other. */
static void put_track(struct writer *w, struct pst_str name, size_t first, size_t count)
{
    struct track track = {NULL, 0, 0};
    size_t most = 0;

    for (size_t i = first; i < first + count; i++)
        most += w->groups->items[i].count;
    track.entries = calloc(2 * most + 1, sizeof(*track.entries));
    if (!track.entries) {
        put_by(w, -ENOMEM);
        return;
    }
    for (size_t i = first; i < first + count; i++)
        add_thread(w, (uint32_t)i, count == 1, &track);
    put(w, "\n{\"type\":\"sampled\",\"name\":");
    put_json(w, name);
    put(w, ",\"unit\":\"seconds\",\"startValue\":0.0,\"endValue\":");
    put_seconds(w, track.end_ns);
    put(w, ",\n");
    put_samples_of(w, &track);
    put_weights_of(w, &track);
    put(w, "}");
    free(track.entries);
}

/* `Process P Thread T "NAME"`, as far as known; without the process where there is one only. */
static int thread_title(const struct writer *w, const struct pst_group *group, struct pst_buf *text)
{
    int rc = 0;

    pst_buf_reset(text);
    if (w->groups->count == 1 && !group->pid && !group->tid && !group->name.len)
        return pst_buf_puts(text, PST_SPEEDSCOPE_ALL);
    if (group->pid && !w->options->apart)
        rc = pst_buf_printf(text, "Process %lld ", (long long)group->pid);
    if (rc == 0)
        rc = pst_buf_puts(text, "Thread");
    if (rc == 0 && group->tid)
        rc = pst_buf_printf(text, " %lld", (long long)group->tid);
    if (rc == 0)
        rc = pst_buf_puts(text, " \"");
    if (rc == 0)
        rc = pst_buf_str(text, group->name);
    return rc < 0 ? rc : pst_buf_puts(text, "\"");
}

static void put_profiles(struct writer *w)
{
    size_t count = w->groups->count;
    bool all = count == 0 || (count > 1 && !w->options->apart);
    struct pst_buf title;

    put(w, ",\n\"profiles\":[");
    if (all)
        put_track(w, PST_STR(PST_SPEEDSCOPE_ALL), 0, count);
    pst_buf_init(&title, 1 << 16);
    for (size_t i = 0; i < count && w->error == 0; i++) {
        put(w, all || i > 0 ? "," : "");
        put_by(w, thread_title(w, &w->groups->items[i], &title));
        put_track(w, pst_buf_view(&title), i, 1);
    }
    pst_buf_done(&title);
    put(w, "]");
}

static bool is_writable_each(const struct pst_profile *profile)
{
    uint64_t frames = 0;

    for (uint32_t i = 0; i < pst_profile_sample_count(profile); i++) {
        struct pst_profile_sample sample;
        uint64_t all;

        pst_profile_sample(profile, i, &sample);
        if (__builtin_mul_overflow((uint64_t)sample.samples, sample.depth + 1, &all) ||
            all > MOST_FRAMES_WRITTEN || (frames += all) > MOST_FRAMES_WRITTEN)
            return false;
    }
    return true;
}

static void put_title(struct writer *w)
{
    struct pst_buf title;

    pst_buf_init(&title, 1 << 16);
    put_by(w, pst_render_title(w->profile, w->options, &title));
    put_json(w, pst_buf_view(&title));
    pst_buf_done(&title);
}

int pst_speedscope_write(const struct pst_profile *profile,
                         const struct pst_render_options *options, struct pst_buf *out)
{
    struct writer w = {
        .profile = profile, .options = options, .out = out, .each = is_writable_each(profile)};
    struct pst_groups *groups = NULL;
    int rc = pst_groups_new(profile, &groups);

    if (rc < 0)
        return rc;
    w.groups = groups;
    put(&w, "{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\",\n");
    put(&w, "\"exporter\":\"pystrobe@" PST_VERSION "\",\n\"name\":");
    put_title(&w);
    put(&w, ",\n\"activeProfileIndex\":0,\n");
    put_frames(&w);
    put_profiles(&w);
    put(&w, "}\n");
    pst_groups_free(groups);
    return w.error;
}
