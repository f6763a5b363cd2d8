/* Rows of (thread, stack) in one map; stacks interned as arrays of frames. */
#include "window.h"

#include <errno.h>
#include <stdlib.h>

#include "base/intern.h"
#include "base/limits.h"
#include "base/map.h"

enum {
    MAX_STACKS = 65536,
    MAX_STACK_BYTES = PST_MAX_WINDOW_BYTES / 2,
    MAX_ROWS = 131072,
    NAME_BYTES = 128,
};

struct row_key {
    uint32_t slot, stack;
};

struct row {
    uint64_t raw_cpu_ns;
    uint64_t ns[PST_MODE_COUNT];
    uint32_t count[PST_MODE_COUNT];
};

struct thread {
    pid_t tid;
    uint64_t cpu_ns, raw_cpu_ns;
    char name[NAME_BYTES];
    uint8_t name_len;
};

/* One weight and when it ended. */
struct span {
    uint64_t end_ns, ns;
    uint32_t slot, stack, count;
    uint8_t mode;
    bool raw; /* cpu that is scaled */
};

struct pst_window {
    struct pst_intern *stacks;
    struct pst_map *rows;  /* row_key -> row */
    struct pst_map *slots; /* pid_t -> uint32_t */
    struct thread *threads;
    uint32_t thread_count, thread_cap;
    uint64_t overflow;
    struct span *spans; /* in the order of their time */
    size_t span_count, span_cap;
    bool timed; /* every weight so far is in spans */
    uint64_t now_ns, begin_ns;
};

struct pst_window *pst_window_new(void)
{
    struct pst_window *window = calloc(1, sizeof(*window));
    if (!window)
        return NULL;
    window->stacks = pst_intern_new(MAX_STACKS, MAX_STACK_BYTES);
    window->rows = pst_map_new(sizeof(struct row_key), sizeof(struct row), MAX_ROWS);
    window->slots = pst_map_new(sizeof(pid_t), sizeof(uint32_t), PST_MAX_THREADS);
    if (!window->stacks || !window->rows || !window->slots)
        return pst_window_free(window);
    return window;
}

struct pst_window *pst_window_free(struct pst_window *window)
{
    if (!window)
        return NULL;
    pst_intern_free(window->stacks);
    pst_map_free(window->rows);
    pst_map_free(window->slots);
    free(window->threads);
    free(window->spans);
    free(window);
    return NULL;
}

static int grow_threads(struct pst_window *window)
{
    uint32_t cap = window->thread_cap ? window->thread_cap * 2 : 4;
    struct thread *threads = realloc(window->threads, cap * sizeof(*threads));
    if (!threads)
        return -ENOMEM;
    window->threads = threads;
    window->thread_cap = cap;
    return 0;
}

int pst_window_thread(struct pst_window *window, pid_t tid, uint32_t *ret_slot)
{
    uint32_t *there = pst_map_get(window->slots, &tid);
    if (there) {
        *ret_slot = *there;
        return 0;
    }
    if (window->thread_count == window->thread_cap) {
        int r = grow_threads(window);
        if (r < 0)
            return r;
    }
    void *value;
    int r = pst_map_put(window->slots, &tid, &value, NULL);
    if (r < 0)
        return r;
    *(uint32_t *)value = window->thread_count;
    window->threads[window->thread_count] = (struct thread){.tid = tid};
    *ret_slot = window->thread_count++;
    return 0;
}

void pst_window_thread_name(struct pst_window *window, uint32_t slot, struct pst_str name)
{
    struct thread *thread = &window->threads[slot];
    if (name.len > NAME_BYTES)
        name.len = NAME_BYTES;
    name.len = pst_utf8_valid_prefix(name);
    if (name.len)
        memcpy(thread->name, name.ptr, name.len);
    thread->name_len = (uint8_t)name.len;
}

int pst_window_stack(struct pst_window *window, const struct pst_wframe *frames, size_t count,
                     uint32_t *ret_stack)
{
    int r = pst_intern_add(window->stacks, frames, count * sizeof(*frames), ret_stack);
    if (r < 0)
        window->overflow++;
    return r;
}

const struct pst_wframe *pst_window_frames(const struct pst_window *window, uint32_t stack,
                                           size_t *ret_count)
{
    struct pst_str bytes = pst_intern_get(window->stacks, stack);
    *ret_count = bytes.len / sizeof(struct pst_wframe);
    return (const void *)bytes.ptr;
}

void pst_window_keep_times(struct pst_window *window)
{
    window->timed = true;
}

void pst_window_at(struct pst_window *window, uint64_t now_ns)
{
    window->now_ns = now_ns;
    if (window->begin_ns == 0)
        window->begin_ns = now_ns;
}

static void add_span(struct pst_window *window, const struct span *span)
{
    if (!window->timed)
        return;
    if (window->span_count == window->span_cap) {
        size_t cap = window->span_cap ? 2 * window->span_cap : 256;
        cap = cap < PST_MAX_WINDOW_SPANS ? cap : PST_MAX_WINDOW_SPANS;
        struct span *spans =
            cap > window->span_cap ? realloc(window->spans, cap * sizeof(*spans)) : NULL;
        window->timed = spans != NULL;
        if (!spans)
            return;
        window->spans = spans;
        window->span_cap = cap;
    }
    window->spans[window->span_count] = *span;
    window->spans[window->span_count++].end_ns = window->now_ns;
}

static struct row *row_of(struct pst_window *window, uint32_t slot, uint32_t stack)
{
    struct row_key key = {slot, stack};
    void *value;
    if (pst_map_put(window->rows, &key, &value, NULL) < 0) {
        window->overflow++;
        return NULL;
    }
    return value;
}

void pst_window_add_raw_cpu(struct pst_window *window, uint32_t slot, uint32_t stack,
                            uint64_t raw_ns, uint32_t count)
{
    struct row *row = row_of(window, slot, stack);
    if (!row)
        return;
    add_span(window, &(struct span){.ns = raw_ns,
                                    .slot = slot,
                                    .stack = stack,
                                    .count = count,
                                    .mode = PST_MODE_CPU,
                                    .raw = true});
    row->raw_cpu_ns += raw_ns;
    row->count[PST_MODE_CPU] += count;
    window->threads[slot].raw_cpu_ns += raw_ns;
}

void pst_window_add(struct pst_window *window, uint32_t slot, uint32_t stack, enum pst_mode mode,
                    uint64_t ns, uint32_t count)
{
    struct row *row = row_of(window, slot, stack);
    if (!row)
        return;
    add_span(window,
             &(struct span){
                 .ns = ns, .slot = slot, .stack = stack, .count = count, .mode = (uint8_t)mode});
    row->ns[mode] += ns;
    row->count[mode] += count;
}

void pst_window_thread_cpu(struct pst_window *window, uint32_t slot, uint64_t cpu_ns)
{
    window->threads[slot].cpu_ns += cpu_ns;
}

bool pst_window_has_cpu(const struct pst_window *window, uint32_t slot)
{
    return window->threads[slot].raw_cpu_ns > 0;
}

uint64_t pst_window_overflow(const struct pst_window *window)
{
    return window->overflow;
}

/* Translation of one window's ids into one profile's, made on demand. */
struct translation {
    const struct pst_window *window;
    struct pst_names *names;
    struct pst_profile *profile;
    struct pst_map *locations; /* pst_wframe -> location + 1 */
    struct pst_map *functions; /* function id -> function + 1 */
    uint32_t key_tid, key_name, key_pid, key_start, unit, unit_ns;
    uint32_t *locs;
    size_t loc_cap;
};

static int translate_function(struct translation *t, uint32_t function, uint32_t *ret)
{
    void *value;
    bool fresh;
    int r = pst_map_put(t->functions, &function, &value, &fresh);
    if (r < 0)
        return r;
    uint32_t *id = value;
    if (*id == 0) {
        struct pst_name name;
        struct pst_function f = {0};
        pst_names_get(t->names, function, &name);
        f.start_line = name.first_line;
        r = pst_profile_string(t->profile, name.name, &f.name);
        if (r == 0)
            r = pst_profile_string(t->profile, name.system_name, &f.system_name);
        if (r == 0)
            r = pst_profile_string(t->profile, name.filename, &f.filename);
        uint32_t made = 0;
        if (r == 0)
            r = pst_profile_function(t->profile, &f, &made);
        if (r < 0)
            return r;
        *id = made + 1;
    }
    *ret = *id - 1;
    return 0;
}

static int translate_origin(struct translation *t, uint32_t function, struct pst_origin *ret)
{
    struct pst_name name;
    int r = 0;

    pst_names_get(t->names, function, &name);
    *ret = (struct pst_origin){.address = name.address};
    if (name.binary.len > 0)
        r = pst_profile_string(t->profile, name.binary, &ret->binary);
    if (r == 0 && name.build_id.len > 0)
        r = pst_profile_string(t->profile, name.build_id, &ret->build_id);
    return r;
}

static int translate_frame(struct translation *t, const struct pst_wframe *frame, uint32_t *ret)
{
    void *value;
    int r = pst_map_put(t->locations, frame, &value, NULL);
    if (r < 0)
        return r;
    uint32_t *id = value;
    if (*id == 0) {
        uint32_t function, made;
        struct pst_origin origin;
        r = translate_function(t, frame->function, &function);
        if (r == 0)
            r = translate_origin(t, frame->function, &origin);
        if (r == 0)
            r = pst_profile_native_location(t->profile, function, frame->line, &origin, &made);
        if (r < 0)
            return r;
        *id = made + 1;
    }
    *ret = *id - 1;
    return 0;
}

static int translate_stack(struct translation *t, uint32_t stack, size_t *ret_depth)
{
    struct pst_str bytes = pst_intern_get(t->window->stacks, stack);
    const struct pst_wframe *frames = (const void *)bytes.ptr;
    size_t depth = bytes.len / sizeof(*frames);
    if (depth > t->loc_cap) {
        uint32_t *locs = realloc(t->locs, depth * sizeof(*locs));
        if (!locs)
            return -ENOMEM;
        t->locs = locs;
        t->loc_cap = depth;
    }
    for (size_t i = 0; i < depth; i++) {
        int r = translate_frame(t, &frames[i], &t->locs[i]);
        if (r < 0)
            return r;
    }
    *ret_depth = depth;
    return 0;
}

/* The share of raw weight in what its thread used. */
static uint64_t scaled(const struct pst_window *window, uint32_t slot, uint64_t raw_ns)
{
    const struct thread *thread = &window->threads[slot];
    if (thread->raw_cpu_ns == 0)
        return 0;
    return (uint64_t)((unsigned __int128)thread->cpu_ns * raw_ns / thread->raw_cpu_ns);
}

/* start: when it began; NULL: in this window. */
static int add_weight(struct translation *t, const struct row_key *key, uint64_t value,
                      uint32_t count, pid_t pid, const uint64_t *start)
{
    if (value == 0 && count == 0)
        return 0;
    const struct thread *thread = &t->window->threads[key->slot];
    struct pst_label labels[4] = {
        {.key = t->key_pid, .numeric = true, .num = pid, .unit = t->unit},
        {.key = t->key_tid, .numeric = true, .num = thread->tid, .unit = t->unit},
    };
    size_t label_count = thread->tid ? 2 : 1;
    int r = 0;
    if (thread->name_len) {
        labels[label_count] = (struct pst_label){.key = t->key_name};
        r = pst_profile_string(t->profile, (struct pst_str){thread->name, thread->name_len},
                               &labels[label_count].str);
        label_count++;
    }
    if (start)
        labels[label_count++] = (struct pst_label){
            .key = t->key_start, .numeric = true, .num = (int64_t)*start, .unit = t->unit_ns};
    size_t depth = 0;
    if (r == 0)
        r = translate_stack(t, key->stack, &depth);
    return r < 0 ? r
                 : pst_profile_add(t->profile, t->locs, depth, labels, label_count, count,
                                   (int64_t)value);
}

static int add_row(struct translation *t, const struct row_key *key, const struct row *row,
                   enum pst_mode mode, pid_t pid)
{
    uint64_t value = row->ns[mode];
    if (mode == PST_MODE_CPU)
        value += scaled(t->window, key->slot, row->raw_cpu_ns);
    return add_weight(t, key, value, row->count[mode], pid, NULL);
}

static int add_spans(struct translation *t, enum pst_mode mode, pid_t pid)
{
    int r = 0;
    for (size_t i = 0; i < t->window->span_count && r == 0; i++) {
        const struct span *span = &t->window->spans[i];
        struct row_key key = {span->slot, span->stack};
        /* What is set right at the end may be longer than the window. */
        uint64_t start = span->end_ns > t->window->begin_ns + span->ns ? span->end_ns - span->ns
                                                                       : t->window->begin_ns;
        uint64_t value = span->raw ? scaled(t->window, span->slot, span->ns) : span->ns;
        if (span->mode == mode)
            r = add_weight(t, &key, value, span->count, pid, &start);
    }
    return r;
}

static int fill_profile(struct translation *t, enum pst_mode mode, pid_t pid)
{
    int r = pst_profile_string(t->profile, PST_STR("thread_id"), &t->key_tid);
    if (r == 0)
        r = pst_profile_string(t->profile, PST_STR("thread_name"), &t->key_name);
    if (r == 0)
        r = pst_profile_string(t->profile, PST_STR("pid"), &t->key_pid);
    if (r == 0)
        r = pst_profile_string(t->profile, PST_STR("id"), &t->unit);
    if (r == 0 && t->window->timed) {
        r = pst_profile_string(t->profile, PST_STR("start"), &t->key_start);
        if (r == 0)
            r = pst_profile_string(t->profile, PST_STR("nanoseconds"), &t->unit_ns);
        return r < 0 ? r : add_spans(t, mode, pid);
    }
    size_t cursor = 0;
    const void *key;
    void *value;
    while (r == 0 && pst_map_next(t->window->rows, &cursor, &key, &value))
        r = add_row(t, key, value, mode, pid);
    return r;
}

int pst_window_profile(const struct pst_window *window, enum pst_mode mode, struct pst_names *names,
                       pid_t pid, struct pst_profile **ret)
{
    *ret = NULL;
    struct translation t = {
        .window = window,
        .names = names,
        .profile = pst_profile_new(mode),
        .locations = pst_map_new(sizeof(struct pst_wframe), sizeof(uint32_t), SIZE_MAX),
        .functions = pst_map_new(sizeof(uint32_t), sizeof(uint32_t), SIZE_MAX),
    };
    int r = t.profile && t.locations && t.functions ? fill_profile(&t, mode, pid) : -ENOMEM;
    if (r < 0 || pst_profile_sample_count(t.profile) == 0)
        t.profile = pst_profile_free(t.profile);
    *ret = t.profile;
    pst_map_free(t.locations);
    pst_map_free(t.functions);
    free(t.locs);
    return r;
}
