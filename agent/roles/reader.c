/* Start and end of a reader, whichever it is. */
#include "reader.h"

#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "sandbox.h"

#define SLICE_NS (100 * 1000)

/* struct sched_attr of the kernel, which glibc has only from 2.41 on and whose own header collides
 * with sched.h. */
struct slice {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns, deadline_ns, period_ns;
};

void pst_reader_wake_on_time(void)
{
    struct sched_param fifo = {.sched_priority = 1};
    struct slice slice = {
        .size = sizeof(slice),
        .policy = SCHED_OTHER,
        .runtime_ns = SLICE_NS,
    };

    /* Threads started from here on must not inherit it: only sampling is worth a priority. */
    if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &fifo) == 0)
        return;
    (void)syscall(SYS_sched_setattr, 0, &slice, 0);
}

void pst_reader_restrict(enum pst_role role, bool native)
{
    int status = pst_sandbox_filter(role, native);

    if (status < 0)
        pst_log_warn("no_seccomp", "system calls are not restricted: %s", strerror(-status));
}

void pst_reader_ready(enum pst_role role)
{
    struct pst_control record = {.kind = PST_CONTROL_READY, .role = role};

    (void)pst_control_send(PST_FD_CONTROL, &record);
}

void pst_reader_skips(void (*take)(void *context, const struct pst_control *record), void *context)
{
    struct pst_control record;

    while (pst_control_receive(PST_FD_CONTROL, &record) == 0)
        if (record.kind == PST_CONTROL_SKIP)
            take(context, &record);
}

void pst_reader_stalled(enum pst_role role, uint64_t value, uint64_t extra)
{
    struct pst_control record = {PST_CONTROL_STALLED, role, value, extra};

    (void)pst_control_send(PST_FD_CONTROL, &record);
    for (;;)
        (void)pause();
}
