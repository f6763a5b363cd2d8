/* The downward API's variables of the agent, for processes of its own pod (a sidecar) alone; what
 * they say of the node holds for every process. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/io.h"
#include "label_source.h"
#include "scan/cgroup_names.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char own_uid[40];

static void find_own_uid(void)
{
    const char *named = getenv("POD_UID");
    struct pst_buf text;

    if (named && named[0]) {
        (void)snprintf(own_uid, sizeof(own_uid), "%s", named);
        return;
    }
    pst_buf_init(&text, 65536);
    if (pst_io_read_file(AT_FDCWD, "/proc/self/cgroup", &text, false) == 0) {
        struct pst_str uid = pst_cgroup_pod_uid(pst_buf_view(&text), own_uid, sizeof(own_uid) - 1);
        own_uid[uid.len] = '\0';
    }
    pst_buf_done(&text);
}

bool pst_label_in_own_pod(const struct pst_facts *facts)
{
    char uid[40];
    struct pst_str theirs = facts->pod_uid;

    if (theirs.len == 0)
        theirs = pst_cgroup_pod_uid(facts->cgroup, uid, sizeof(uid));

    (void)pthread_once(&once, find_own_uid);
    if (own_uid[0] && pst_str_eq(theirs, pst_str(own_uid)))
        return true;
    /* From inside a private cgroup namespace a container of the same pod is one step away. */
    return !own_uid[0] && pst_cgroup_is_sibling(facts->cgroup);
}

static void from(struct pst_labelling *labelling, const char *label, const char *name)
{
    const char *value = getenv(name);

    if (value)
        pst_label_series(labelling, label, pst_str(value), name);
}

void pst_label_source_own_pod(struct pst_labelling *labelling)
{
    if (pst_label_in_own_pod(labelling->facts)) {
        pst_label_meta(labelling, "__meta_pystrobe_own_pod", PST_STR("true"));
        from(labelling, "namespace", "POD_NAMESPACE");
        from(labelling, "pod", "POD_NAME");
    }
    from(labelling, "node", "NODE_NAME");
}
