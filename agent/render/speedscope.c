/* Writes speedscope JSON: frames are the profile's locations in their order. */
#include "render/speedscope.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "groups.h"
#include "render/text.h"

struct writer {
    const struct pst_profile *profile;
    struct pst_buf *out;
    int error;
};

#define put(w, ...)                                                                                \
    do {                                                                                           \
        if ((w)->error == 0)                                                                       \
            (w)->error = pst_buf_printf((w)->out, __VA_ARGS__);                                    \
    } while (0)

static void put_text(struct writer *w, struct pst_str text)
{
    if (w->error == 0)
        w->error = pst_text_json(w->out, text);
}

static void put_frames(struct writer *w)
{
    uint32_t count = pst_profile_location_count(w->profile);

    put(w, "\"shared\":{\"frames\":[");
    for (uint32_t i = 0; i < count && w->error == 0; i++) {
        const struct pst_function *function;
        struct pst_str file;
        uint32_t id;
        int64_t line;

        pst_profile_location_at(w->profile, i, &id, &line);
        function = pst_profile_function_at(w->profile, id);
        file = pst_profile_text(w->profile, function->filename);
        put(w, "%s{\"name\":", i ? ",\n" : "\n");
        put_text(w, pst_profile_text(w->profile, function->name));
        if (file.len) {
            put(w, ",\"file\":");
            put_text(w, file);
        }
        if (line > 0)
            put(w, ",\"line\":%lld", (long long)line);
        put(w, "}");
    }
    put(w, "]}");
}

static void put_stack(struct writer *w, const struct pst_profile_sample *sample)
{
    put(w, "[");
    for (size_t i = sample->depth; i > 0 && w->error == 0; i--)
        put(w, "%u%s", sample->locations[i - 1], i > 1 ? "," : "");
    put(w, "]");
}

/* A stack, or nothing (sample UINT32_MAX), for so long. */
struct entry {
    uint32_t sample;
    int64_t weight_ns;
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

static void add_entry(const struct pst_profile *profile, struct track *track, uint32_t sample,
                      int64_t weight_ns)
{
    struct entry *last = track->count ? &track->entries[track->count - 1] : NULL;

    if (__builtin_add_overflow(track->end_ns, weight_ns, &track->end_ns))
        track->end_ns = INT64_MAX;
    if (last && last->sample != UINT32_MAX && sample != UINT32_MAX &&
        same_stack(profile, last->sample, sample))
        last->weight_ns += weight_ns;
    else
        track->entries[track->count++] = (struct entry){sample, weight_ns};
}

/* One thread: where the samples say their time, what lies between them is there too. */
static void add_thread(const struct writer *w, const struct pst_groups *groups,
                       const struct pst_group *group, bool at_its_time, struct track *track)
{
    for (size_t i = 0; i < group->count; i++) {
        struct pst_profile_sample sample;
        int64_t start_ns = track->end_ns;

        if (at_its_time)
            start_ns = pst_groups_start(groups, w->profile, group->samples[i], track->end_ns);
        if (start_ns > track->end_ns)
            add_entry(w->profile, track, UINT32_MAX, start_ns - track->end_ns);
        pst_profile_sample(w->profile, group->samples[i], &sample);
        add_entry(w->profile, track, group->samples[i], sample.value_ns);
    }
}

static void put_track(struct writer *w, const struct track *track)
{
    put(w, ",\"unit\":\"nanoseconds\",\"startValue\":0,\"endValue\":%lld,\"samples\":[",
        (long long)track->end_ns);
    for (size_t i = 0; i < track->count && w->error == 0; i++) {
        struct pst_profile_sample sample = {.depth = 0};

        if (track->entries[i].sample != UINT32_MAX)
            pst_profile_sample(w->profile, track->entries[i].sample, &sample);
        put(w, "%s", i ? ",\n" : "\n");
        put_stack(w, &sample);
    }
    put(w, "],\"weights\":[");
    for (size_t i = 0; i < track->count && w->error == 0; i++)
        put(w, "%s%lld", i ? "," : "", (long long)track->entries[i].weight_ns);
    put(w, "]}");
}

/* The samples of the groups [first, last) as one profile; its name has been written. Several have
 * no common time line: they are laid one behind the other. */
static void put_samples(struct writer *w, const struct pst_groups *groups,
                        const struct pst_group *first, const struct pst_group *last)
{
    struct track track = {NULL, 0, 0};
    size_t count = 0;

    for (const struct pst_group *group = first; group < last; group++)
        count += group->count;
    track.entries = calloc(2 * count + 1, sizeof(*track.entries));
    if (!track.entries) {
        w->error = -ENOMEM;
        return;
    }
    for (const struct pst_group *group = first; group < last; group++)
        add_thread(w, groups, group, last - first == 1, &track);
    put_track(w, &track);
    free(track.entries);
}

/* `Process P Thread T "NAME"`, as far as known. */
static int thread_title(const struct pst_group *group, bool only, struct pst_buf *text)
{
    int rc = 0;

    pst_buf_reset(text);
    if (only && !group->pid && !group->tid && !group->name.len)
        return pst_buf_puts(text, PST_SPEEDSCOPE_ALL);
    if (group->pid)
        rc = pst_buf_printf(text, "Process %lld ", (long long)group->pid);
    if (rc == 0)
        rc = pst_buf_puts(text, "Thread");
    if (rc == 0 && group->tid)
        rc = pst_buf_printf(text, " %lld", (long long)group->tid);
    if (rc == 0 && group->name.len) {
        rc = pst_buf_puts(text, " \"");
        if (rc == 0)
            rc = pst_buf_str(text, group->name);
        if (rc == 0)
            rc = pst_buf_puts(text, "\"");
    }
    return rc;
}

static void put_profiles(struct writer *w, const struct pst_groups *groups)
{
    struct pst_buf title;

    put(w, ",\n\"profiles\":[");
    if (groups->count != 1) {
        put(w, "\n{\"type\":\"sampled\",\"name\":\"" PST_SPEEDSCOPE_ALL "\"");
        put_samples(w, groups, groups->items, groups->items + groups->count);
    }
    pst_buf_init(&title, 1 << 16);
    for (size_t i = 0; i < groups->count && w->error == 0; i++) {
        put(w, "%s\n{\"type\":\"sampled\",\"name\":", groups->count != 1 ? "," : "");
        w->error = thread_title(&groups->items[i], groups->count == 1, &title);
        put_text(w, pst_buf_view(&title));
        put_samples(w, groups, &groups->items[i], &groups->items[i] + 1);
    }
    pst_buf_done(&title);
    put(w, "]");
}

int pst_speedscope_write(const struct pst_profile *profile, const char *title, struct pst_buf *out)
{
    struct writer w = {.profile = profile, .out = out};
    struct pst_groups *groups = NULL;
    int rc = pst_groups_new(profile, &groups);

    if (rc < 0)
        return rc;
    put(&w, "{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\",\n");
    put(&w, "\"exporter\":\"pystrobe@%s\",\n\"name\":", PST_VERSION);
    put_text(&w, pst_str(title));
    put(&w, ",\n\"activeProfileIndex\":0,\n");
    put_frames(&w);
    put_profiles(&w, groups);
    put(&w, "}\n");
    pst_groups_free(groups);
    return w.error;
}
