/* Profiles that several tests build alike. */
#ifndef PST_TEST_SAMPLE_PROFILES_H
#define PST_TEST_SAMPLE_PROFILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "profile/profile.h"

static inline uint32_t text_of(struct pst_profile *p, const char *text)
{
    uint32_t id;

    assert_int_equal(pst_profile_string(p, pst_str(text), &id), 0);
    return id;
}

static inline uint32_t frame_of(struct pst_profile *p, const char *name, const char *file,
                                int64_t line)
{
    struct pst_function function = {.name = text_of(p, name),
                                    .system_name = text_of(p, name),
                                    .filename = text_of(p, file),
                                    .start_line = line - line % 10};
    uint32_t id, location;

    assert_int_equal(pst_profile_function(p, &function, &id), 0);
    assert_int_equal(pst_profile_location(p, id, line, &location), 0);
    return location;
}

/* main -> work -> hot|cold, two thread names, a numeric label. */
static inline struct pst_profile *small_profile(enum pst_mode mode)
{
    struct pst_profile *p = pst_profile_new(mode);
    struct pst_profile_meta meta = {
        .time_ns = 1700000000000000000, .duration_ns = 15000000000, .period_ns = 52631578};
    uint32_t hot[3], cold[3];
    struct pst_label labels[2];

    assert_non_null(p);
    memset(labels, 0, sizeof(labels));
    pst_profile_set_meta(p, &meta);
    hot[2] = cold[2] = frame_of(p, "<module>", "/srv/app/main.py", 12);
    hot[1] = cold[1] = frame_of(p, "Worker.work", "/srv/app/work.py", 40);
    hot[0] = frame_of(p, "Worker.hot", "/srv/app/work.py", 55);
    cold[0] = frame_of(p, "Worker.cold", "/srv/app/work.py", 71);
    labels[0] =
        (struct pst_label){.key = text_of(p, "thread_name"), .str = text_of(p, "MainThread")};
    labels[1] = (struct pst_label){
        .key = text_of(p, "thread_id"), .numeric = true, .num = 4711, .unit = text_of(p, "id")};
    assert_int_equal(pst_profile_add(p, hot, 3, labels, 2, 70, 700), 0);
    labels[0].str = text_of(p, "worker-1");
    assert_int_equal(pst_profile_add(p, hot, 3, labels, 2, 10, 100), 0);
    assert_int_equal(pst_profile_add(p, cold, 3, labels, 2, 20, 200), 0);
    assert_int_equal(pst_profile_add_comment(p, PST_STR("pystrobe test")), 0);
    return p;
}

/* Random stacks over a small alphabet, so that equal ones meet often. */
static inline struct pst_profile *random_profile(struct pst_random *random, unsigned adds)
{
    struct pst_profile *p = pst_profile_new(PST_MODE_CPU);
    char name[32], file[32];

    assert_non_null(p);
    for (unsigned i = 0; i < adds; i++) {
        uint32_t stack[6];
        struct pst_label labels[2];
        size_t depth = 1 + pst_random_below(random, 6), count = pst_random_below(random, 3);

        memset(labels, 0, sizeof(labels));
        for (size_t at = 0; at < depth; at++) {
            (void)snprintf(name, sizeof(name), "f%u", (unsigned)pst_random_below(random, 5));
            (void)snprintf(file, sizeof(file), "/m%u.py", (unsigned)pst_random_below(random, 2));
            stack[at] = frame_of(p, name, file, (int64_t)pst_random_below(random, 3));
        }
        for (size_t at = 0; at < count; at++) {
            (void)snprintf(name, sizeof(name), "k%u", (unsigned)pst_random_below(random, 3));
            labels[at].key = text_of(p, name);
            (void)snprintf(name, sizeof(name), "v%u", (unsigned)pst_random_below(random, 2));
            labels[at].str = text_of(p, name);
        }
        assert_int_equal(pst_profile_add(p, stack, depth, labels, count,
                                         (int64_t)pst_random_below(random, 4),
                                         (int64_t)pst_random_below(random, 1000)),
                         0);
    }
    return p;
}

#endif
