/* Trace events: per thread the open stack is kept, and each new stack ends what it does not share
 * with it and begins what is new. Times are whole microseconds, rounded down, so they never fall.
 */
#include "render/chrometrace.h"

#include <errno.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/map.h"
#include "groups.h"
#include "render/frame.h"
#include "render/text.h"

struct thread {
    int64_t end_ns;
    uint32_t *open; /* root first */
    size_t depth, cap;
};

struct key {
    int64_t pid, tid;
};

struct pst_chrometrace {
    const struct pst_profile *profile;
    unsigned frame_flags;
    struct pst_buf *out;
    struct pst_map *threads; /* struct key -> struct thread */
    bool some;
};

struct pst_chrometrace *pst_chrometrace_new(const struct pst_profile *profile, unsigned frame_flags,
                                            struct pst_buf *out)
{
    struct pst_chrometrace *trace = calloc(1, sizeof(*trace));

    if (!trace)
        return NULL;
    trace->profile = profile;
    trace->frame_flags = frame_flags;
    trace->out = out;
    trace->threads = pst_map_new(sizeof(struct key), sizeof(struct thread), PST_MAX_THREADS);
    if (!trace->threads || pst_buf_puts(out, "[") < 0)
        return pst_chrometrace_free(trace);
    return trace;
}

struct pst_chrometrace *pst_chrometrace_free(struct pst_chrometrace *trace)
{
    size_t cursor = 0;
    void *value;

    if (!trace)
        return NULL;
    while (trace->threads && pst_map_next(trace->threads, &cursor, NULL, &value))
        free(((struct thread *)value)->open);
    pst_map_free(trace->threads);
    free(trace);
    return NULL;
}

static int put_head(struct pst_chrometrace *trace, char phase, const struct key *key, int64_t ns)
{
    int rc = pst_buf_printf(trace->out, "%s\n{\"ph\":\"%c\",\"pid\":%lld,\"tid\":%lld,\"ts\":%lld",
                            trace->some ? "," : "", phase, (long long)key->pid, (long long)key->tid,
                            (long long)(ns / 1000));

    trace->some = true;
    return rc;
}

static int put_slice(struct pst_chrometrace *trace, char phase, const struct key *key, int64_t ns,
                     uint32_t location)
{
    const struct pst_function *function;
    struct pst_str file;
    uint32_t id;
    int64_t line;
    int rc = put_head(trace, phase, key, ns);

    pst_profile_location_at(trace->profile, location, &id, &line);
    function = pst_profile_function_at(trace->profile, id);
    if (trace->frame_flags & PST_FRAME_FUNCTIONS)
        line = function->start_line;
    file = pst_profile_text(trace->profile, function->filename);
    if (rc == 0)
        rc = pst_buf_puts(trace->out, ",\"cat\":\"pystrobe\",\"name\":");
    if (rc == 0)
        rc = pst_text_json(trace->out, pst_profile_text(trace->profile, function->name));
    if (rc == 0)
        rc = pst_buf_puts(trace->out, ",\"args\":{\"filename\":");
    if (rc == 0)
        rc = pst_text_json(trace->out, file);
    if (rc == 0)
        rc = trace->frame_flags & PST_FRAME_NO_LINES
                 ? pst_buf_puts(trace->out, ",\"line\":null}")
                 : pst_buf_printf(trace->out, ",\"line\":%lld}", (long long)line);
    return rc < 0 ? rc : pst_buf_puts(trace->out, "}");
}

static int put_name(struct pst_chrometrace *trace, const struct key *key, struct pst_str name)
{
    int rc;

    if (!name.len)
        return 0;
    rc = put_head(trace, 'M', key, 0);
    if (rc == 0)
        rc = pst_buf_puts(trace->out, ",\"name\":\"thread_name\",\"args\":{\"name\":");
    if (rc == 0)
        rc = pst_text_json(trace->out, name);
    return rc < 0 ? rc : pst_buf_puts(trace->out, "}}");
}

/* Ends the open slices beyond the first `keep`, innermost first. */
static int close_to(struct pst_chrometrace *trace, const struct key *key, struct thread *thread,
                    size_t keep, int64_t ns)
{
    int rc = 0;

    while (thread->depth > keep && rc == 0)
        rc = put_slice(trace, 'E', key, ns, thread->open[--thread->depth]);
    return rc;
}

static int open_from(struct pst_chrometrace *trace, const struct key *key, struct thread *thread,
                     const uint32_t *locations, size_t depth, int64_t ns)
{
    int rc = 0;

    if (depth > thread->cap) {
        uint32_t *grown = realloc(thread->open, depth * sizeof(*grown));

        if (!grown)
            return -ENOMEM;
        thread->open = grown;
        thread->cap = depth;
    }
    while (thread->depth < depth && rc == 0) {
        uint32_t location = locations[depth - 1 - thread->depth];

        rc = put_slice(trace, 'B', key, ns, location);
        thread->open[thread->depth++] = location;
    }
    return rc;
}

/* The same slice goes on: the same line, or the same function where lines are not wanted. */
static bool same_frame(const struct pst_chrometrace *trace, uint32_t left, uint32_t right)
{
    uint32_t of_left, of_right;
    int64_t line;

    if (left == right || !(trace->frame_flags & (PST_FRAME_FUNCTIONS | PST_FRAME_NO_LINES)))
        return left == right;
    pst_profile_location_at(trace->profile, left, &of_left, &line);
    pst_profile_location_at(trace->profile, right, &of_right, &line);
    return of_left == of_right;
}

int pst_chrometrace_add(struct pst_chrometrace *trace, int64_t pid, int64_t tid,
                        struct pst_str thread_name, int64_t start_ns, int64_t duration_ns,
                        const uint32_t *locations, size_t depth)
{
    struct key key = {pid, tid};
    struct thread *thread;
    size_t same = 0;
    void *value;
    bool fresh;
    int rc = pst_map_put(trace->threads, &key, &value, &fresh);

    if (rc < 0)
        return rc;
    thread = value;
    if (fresh)
        rc = put_name(trace, &key, thread_name);
    if (rc == 0 && start_ns > thread->end_ns)
        rc = close_to(trace, &key, thread, 0, thread->end_ns);
    if (start_ns < thread->end_ns)
        start_ns = thread->end_ns;
    while (same < thread->depth && same < depth &&
           same_frame(trace, thread->open[same], locations[depth - 1 - same]))
        same++;
    if (rc == 0)
        rc = close_to(trace, &key, thread, same, start_ns);
    if (rc == 0)
        rc = open_from(trace, &key, thread, locations, depth, start_ns);
    if (__builtin_add_overflow(start_ns, duration_ns, &thread->end_ns))
        thread->end_ns = INT64_MAX;
    return rc;
}

int pst_chrometrace_finish(struct pst_chrometrace *trace)
{
    size_t cursor = 0;
    const void *key;
    void *value;
    int rc = 0;

    while (rc == 0 && pst_map_next(trace->threads, &cursor, &key, &value)) {
        struct thread *thread = value;

        rc = close_to(trace, key, thread, 0, thread->end_ns);
    }
    return rc < 0 ? rc : pst_buf_puts(trace->out, "\n]\n");
}

static int lay_out(const struct pst_profile *profile, struct pst_chrometrace *trace,
                   const struct pst_groups *groups, const struct pst_group *group)
{
    int64_t ns = 0;
    int rc = 0;

    for (size_t i = 0; i < group->count && rc == 0; i++) {
        struct pst_profile_sample sample;

        pst_profile_sample(profile, group->samples[i], &sample);
        ns = pst_groups_start(groups, profile, group->samples[i], ns);
        rc = pst_chrometrace_add(trace, group->pid, group->tid, group->name, ns, sample.value_ns,
                                 sample.locations, sample.depth);
        if (__builtin_add_overflow(ns, sample.value_ns, &ns))
            ns = INT64_MAX;
    }
    if (rc == 0)
        rc = pst_chrometrace_add(trace, group->pid, group->tid, group->name, ns, 0, NULL, 0);
    return rc;
}

int pst_chrometrace_write(const struct pst_profile *profile, unsigned frame_flags,
                          struct pst_buf *out)
{
    struct pst_chrometrace *trace;
    struct pst_groups *groups = NULL;
    int rc = pst_groups_new(profile, &groups);

    if (rc < 0)
        return rc;
    trace = pst_chrometrace_new(profile, frame_flags, out);
    rc = trace ? 0 : -ENOMEM;
    for (size_t i = 0; i < groups->count && rc == 0; i++)
        rc = lay_out(profile, trace, groups, &groups->items[i]);
    if (rc == 0)
        rc = pst_chrometrace_finish(trace);
    pst_chrometrace_free(trace);
    pst_groups_free(groups);
    return rc;
}
