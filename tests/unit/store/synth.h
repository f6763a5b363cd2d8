/* Profiles of a made-up web application, the same for the same seed: stacks that share roots, a few
 * dozen functions, Zipf-like weights. For tests of the store, the endpoint and its page. */
#ifndef PST_TESTS_SYNTH_H
#define PST_TESTS_SYNTH_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "profile/item.h"

struct synth_function {
    const char *name, *file;
    int line;
};
static const struct synth_function synth_roots[] = {
    {"<module>", "/srv/shop/app.py", 1},
    {"Arbiter.run", "/srv/shop/.venv/lib/python3.12/site-packages/gunicorn/arbiter.py", 198},
    {"Worker.init_process", "/srv/shop/.venv/lib/python3.12/site-packages/gunicorn/workers/base.py",
     87},
    {"ThreadWorker.run", "/srv/shop/.venv/lib/python3.12/site-packages/gunicorn/workers/gthread.py",
     187},
    {"Thread._bootstrap", "/usr/lib/python3.12/threading.py", 1014},
    {"ThreadPoolExecutor._worker", "/usr/lib/python3.12/concurrent/futures/thread.py", 69},
    {"Flask.wsgi_app", "/srv/shop/.venv/lib/python3.12/site-packages/flask/app.py", 1478},
    {"Flask.dispatch_request", "/srv/shop/.venv/lib/python3.12/site-packages/flask/app.py", 1441},
};
static const struct synth_function synth_leaves[] = {
    {"checkout", "/srv/shop/views/checkout.py", 31},
    {"price_basket", "/srv/shop/pricing.py", 12},
    {"apply_discounts", "/srv/shop/pricing.py", 58},
    {"Basket.total", "/srv/shop/models/basket.py", 77},
    {"search_catalogue", "/srv/shop/views/search.py", 20},
    {"rank_results", "/srv/shop/ranking.py", 9},
    {"tokenize", "/srv/shop/ranking.py", 41},
    {"render_template", "/srv/shop/.venv/lib/python3.12/site-packages/jinja2/environment.py", 1269},
    {"Serializer.dumps", "/srv/shop/serialize.py", 15},
    {"JSONEncoder.iterencode", "/usr/lib/python3.12/json/encoder.py", 203},
    {"Cursor.execute", "/srv/shop/.venv/lib/python3.12/site-packages/psycopg/cursor.py", 732},
    {"resize_image", "/srv/shop/images.py", 24},
    {"<listcomp>", "/srv/shop/pricing.py", 60},
    {"hash_password", "/srv/shop/accounts.py", 44},
};

static inline uint32_t synth_location(struct pst_profile *profile, const struct synth_function *f,
                                      int line_offset)
{
    struct pst_function function = {.start_line = f->line};
    uint32_t function_id = 0, location = 0;
    const char *dot = strrchr(f->name, '.');
    if (pst_profile_string(profile, pst_str(f->name), &function.name) < 0 ||
        pst_profile_string(profile, pst_str(dot ? dot + 1 : f->name), &function.system_name) < 0 ||
        pst_profile_string(profile, pst_str(f->file), &function.filename) < 0 ||
        pst_profile_function(profile, &function, &function_id) < 0 ||
        pst_profile_location(profile, function_id, f->line + line_offset, &location) < 0)
        abort();
    return location;
}

/* One stack: all roots, then a walk over leaves chosen by the seed. */
static inline void synth_stack(struct pst_profile *profile, struct pst_random *random,
                               int64_t samples, int64_t interval_ns)
{
    enum { ROOTS = sizeof(synth_roots) / sizeof(synth_roots[0]) };
    enum { LEAVES = sizeof(synth_leaves) / sizeof(synth_leaves[0]) };
    uint32_t frames[ROOTS + LEAVES], leaf_first[ROOTS + LEAVES];
    size_t depth = 0;
    for (size_t i = 0; i < ROOTS; i++)
        frames[depth++] = synth_location(profile, &synth_roots[i], 3);
    size_t at = (size_t)pst_random_below(random, 6),
           steps = 1 + (size_t)pst_random_below(random, 5);
    for (size_t i = 0; i < steps; i++) {
        frames[depth++] = synth_location(profile, &synth_leaves[at % LEAVES],
                                         1 + (int)pst_random_below(random, 4));
        at += 1 + (size_t)pst_random_below(random, 3);
    }
    for (size_t i = 0; i < depth; i++)
        leaf_first[i] = frames[depth - 1 - i];
    uint32_t key = 0, value = 0;
    char thread[32];
    (void)snprintf(thread, sizeof(thread), "worker-%d", (int)pst_random_below(random, 4));
    if (pst_profile_string(profile, PST_STR("thread_name"), &key) < 0 ||
        pst_profile_string(profile, pst_str(thread), &value) < 0)
        abort();
    struct pst_label label = {.key = key, .str = value};
    if (pst_profile_add(profile, leaf_first, depth, &label, 1, samples, samples * interval_ns) < 0)
        abort();
}

static inline struct pst_profile *synth_profile(enum pst_mode mode, uint64_t seed, size_t stacks,
                                                int64_t time_ns, int64_t duration_ns)
{
    struct pst_random random = {seed};
    struct pst_profile *profile = pst_profile_new(mode);
    if (!profile)
        abort();
    struct pst_profile_meta meta = {mode, time_ns, duration_ns, 52631578};
    pst_profile_set_meta(profile, &meta);
    for (size_t i = 0; i < stacks; i++)
        synth_stack(profile, &random, (int64_t)(1 + 40 / (i + 1)), 52631578);
    return profile;
}

static inline struct pst_labels *synth_labels(const char *service, const char *pod)
{
    struct pst_labels *labels = pst_labels_new();
    if (!labels || pst_labels_set(labels, PST_STR("service_name"), pst_str(service)) < 0 ||
        pst_labels_set(labels, PST_STR("pod"), pst_str(pod)) < 0)
        abort();
    return labels;
}

static inline struct pst_item *synth_item(const char *service, enum pst_mode mode, uint64_t seed,
                                          size_t stacks, int64_t time_ns, int64_t duration_ns)
{
    struct pst_profile *profile = synth_profile(mode, seed, stacks, time_ns, duration_ns);
    struct pst_labels *labels = synth_labels(service, "");
    struct pst_item *item = NULL;
    if (pst_item_new(labels, profile, &item) < 0)
        abort();
    pst_profile_free(profile);
    pst_labels_free(labels);
    return item;
}

#endif
