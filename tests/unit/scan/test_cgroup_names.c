/* Pods, units and neighbours by the text of /proc/PID/cgroup, by table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scan/cgroup_names.h"

#define ID        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define INNER     "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define UID       "7a3ee0e6-0d5a-4b7e-8d2f-c0ffee000001"
#define UID_      "7a3ee0e6_0d5a_4b7e_8d2f_c0ffee000001"
#define MIRROR    "0123456789abcdef0123456789abcdef"
#define POD_SCOPE "kubepods-besteffort-pod" UID_ ".slice/cri-containerd-" ID ".scope\n"

static const struct {
    const char *text, *uid, *unit;
    bool in_pod, sibling;
} rows[] = {
    {"0::/\n", "", "", false, false},
    {"4:memory:/kubepods/burstable/pod" UID "/" ID "\n", UID, "", true, false},
    {"4:memory:/kubepods/pod" MIRROR "/" ID "\n", MIRROR, "", true, false},
    {"0::/kubepods.slice/kubepods-besteffort.slice/" POD_SCOPE, UID, "", true, false},
    {"0::/kubepods.slice/kubepods-pod" UID_ ".slice/crio-" ID ".scope\n", UID, "", true, false},
    {"0::/system.slice/containerd.service/kubepods-pod" UID_ ".slice:cri-containerd:" ID "\n", UID,
     "", true, false},
    {"0::/system.slice/docker-" ID ".scope/kubelet.slice/kubelet-kubepods.slice/kubelet-" POD_SCOPE,
     UID, "", true, false},
    {"0::/../../" POD_SCOPE, UID, "", true, false},
    {"0::/../cri-containerd-" ID ".scope\n", "", "", false, true},
    {"5:cpu:/\n4:memory:/../" ID "\n", "", "", false, true},
    {"0::/docker/" ID "\n", "", "", false, false},
    {"0::/system.slice/nginx.service\n", "", "nginx.service", false, false},
    {"4:memory:/x.service\n1:name=systemd:/system.slice/uwsgi@shop.service\n0::/\n", "",
     "uwsgi@shop.service", false, false},
    {"0::/user.slice/user-1000.slice/user@1000.service/app.slice/jupyter.service\n", "",
     "jupyter.service", false, false},
    {"0::/user.slice/user-1000.slice/user@1000.service\n", "", "", false, false},
    {"0::/system.slice/docker-" ID ".scope/system.slice/x.service\n", "", "", false, false},
    {"0::/podcasts/pod" UID "x\n", "", "", false, false},
};

static void what_cgroups_are_called(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pst_str text = pst_str(rows[i].text);
        char dst[40];
        struct pst_str uid = pst_cgroup_pod_uid(text, dst, sizeof(dst));
        struct pst_str unit = pst_cgroup_unit(text);
        if (!pst_str_eq(uid, pst_str(rows[i].uid)) || !pst_str_eq(unit, pst_str(rows[i].unit)) ||
            pst_cgroup_in_pod(text) != rows[i].in_pod ||
            pst_cgroup_is_sibling(text) != rows[i].sibling)
            fail_msg("%s: uid %.*s, unit %.*s, in pod %d, sibling %d", rows[i].text, (int)uid.len,
                     uid.ptr, (int)unit.len, unit.ptr, pst_cgroup_in_pod(text),
                     pst_cgroup_is_sibling(text));
    }
}

static void the_kubelet_s_paths_in_mountinfo(void **state)
{
    static const struct {
        const char *text, *uid, *container;
    } mounts[] = {
        {"", "", ""},
        {"1 2 0:1 / / rw - overlay overlay rw\n", "", ""},
        {"1 2 8:1 /var/lib/kubelet/pods/" UID "/etc-hosts /etc/hosts rw - ext4 /dev/sda1 rw\n"
         "2 2 8:1 /var/lib/kubelet/pods/" UID
         "/containers/web/1a2b3c4d /dev/termination-log rw - ext4 /dev/sda1 rw\n",
         UID, "web"},
        {"1 2 8:1 /pods/" UID "/volumes/kubernetes.io~empty-dir/tmp /tmp rw - ext4 x rw\n", UID,
         ""},
        {"1 2 8:1 /srv/pods/none/containers/web/x /x rw - ext4 x rw\n", "", ""},
        {"1 2 8:1 / /pods/" UID "/containers/web/x rw - ext4 x rw\n", "", ""},
        {"1 2 8:1 /pods/" UID "/containers/ /x", UID, ""},
    };

    for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
        struct pst_str uid = {"", 0}, container = {"", 0};
        pst_mountinfo_pod(pst_str(mounts[i].text), &uid, &container);
        if (!pst_str_eq(uid, pst_str(mounts[i].uid)) ||
            !pst_str_eq(container, pst_str(mounts[i].container)))
            fail_msg("%s: uid %.*s, container %.*s", mounts[i].text, (int)uid.len, uid.ptr,
                     (int)container.len, container.ptr);
    }
}

static void the_pod_s_own_container_is_told_from_one_that_was_made_inside_of_it(void **state)
{
    static const struct {
        const char *text, *id;
    } paths[] = {
        {"4:memory:/kubepods/burstable/pod" UID "/" ID "\n", ID},
        {"4:memory:/kubepods/burstable/pod" UID "/" ID "/docker/" INNER "\n", ID},
        {"0::/../../" POD_SCOPE, ID},
        {"0::/kubepods.slice/kubepods-pod" UID_ ".slice/crio-" ID ".scope/container/docker/" INNER
         "\n",
         ID},
        {"0::/system.slice/containerd.service/kubepods-pod" UID_ ".slice:cri-containerd:" ID
         "/docker/" INNER "\n",
         ID},
        /* a cluster in a container of Docker's, and one in a pod */
        {"4:memory:/docker/" INNER "/kubelet/kubepods/burstable/pod" UID "/" ID "\n", ID},
        {"4:memory:/kubepods/pod" MIRROR "/" INNER "/kubelet/kubepods/pod" UID "/" ID "\n", ID},
        {"5:cpuset:/\n4:memory:/kubepods/pod" UID "/" ID "\n", ID},
        {"0::/kubepods/pod" UID "\n", ""},
        {"0::/docker/" ID "/docker/" INNER "\n", ""},
        {"0::/../cri-containerd-" ID ".scope\n", ""},
        {"", ""},
    };

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct pst_str id = pst_cgroup_pod_container(pst_str(paths[i].text));
        if (!pst_str_eq(id, pst_str(paths[i].id)))
            fail_msg("%s: container %.*s", paths[i].text, (int)id.len, id.ptr);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cgroups_are_called),
        cmocka_unit_test(the_kubelet_s_paths_in_mountinfo),
        cmocka_unit_test(the_pod_s_own_container_is_told_from_one_that_was_made_inside_of_it)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
