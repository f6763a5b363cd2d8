/* Sheds privileges by role. The lists of system calls are in calls.def, the filter in filter.c. */
#include "sandbox.h"

#include <errno.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/cleanup.h"

/* Readers keep a pidfd and a few files per target; the daemon connections and the store. */
static const rlim_t max_open_files[PST_ROLE_COUNT] = {
    [PST_ROLE_SUPERVISOR] = 256,
    [PST_ROLE_SCAN] = 16384,
    [PST_ROLE_SAMPLE] = 16384,
    [PST_ROLE_DAEMON] = 4096,
};

static int lower_limit(__rlimit_resource_t resource, rlim_t most)
{
    struct rlimit limit;

    if (getrlimit(resource, &limit) < 0)
        return -errno;
    if (limit.rlim_max > most)
        limit.rlim_max = most;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(resource, &limit) < 0 ? -errno : 0;
}

/* The supervisor's hard limit is what the roles that it starts can have at most: it stays. */
static int limit_files(enum pst_role role)
{
    struct rlimit limit;

    if (role != PST_ROLE_SUPERVISOR)
        return lower_limit(RLIMIT_NOFILE, max_open_files[role]);
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return -errno;
    if (limit.rlim_cur > max_open_files[role])
        limit.rlim_cur = max_open_files[role];
    return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}

static bool keeps(enum pst_role role, bool with_program, cap_value_t value)
{
    switch (role) {
    case PST_ROLE_SCAN:
    case PST_ROLE_SAMPLE:
        return value == CAP_SYS_PTRACE;
    case PST_ROLE_SUPERVISOR:
        return value == CAP_SYS_PTRACE || value == CAP_SYS_NICE ||
               (with_program && value == CAP_KILL);
    case PST_ROLE_DAEMON:
    case PST_ROLE_COUNT:
        break;
    }
    return false;
}

static void cap_done(cap_t *caps)
{
    if (*caps)
        (void)cap_free(*caps);
}

/* Ambient and bounding sets first: shrinking the bounding set takes CAP_SETPCAP, which goes with
 * the rest. */
static int drop_capabilities(enum pst_role role, bool with_program)
{
    pst_auto(cap_done) cap_t had = cap_get_proc(), caps = cap_init();

    if (!had || !caps)
        return -ENOMEM;
    if (role != PST_ROLE_SUPERVISOR)
        (void)cap_reset_ambient();
    for (cap_value_t value = 0; value < cap_max_bits(); value++) {
        cap_flag_value_t permitted = CAP_CLEAR;
        if (!keeps(role, with_program, value)) {
            (void)cap_drop_bound(value);
            continue;
        }
        if (cap_get_flag(had, value, CAP_PERMITTED, &permitted) < 0 || permitted != CAP_SET)
            continue;
        if (cap_set_flag(caps, CAP_PERMITTED, 1, &value, CAP_SET) < 0 ||
            cap_set_flag(caps, CAP_EFFECTIVE, 1, &value, CAP_SET) < 0)
            return -errno;
    }
    return cap_set_proc(caps) < 0 ? -errno : 0;
}

int pst_sandbox_drop(enum pst_role role, bool with_program)
{
    int status = lower_limit(RLIMIT_CORE, 0);

    if (status == 0)
        status = limit_files(role);
    if (status == 0)
        status = drop_capabilities(role, with_program);
    if (status == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        status = -errno;
    if (status == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        status = -errno;
    return status;
}
