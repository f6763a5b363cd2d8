/* Builds the call tree: a child is found by (parent, label) in one map. */
#include "render/tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/intern.h"
#include "base/limits.h"
#include "base/map.h"
#include "frame_package.h"
#include "render/frame.h"

struct edge {
    uint32_t parent, label;
};

struct label_kind {
    uint32_t package;
    bool synthetic;
};

struct pst_tree {
    struct pst_tree_options options;
    struct pst_intern *labels;
    struct label_kind *kinds; /* by label */
    size_t kind_cap;
    struct pst_map *edges; /* struct edge -> node */
    struct pst_tree_node *nodes;
    uint32_t count, cap;
};

static int add_node(struct pst_tree *tree, uint32_t parent, uint32_t label, uint32_t *ret)
{
    struct pst_tree_node *node;

    if (tree->count == tree->cap) {
        uint32_t cap = tree->cap ? tree->cap * 2 : 64;
        struct pst_tree_node *grown = realloc(tree->nodes, cap * sizeof(*grown));

        if (!grown)
            return -ENOMEM;
        tree->nodes = grown;
        tree->cap = cap;
    }
    node = &tree->nodes[tree->count];
    *node = (struct pst_tree_node){
        .label = pst_intern_get(tree->labels, label),
        .synthetic = tree->kinds[label].synthetic,
        .package = tree->kinds[label].package,
        .parent = parent,
        .depth = tree->count ? tree->nodes[parent].depth + 1 : 0,
    };
    *ret = tree->count++;
    return 0;
}

static uint32_t hash_text(struct pst_str text)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ (uint8_t)text.ptr[i]) * 16777619u;
    return hash;
}

/* The id of a label; what its first use says of its kind stays. */
static int label_id(struct pst_tree *tree, struct pst_str text, struct pst_str file, bool synthetic,
                    uint32_t *ret)
{
    uint32_t before = pst_intern_count(tree->labels);
    int rc = pst_intern_add(tree->labels, text.ptr, text.len, ret);

    if (rc < 0 || *ret < before)
        return rc == -ENOSPC ? -ENOMEM : rc;
    if (*ret >= tree->kind_cap) {
        size_t cap = tree->kind_cap ? tree->kind_cap * 2 : 64;
        struct label_kind *grown = realloc(tree->kinds, cap * sizeof(*grown));

        if (!grown)
            return -ENOMEM;
        tree->kinds = grown;
        tree->kind_cap = cap;
    }
    tree->kinds[*ret] = (struct label_kind){hash_text(pst_frame_package(file)), synthetic};
    return 0;
}

struct pst_tree *pst_tree_new(const struct pst_tree_options *options)
{
    struct pst_tree *tree = calloc(1, sizeof(*tree));
    uint32_t id;

    if (!tree)
        return NULL;
    tree->options = *options;
    tree->labels = pst_intern_new(PST_MAX_PPROF_STRINGS, PST_MAX_PPROF_BYTES);
    tree->edges = pst_map_new(sizeof(struct edge), sizeof(uint32_t), PST_MAX_TREE_NODES);
    if (!tree->labels || !tree->edges ||
        label_id(tree, PST_STR("all"), PST_STR(""), true, &id) < 0 ||
        add_node(tree, PST_TREE_ROOT, id, &id) < 0)
        return pst_tree_free(tree);
    return tree;
}

struct pst_tree *pst_tree_free(struct pst_tree *tree)
{
    if (tree) {
        pst_intern_free(tree->labels);
        pst_map_free(tree->edges);
        free(tree->kinds);
        free(tree->nodes);
    }
    free(tree);
    return NULL;
}

/* The child of that label, made when it is new; the parent itself when the tree is full. */
static int descend(struct pst_tree *tree, uint32_t label, uint32_t *node, bool *ret_full)
{
    struct edge edge = {*node, label};
    const uint32_t *known = pst_map_get(tree->edges, &edge);
    uint32_t child;
    void *value;
    int rc;

    if (known) {
        *node = *known;
        return 0;
    }
    *ret_full = tree->count >= PST_MAX_TREE_NODES;
    if (*ret_full)
        return 0;
    rc = add_node(tree, *node, label, &child);
    if (rc == 0)
        rc = pst_map_put(tree->edges, &edge, &value, NULL);
    if (rc < 0)
        return rc;
    *(uint32_t *)value = child;
    *node = child;
    return 0;
}

/* Labels of one profile's locations, made when first needed. */
struct feed {
    struct pst_tree *tree;
    const struct pst_profile *profile;
    uint32_t *labels;
    struct pst_buf text;
    int side;
};

static int location_label(struct feed *feed, uint32_t location, uint32_t *ret)
{
    const struct pst_function *function;
    struct pst_str file;
    uint32_t id;
    int64_t line;
    int rc;

    *ret = feed->labels[location];
    if (*ret != UINT32_MAX)
        return 0;
    pst_profile_location_at(feed->profile, location, &id, &line);
    function = pst_profile_function_at(feed->profile, id);
    file = pst_profile_text(feed->profile, function->filename);
    pst_buf_reset(&feed->text);
    rc = pst_frame_label(feed->profile, location, feed->tree->options.frame_flags,
                         feed->tree->options.files, &feed->text);
    if (rc == 0)
        rc = label_id(feed->tree, pst_buf_view(&feed->text), file, !file.len, ret);
    if (rc == 0)
        feed->labels[location] = *ret;
    return rc;
}

static const struct pst_label *
label_named(const struct feed *feed, const struct pst_profile_sample *sample, const char *name)
{
    for (size_t i = 0; i < sample->label_count; i++)
        if (pst_str_eq(pst_profile_text(feed->profile, sample->labels[i].key), pst_str(name)))
            return &sample->labels[i];
    return NULL;
}

static int descend_text(struct feed *feed, uint32_t *node)
{
    bool full;
    uint32_t id;
    int rc = label_id(feed->tree, pst_buf_view(&feed->text), PST_STR(""), true, &id);

    return rc < 0 ? rc : descend(feed->tree, id, node, &full);
}

/* `process PID:"COMMAND"`, as far as known. */
static int process_text(struct feed *feed, int64_t pid)
{
    const struct pst_tree_options *options = &feed->tree->options;
    struct pst_str command;
    int rc = pst_buf_printf(&feed->text, "process %lld", (long long)pid);

    if (rc < 0 || !options->command || !options->command(options->command_context, pid, &command))
        return rc;
    rc = pst_buf_puts(&feed->text, ":\"");
    if (rc == 0)
        rc = pst_buf_utf8(&feed->text, command);
    return rc < 0 ? rc : pst_buf_puts(&feed->text, "\"");
}

/* Children stand under their parents. */
static int descend_processes(struct feed *feed, int64_t pid, uint32_t *node)
{
    enum { GENERATIONS = 32 };
    const struct pst_tree_options *options = &feed->tree->options;
    int64_t line[GENERATIONS];
    size_t count = 0;
    int rc = 0;

    while (pid && count < GENERATIONS) {
        line[count++] = pid;
        pid = options->parent ? options->parent(options->command_context, pid) : 0;
    }
    while (count > 0 && rc == 0) {
        pst_buf_reset(&feed->text);
        rc = process_text(feed, line[--count]);
        if (rc == 0)
            rc = descend_text(feed, node);
    }
    return rc;
}

/* `process PID` and `thread (TID): NAME`, as far as the sample's labels say. */
static int descend_roots(struct feed *feed, const struct pst_profile_sample *sample, uint32_t *node)
{
    const struct pst_label *pid = label_named(feed, sample, "pid");
    const struct pst_label *tid = label_named(feed, sample, "thread_id");
    const struct pst_label *name = label_named(feed, sample, "thread_name");
    int rc = 0;

    if (feed->tree->options.processes && pid && pid->numeric)
        rc = descend_processes(feed, pid->num, node);
    if (rc < 0 || !feed->tree->options.threads || (!tid && !name))
        return rc;
    pst_buf_reset(&feed->text);
    rc = pst_frame_thread(tid && tid->numeric ? tid->num : 0,
                          name && !name->numeric ? pst_profile_text(feed->profile, name->str)
                                                 : PST_STR(""),
                          &feed->text);
    return rc < 0 ? rc : descend_text(feed, node);
}

static int feed_sample(struct feed *feed, uint32_t index)
{
    struct pst_profile_sample sample;
    uint32_t node = PST_TREE_ROOT, label;
    int64_t weight, *self;
    bool full = false;
    int rc;

    pst_profile_sample(feed->profile, index, &sample);
    rc = descend_roots(feed, &sample, &node);
    for (size_t i = sample.depth; i > 0 && rc == 0 && !full; i--) {
        rc = location_label(feed, sample.locations[i - 1], &label);
        if (rc == 0)
            rc = descend(feed->tree, label, &node, &full);
    }
    if (rc < 0)
        return rc;
    weight = feed->tree->options.weight == PST_WEIGHT_TIME ? sample.value_ns : sample.samples;
    self = &feed->tree->nodes[node].self[feed->side];
    if (__builtin_add_overflow(*self, weight, self))
        *self = INT64_MAX;
    return 0;
}

int pst_tree_add(struct pst_tree *tree, const struct pst_profile *profile, int side)
{
    size_t count = (size_t)pst_profile_location_count(profile) + 1;
    pst_autofree uint32_t *labels = malloc(count * sizeof(*labels));
    struct feed feed = {.tree = tree, .profile = profile, .labels = labels, .side = side};
    int rc = 0;

    if (!labels)
        return -ENOMEM;
    memset(labels, 0xff, count * sizeof(*labels));
    pst_buf_init(&feed.text, 4UL * PST_MAX_STRING_BYTES);
    for (uint32_t i = 0; i < pst_profile_sample_count(profile) && rc == 0; i++)
        rc = feed_sample(&feed, i);
    pst_buf_done(&feed.text);
    return rc;
}

static int64_t add_saturated(int64_t a, int64_t b)
{
    int64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

static int by_weight(const void *left, const void *right, void *context)
{
    const struct pst_tree *tree = context;
    const struct pst_tree_node *a = &tree->nodes[*(const uint32_t *)left];
    const struct pst_tree_node *b = &tree->nodes[*(const uint32_t *)right];
    int64_t heavy_a = add_saturated(a->total[0], a->total[1]);
    int64_t heavy_b = add_saturated(b->total[0], b->total[1]);
    size_t shorter = a->label.len < b->label.len ? a->label.len : b->label.len;
    int order;

    if (heavy_a != heavy_b)
        return heavy_a < heavy_b ? -1 : 1;
    order = memcmp(b->label.ptr, a->label.ptr, shorter);
    return order ? order : (a->label.len < b->label.len) - (a->label.len > b->label.len);
}

int pst_tree_finish(struct pst_tree *tree)
{
    pst_autofree uint32_t *order = malloc(tree->count * sizeof(*order));

    if (!order)
        return -ENOMEM;
    for (uint32_t i = tree->count; i-- > 0;) {
        struct pst_tree_node *node = &tree->nodes[i];

        for (int side = 0; side < 2; side++) {
            int64_t *up = &tree->nodes[node->parent].total[side];

            node->total[side] = add_saturated(node->total[side], node->self[side]);
            if (i != PST_TREE_ROOT)
                *up = add_saturated(*up, node->total[side]);
        }
        order[i] = i;
    }
    /* Lightest first, each then pushed to the front of its parent's list. */
    qsort_r(order, tree->count, sizeof(*order), by_weight, tree);
    for (uint32_t i = 0; i < tree->count; i++) {
        struct pst_tree_node *node = &tree->nodes[order[i]];
        struct pst_tree_node *parent = &tree->nodes[node->parent];

        if (order[i] == PST_TREE_ROOT)
            continue;
        node->next = parent->first_child;
        parent->first_child = order[i];
    }
    return 0;
}

uint32_t pst_tree_count(const struct pst_tree *tree)
{
    return tree->count;
}

const struct pst_tree_node *pst_tree_at(const struct pst_tree *tree, uint32_t node)
{
    return &tree->nodes[node];
}

enum pst_weight pst_tree_weight(const struct pst_tree *tree)
{
    return tree->options.weight;
}
