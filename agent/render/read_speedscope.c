/* Reads speedscope JSON: sampled and evented profiles in any unit of time, or in none. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "read_internal.h"
#include "render/speedscope.h"

struct reader {
    struct pst_profile *into;
    uint32_t *locations; /* by frame */
    size_t frame_count;
    double ns_per_unit; /* 0: weights are counts */
    struct pst_label labels[3];
    size_t label_count;
    uint32_t stack[PST_MAX_FRAMES_WALKED]; /* root first */
    size_t depth;
};

static struct pst_str text_of(const json_t *value)
{
    if (!json_is_string(value))
        return PST_STR("");
    return (struct pst_str){json_string_value(value), json_string_length(value)};
}

static int read_frames(struct reader *r, const json_t *root)
{
    const json_t *frames = json_object_get(json_object_get(root, "shared"), "frames");

    if (!json_is_array(frames) || json_array_size(frames) > PST_MAX_PPROF_STRINGS)
        return -EBADMSG;
    r->frame_count = json_array_size(frames);
    r->locations = calloc(r->frame_count + 1, sizeof(*r->locations));
    if (!r->locations)
        return -ENOMEM;
    for (size_t i = 0; i < r->frame_count; i++) {
        const json_t *frame = json_array_get(frames, i), *line = json_object_get(frame, "line");
        struct pst_str name = text_of(json_object_get(frame, "name"));
        int64_t number = json_is_integer(line) ? json_integer_value(line) : 0;
        int rc;

        if (!name.len)
            return -EBADMSG;
        rc = pst_read_location(r->into, name, text_of(json_object_get(frame, "file")),
                               number < 0 ? 0 : number, &r->locations[i]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int read_unit(struct reader *r, const json_t *profile)
{
    static const struct {
        const char *name;
        double ns;
    } units[] = {{"none", 0},
                 {"nanoseconds", 1},
                 {"microseconds", 1e3},
                 {"milliseconds", 1e6},
                 {"seconds", 1e9}};
    struct pst_str unit = text_of(json_object_get(profile, "unit"));

    for (size_t i = 0; i < PST_ARRAY_SIZE(units); i++) {
        if (!pst_str_eq(unit, pst_str(units[i].name)))
            continue;
        r->ns_per_unit = units[i].ns;
        return 0;
    }
    return -EBADMSG;
}

static int push_label(struct reader *r, const char *key, bool numeric, int64_t num,
                      struct pst_str text)
{
    struct pst_label *label = &r->labels[r->label_count];
    int rc;

    memset(label, 0, sizeof(*label));
    label->numeric = numeric;
    label->num = num;
    rc = pst_profile_string(r->into, pst_str(key), &label->key);
    if (rc == 0)
        rc = pst_profile_string(r->into, numeric ? PST_STR("id") : text,
                                numeric ? &label->unit : &label->str);
    r->label_count += rc == 0;
    return rc;
}

/* Takes "WORD number" off the front. */
static bool take_numbered(struct pst_str *rest, struct pst_str word, int64_t *ret)
{
    struct pst_str digits;
    uint64_t value;

    if (!pst_str_starts(*rest, word))
        return false;
    digits = (struct pst_str){rest->ptr + word.len, rest->len - word.len};
    digits.len = pst_str_find(digits, ' ');
    if (pst_str_u64(digits, 10, INT64_MAX, &value) < 0)
        return false;
    rest->len -= (size_t)(digits.ptr + digits.len - rest->ptr);
    rest->ptr = digits.ptr + digits.len;
    if (rest->len) {
        rest->ptr++;
        rest->len--;
    }
    *ret = (int64_t)value;
    return true;
}

/* `Process P Thread T "NAME"` becomes labels; any other name of one profile among several is taken
 * for the thread's. */
static int read_labels(struct reader *r, struct pst_str name, bool several)
{
    int64_t pid, tid;
    bool known = false;
    int rc = 0;

    r->label_count = 0;
    if (take_numbered(&name, PST_STR("Process "), &pid)) {
        rc = push_label(r, "pid", true, pid, name);
        known = true;
    }
    if (rc == 0 && take_numbered(&name, PST_STR("Thread "), &tid)) {
        rc = push_label(r, "thread_id", true, tid, name);
        known = true;
    }
    if (name.len >= 2 && name.ptr[0] == '"' && name.ptr[name.len - 1] == '"')
        name = (struct pst_str){name.ptr + 1, name.len - 2};
    if (rc == 0 && name.len && (known || several))
        rc = push_label(r, "thread_name", false, 0, name);
    return rc;
}

static int add(struct reader *r, double weight)
{
    uint32_t leaf_first[PST_MAX_FRAMES_WALKED];
    double ns = weight * r->ns_per_unit;

    if (!r->depth)
        return 0;
    if (!(weight >= 0) || !(weight < 9e18) || !(ns < 9e18))
        return -EBADMSG;
    for (size_t i = 0; i < r->depth; i++)
        leaf_first[i] = r->stack[r->depth - 1 - i];
    return pst_profile_add(r->into, leaf_first, r->depth, r->labels, r->label_count,
                           r->ns_per_unit > 0 ? 1 : (int64_t)weight, (int64_t)(ns + 0.5));
}

static int push_frame(struct reader *r, const json_t *frame)
{
    if (!json_is_integer(frame) || json_integer_value(frame) < 0 ||
        (uint64_t)json_integer_value(frame) >= r->frame_count)
        return -EBADMSG;
    if (r->depth == PST_MAX_FRAMES_WALKED)
        return -EFBIG;
    r->stack[r->depth++] = r->locations[json_integer_value(frame)];
    return 0;
}

static int read_sampled(struct reader *r, const json_t *profile)
{
    const json_t *samples = json_object_get(profile, "samples");
    const json_t *weights = json_object_get(profile, "weights");
    size_t count = json_array_size(samples);
    int rc = 0;

    if (!json_is_array(samples) || !json_is_array(weights) || json_array_size(weights) != count)
        return -EBADMSG;
    for (size_t i = 0; i < count && rc == 0; i++) {
        const json_t *stack = json_array_get(samples, i), *weight = json_array_get(weights, i);

        if (!json_is_array(stack) || !json_is_number(weight))
            return -EBADMSG;
        r->depth = 0;
        for (size_t at = 0; at < json_array_size(stack) && rc == 0; at++)
            rc = push_frame(r, json_array_get(stack, at));
        if (rc == 0)
            rc = add(r, json_number_value(weight));
    }
    return rc;
}

static int read_evented(struct reader *r, const json_t *profile)
{
    const json_t *events = json_object_get(profile, "events");
    double before = json_number_value(json_object_get(profile, "startValue"));
    int rc = 0;

    if (!json_is_array(events))
        return -EBADMSG;
    r->depth = 0;
    for (size_t i = 0; i < json_array_size(events) && rc == 0; i++) {
        const json_t *event = json_array_get(events, i), *at = json_object_get(event, "at");
        struct pst_str type = text_of(json_object_get(event, "type"));

        if (!json_is_number(at) || json_number_value(at) < before)
            return -EBADMSG;
        if (json_number_value(at) > before)
            rc = add(r, json_number_value(at) - before);
        before = json_number_value(at);
        if (rc == 0 && pst_str_eq(type, PST_STR("O")))
            rc = push_frame(r, json_object_get(event, "frame"));
        else if (rc == 0 && pst_str_eq(type, PST_STR("C")) && r->depth)
            r->depth--;
        else if (rc == 0)
            rc = -EBADMSG;
    }
    return rc;
}

static int read_profile(struct reader *r, const json_t *profile, bool several)
{
    struct pst_str type = text_of(json_object_get(profile, "type"));
    int rc = read_unit(r, profile);

    if (rc == 0)
        rc = read_labels(r, text_of(json_object_get(profile, "name")), several);
    if (rc < 0)
        return rc;
    if (pst_str_eq(type, PST_STR("sampled")))
        return read_sampled(r, profile);
    return pst_str_eq(type, PST_STR("evented")) ? read_evented(r, profile) : -EBADMSG;
}

static int read_root(struct reader *r, const json_t *root)
{
    const json_t *profiles = json_object_get(root, "profiles");
    size_t count = json_array_size(profiles), first = 0;
    int rc = read_frames(r, root);

    if (rc == 0 && (!json_is_array(profiles) || !count))
        rc = -EBADMSG;
    /* Ours sums up the others: taking it too would count all twice. */
    if (count > 1 &&
        pst_str_starts(text_of(json_object_get(root, "exporter")), PST_STR("pystrobe@")) &&
        pst_str_eq(text_of(json_object_get(json_array_get(profiles, 0), "name")),
                   PST_STR(PST_SPEEDSCOPE_ALL)))
        first = 1;
    for (size_t i = first; i < count && rc == 0; i++)
        rc = read_profile(r, json_array_get(profiles, i), count > 1);
    return rc;
}

int pst_read_speedscope(struct pst_str file, struct pst_profile *into)
{
    pst_autofree struct reader *r = calloc(1, sizeof(*r));
    json_error_t error;
    json_t *root;
    int rc;

    if (!r)
        return -ENOMEM;
    r->into = into;
    root = json_loadb(file.ptr, file.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (!root)
        return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EBADMSG;
    rc = read_root(r, root);
    json_decref(root);
    free(r->locations);
    return rc == -EINVAL ? -EBADMSG : rc;
}
