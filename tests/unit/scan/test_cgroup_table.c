/* Every engine and driver under every version of cgroups, as the host and as another container sees
 * it: the innermost container, its pod. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cgroup.h"
#include "scan/cgroup_names.h"

#define INNERMOST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct {
    const char *engine, *driver, *from_host, *from_inside, *uid;
} paths[] = {
#define CGROUP_PATH(engine, driver, from_host, from_inside, uid)                                   \
    {engine, driver, from_host, from_inside, uid},
#include "cgroup_paths.def"
#undef CGROUP_PATH
};

/* The path stands for @. Of a hybrid only systemd's own tree and the controllers are the engine's;
 * the unified one stays where the runtime's service is, or has the path too. */
static const struct {
    const char *version, *text;
} versions[] = {
    {"v1", "12:pids:@\n9:cpu,cpuacct:@\n4:memory:@\n1:name=systemd:@\n"},
    {"v2", "0::@\n"},
    {"hybrid",
     "4:memory:@\n3:cpu,cpuacct:@\n1:name=systemd:@\n0::/system.slice/containerd.service\n"},
    {"hybrid, unified too", "4:memory:@\n1:name=systemd:@\n0::@\n"},
    {"hybrid, seen from inside",
     "4:memory:@\n1:name=systemd:@\n0::/../../system.slice/x.service\n"},
    {"v1, one controller alone", "5:cpuset:/\n4:memory:@\n1:name=systemd:/\n"},
};

static void fill(const char *text, const char *path, char *dst, size_t size)
{
    size_t used = 0;

    dst[0] = '\0';
    for (; *text && used + 1 < size; text++)
        used += (size_t)snprintf(dst + used, size - used, *text == '@' ? "%s" : "%.1s",
                                 *text == '@' ? path : text);
}

static void check(const char *name, const char *view, const char *version, const char *text,
                  const char *uid)
{
    struct pst_str id = {"", 0};
    char dst[40];

    bool found = pst_cgroup_container(pst_str(text), &id);
    struct pst_str pod = pst_cgroup_pod_uid(pst_str(text), dst, sizeof(dst));
    if (!found || !pst_str_eq(id, PST_STR(INNERMOST)))
        fail_msg("%s, %s, from the %s: container \"%.*s\" of\n%s", name, version, view, (int)id.len,
                 id.ptr, text);
    /* from beside it in the same pod the UID is not to be seen */
    bool hidden = strcmp(view, "inside") == 0 && !strstr(text, "pod7a3ee0e6");
    if (!pst_str_eq(pod, hidden ? PST_STR("") : pst_str(uid)))
        fail_msg("%s, %s, from the %s: pod \"%.*s\" of\n%s", name, version, view, (int)pod.len,
                 pod.ptr, text);
    if (!hidden && pst_cgroup_in_pod(pst_str(text)) != (*uid != '\0'))
        fail_msg("%s, %s, from the %s: in a pod or not? %s", name, version, view, text);
}

static void
the_innermost_container_is_found_under_every_version_driver_engine_and_view(void **state)
{
    char text[4096], name[128];

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        (void)snprintf(name, sizeof(name), "%s, %s", paths[i].engine, paths[i].driver);
        for (size_t j = 0; j < sizeof(versions) / sizeof(versions[0]); j++) {
            fill(versions[j].text, paths[i].from_host, text, sizeof(text));
            check(name, "host", versions[j].version, text, paths[i].uid);
            fill(versions[j].text, paths[i].from_inside, text, sizeof(text));
            check(name, "inside", versions[j].version, text, paths[i].uid);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            the_innermost_container_is_found_under_every_version_driver_engine_and_view),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
