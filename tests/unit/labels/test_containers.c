/* How long a container's labels are waited for, asked for and kept, by a clock of the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/limits.h"
#include "containers.h"

#define AT(seconds) (1000 * PST_NS_PER_S + (uint64_t)((seconds)*1e9))

enum { NOBODY, CRI = 1U << PST_ENGINE_CRI, KUBERNETES = 1U << PST_ENGINE_KUBERNETES };

static struct pst_containers *containers;
static struct pst_container_key key, other;

static int begin(void **state)
{
    (void)pst_container_key_make(PST_STR("one"), &key);
    (void)pst_container_key_make(PST_STR("other"), &other);
    containers = pst_containers_new();
    return containers ? 0 : -1;
}

static int end(void **state)
{
    containers = pst_containers_free(containers);
    return 0;
}

static void ask(double seconds, int first, bool kubernetes, bool cri)
{
    struct pst_engines found = {0};

    assert_int_equal(pst_containers_get(containers, &key, AT(seconds), &found), first);
    assert_int_equal(found.of[PST_ENGINE_KUBERNETES] != NULL, kubernetes);
    assert_int_equal(found.of[PST_ENGINE_CRI] != NULL, cri);
    pst_engines_done(&found);
}

static void put(enum pst_engine engine, const struct pst_container_key *whose, double seconds,
                int news)
{
    struct pst_meta *meta = pst_meta_new();

    assert_int_equal(pst_containers_put(containers, engine, whose, meta, AT(seconds)), news);
    pst_meta_unref(meta);
}

static bool waits(unsigned present, double seconds)
{
    return pst_containers_wait(containers, &key, present, AT(seconds));
}

static size_t wanted(enum pst_engine engine, double seconds)
{
    struct pst_container_key ids[4];
    size_t cursor = 0;

    return pst_containers_wanted(containers, engine, AT(seconds), ids, 4, &cursor);
}

static void a_target_in_a_pod_waits_30_seconds_for_the_best_source_that_is_there(void **state)
{
    ask(0, 1, false, false);
    assert_false(waits(NOBODY, 0));
    assert_true(waits(CRI, 29.9));
    assert_true(waits(KUBERNETES, 29.9));
    assert_false(waits(KUBERNETES | CRI, 30));
    put(PST_ENGINE_CRI, &key, 1, 1);
    assert_true(waits(KUBERNETES | CRI, 2));
    assert_false(waits(CRI, 2));
    put(PST_ENGINE_KUBERNETES, &key, 3, 1);
    put(PST_ENGINE_KUBERNETES, &key, 4, 0); /* no news */
    assert_false(waits(KUBERNETES | CRI, 5));
    ask(60, 0, true, true); /* asking again begins no second wait */
    assert_false(waits(KUBERNETES | CRI, 60));
}

static void what_is_known_stays_five_minutes_after_its_last_sign(void **state)
{
    put(PST_ENGINE_KUBERNETES, &other, 0, 0);
    ask(0, 1, false, false);
    put(PST_ENGINE_KUBERNETES, &key, 10, 1);
    pst_containers_forget(containers, AT(299.9));
    assert_int_equal(pst_containers_count(containers), 2);
    pst_containers_forget(containers, AT(300)); /* the other was last listed at 0 */
    assert_int_equal(pst_containers_count(containers), 1);
    pst_containers_forget(containers, AT(309.9));
    ask(309.9, 0, true, false);
    pst_containers_forget(containers, AT(609.8));
    assert_int_equal(pst_containers_count(containers), 1);
    pst_containers_forget(containers, AT(609.9));
    assert_int_equal(pst_containers_count(containers), 0);
}

static int say(const char *name, const char *value, const char *second, const char *second_value)
{
    struct pst_meta *meta = pst_meta_new();

    assert_int_equal(pst_meta_set(meta, pst_str(name), pst_str(value)), 0);
    if (second)
        assert_int_equal(pst_meta_set(meta, pst_str(second), pst_str(second_value)), 0);
    int news = pst_containers_put(containers, PST_ENGINE_KUBERNETES, &key, meta, AT(1));
    pst_meta_unref(meta);
    return news;
}

static void expect(const char *name, const char *value)
{
    struct pst_engines found = {0};

    assert_int_equal(pst_containers_get(containers, &key, AT(2), &found), 0);
    struct pst_str text = pst_meta_get(found.of[PST_ENGINE_KUBERNETES], name);
    assert_true(pst_str_eq(text, pst_str(value)));
    pst_engines_done(&found);
}

#define HZ "__meta_kubernetes_pod_annotation_pystrobe_io_hz"
#define IP "__meta_kubernetes_pod_ip"

static void an_annotation_that_changes_is_news_and_what_is_not_said_again_stays(void **state)
{
    ask(0, 1, false, false);
    assert_int_equal(say(HZ, "19", IP, "10.1.2.3"), 1);
    assert_int_equal(say(IP, "10.1.2.3", HZ, "19"), 0); /* the same in another order */
    assert_int_equal(say(HZ, "97", IP, "10.1.2.3"), 1);
    expect(HZ, "97");
    assert_int_equal(say(HZ, "97", NULL, NULL), 0); /* as of a pod that ends */
    expect(IP, "10.1.2.3");
    assert_int_equal(say(IP, "10.1.2.3", NULL, NULL), 1);
    expect(HZ, "");
}

/* The table is full of what has gone, as after a night of short jobs. */
static void all_that_is_gone_is_forgotten_at_once(void **state)
{
    for (unsigned i = 0; i < PST_MAX_METADATA_CONTAINERS; i++) {
        struct pst_container_key one = {""};
        (void)snprintf(one.id, sizeof(one.id), "%u", i);
        put(PST_ENGINE_DOCKER, &one, 0, 0);
    }
    pst_containers_forget(containers, AT(299));
    assert_int_equal(pst_containers_count(containers), PST_MAX_METADATA_CONTAINERS);
    pst_containers_forget(containers, AT(300));
    assert_int_equal(pst_containers_count(containers), 0);
}

static void one_that_stays_unknown_is_asked_for_a_minute_after_the_first_answer(void **state)
{
    put(PST_ENGINE_KUBERNETES, &other, 0, 0); /* listed, but nobody asked */
    assert_int_equal(wanted(PST_ENGINE_CRI, 0), 0);
    ask(0, 1, false, false);
    assert_int_equal(wanted(PST_ENGINE_KUBERNETES, 0), 1);
    assert_int_equal(wanted(PST_ENGINE_CRI, 4000), 1); /* a socket that comes late */
    pst_containers_asked(containers, PST_ENGINE_KUBERNETES, &key, 1, AT(10));
    pst_containers_asked(containers, PST_ENGINE_KUBERNETES, &key, 1, AT(60));
    assert_int_equal(wanted(PST_ENGINE_KUBERNETES, 69.9), 1);
    assert_int_equal(wanted(PST_ENGINE_KUBERNETES, 70), 0);
    assert_int_equal(wanted(PST_ENGINE_CRI, 70), 1);
    put(PST_ENGINE_CRI, &key, 71, 1);
    assert_int_equal(wanted(PST_ENGINE_CRI, 72), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            an_annotation_that_changes_is_news_and_what_is_not_said_again_stays, begin, end),
        cmocka_unit_test_setup_teardown(
            a_target_in_a_pod_waits_30_seconds_for_the_best_source_that_is_there, begin, end),
        cmocka_unit_test_setup_teardown(what_is_known_stays_five_minutes_after_its_last_sign, begin,
                                        end),
        cmocka_unit_test_setup_teardown(all_that_is_gone_is_forgotten_at_once, begin, end),
        cmocka_unit_test_setup_teardown(
            one_that_stays_unknown_is_asked_for_a_minute_after_the_first_answer, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
