/* The system call filter of each role, from calls.def. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "native/native.h"
#include "sandbox.h"

enum { READERS = 1, DAEMON = 2, NATIVE = 4 };

struct call {
    int number; /* negative on architectures that do not have it */
    unsigned roles;
};

static const struct call calls[] = {
#define PST_CALL(name, roles) {SCMP_SYS(name), roles},
#include "calls.def"
#undef PST_CALL
};

static int allow(scmp_filter_ctx filter, int number)
{
    int status =
        number == __NR_SCMP_ERROR ? 0 : seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);

    /* A pseudo number: this architecture lacks the call. */
    return status == -EDOM || status == -EINVAL ? 0 : status;
}

static int allow_if(scmp_filter_ctx filter, int number, struct scmp_arg_cmp condition)
{
    return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, 1, &condition);
}

/* No bit of mask may be set in the argument. */
static struct scmp_arg_cmp without(unsigned argument, scmp_datum_t mask)
{
    return (struct scmp_arg_cmp){argument, SCMP_CMP_MASKED_EQ, mask, 0};
}

static struct scmp_arg_cmp equal(unsigned argument, scmp_datum_t value)
{
    return (struct scmp_arg_cmp){argument, SCMP_CMP_EQ, value, 0};
}

/* Files only for reading and never created, memory never executable, signals only to ask whether
 * someone is there. abort() signals the own process. */
static int reader_conditions(scmp_filter_ctx filter)
{
    const scmp_datum_t writing =
        O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND | 020000000 /* __O_TMPFILE */;
    int status = allow_if(filter, SCMP_SYS(openat), without(2, writing));

    if (status == 0)
        status = allow_if(filter, SCMP_SYS(open), without(1, writing));
    if (status == 0)
        status = allow_if(filter, SCMP_SYS(mmap), without(2, PROT_EXEC));
    if (status == 0)
        status = allow_if(filter, SCMP_SYS(mprotect), without(2, PROT_EXEC));
    if (status == 0)
        status = allow_if(filter, SCMP_SYS(kill), equal(1, 0));
    if (status == 0)
        status = allow_if(filter, SCMP_SYS(pidfd_send_signal), equal(1, 0));
    return status;
}

/* Threads but no processes. clone3 keeps its flags in memory that no filter sees: it answers ENOSYS
 * and glibc falls back on clone. */
static int thread_conditions(scmp_filter_ctx filter)
{
    struct scmp_arg_cmp thread = {0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD};

    return allow_if(filter, SCMP_SYS(clone), thread);
}

/* One value for one register: a wait that was interrupted ends with EINTR (seize.h). */
static int ending_condition(scmp_filter_ctx filter)
{
#if defined(__x86_64__)
    const struct scmp_arg_cmp conditions[] = {
        equal(0, PTRACE_POKEUSER), equal(2, PST_RESULT_REGISTER), equal(3, (scmp_datum_t)-EINTR)};

    return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(ptrace),
                                  PST_ARRAY_SIZE(conditions), conditions);
#else
    (void)filter;
    return 0;
#endif
}

/* Stopping, looking and letting go: nothing that writes what it chooses. */
static int tracing_conditions(scmp_filter_ctx filter)
{
    static const scmp_datum_t requests[] = {PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_GETREGSET,
                                            PTRACE_GETSIGINFO, PTRACE_DETACH};
    int status = 0;

    for (size_t i = 0; i < PST_ARRAY_SIZE(requests) && status == 0; i++)
        status = allow_if(filter, SCMP_SYS(ptrace), equal(0, requests[i]));
    return status == 0 ? ending_condition(filter) : status;
}

static int any_role_conditions(scmp_filter_ctx filter)
{
    int status = allow_if(filter, SCMP_SYS(tgkill), equal(0, (scmp_datum_t)getpid()));

    if (status == 0)
        status = allow_if(filter, SCMP_SYS(prctl), equal(0, PR_SET_NAME));
    return status;
}

static int add_rules(scmp_filter_ctx filter, enum pst_role role, bool native)
{
    unsigned mine = role == PST_ROLE_DAEMON ? DAEMON : native ? READERS | NATIVE : READERS;
    int status = 0;

    for (size_t i = 0; i < PST_ARRAY_SIZE(calls) && status == 0; i++)
        if (role == PST_ROLE_SUPERVISOR || (calls[i].roles & mine))
            status = allow(filter, calls[i].number);
    if (status == 0 && (native || role == PST_ROLE_SUPERVISOR))
        status = tracing_conditions(filter);
    if (status < 0 || role == PST_ROLE_SUPERVISOR)
        return status;
    status = any_role_conditions(filter);
    if (status == 0)
        status = role == PST_ROLE_DAEMON ? thread_conditions(filter) : reader_conditions(filter);
    /* The thread that traces is made when it is needed, and again when it had to end. */
    if (status == 0 && native)
        status = thread_conditions(filter);
    return status;
}

static void filter_done(scmp_filter_ctx *filter)
{
    if (*filter)
        seccomp_release(*filter);
}

int pst_sandbox_filter(enum pst_role role, bool native)
{
#ifdef PST_SANITIZED
    const uint32_t otherwise = SCMP_ACT_LOG;
#else
    const uint32_t otherwise = SCMP_ACT_ERRNO(ENOSYS);
#endif
    pst_auto(filter_done) scmp_filter_ctx filter = seccomp_init(otherwise);

    if (!filter)
        return -ENOMEM;
    int status = add_rules(filter, role, native);
    if (status == 0)
        status = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    /* A tree instead of a list: not one comparison for each row before the frequent ones. */
    if (status == 0)
        (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    return status == 0 ? seccomp_load(filter) : status;
}
