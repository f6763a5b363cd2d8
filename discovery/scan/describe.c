/* Facts of one process, gathered once per identity. Everything is read first and counts only when
 * the process still is the one it was before. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/limits.h"
#include "cgroup.h"
#include "detect.h"
#include "environ.h"
#include "scan/cgroup_names.h"
#include "scan_internal.h"
#include "target/tids.h"

enum {
    LINK_BYTES = 4096,
    STATUS_BYTES = 8192,
    FIRST_RETRY_MS = 50,
    LAST_RETRY_MS = 10000,
    ENVIRON_TRIES = 4,
};

/* Scratch for one description; far too large for a stack. */
struct texts {
    char exe[LINK_BYTES], cwd[LINK_BYTES];
    struct pst_buf cgroup, mountinfo, argv, env;
};

static struct texts *texts_new(void)
{
    struct texts *texts = calloc(1, sizeof(*texts));

    if (!texts)
        return NULL;
    pst_buf_init(&texts->cgroup, PST_MAX_PROC_TEXT_BYTES);
    pst_buf_init(&texts->mountinfo, PST_MAX_PROC_TEXT_BYTES);
    pst_buf_init(&texts->argv, PST_MAX_CMDLINE_BYTES);
    pst_buf_init(&texts->env, PST_MAX_ENVIRON_BYTES);
    return texts;
}

static void texts_free(struct texts **texts)
{
    if (*texts) {
        pst_buf_done(&(*texts)->cgroup);
        pst_buf_done(&(*texts)->mountinfo);
        pst_buf_done(&(*texts)->argv);
        pst_buf_done(&(*texts)->env);
    }
    free(*texts);
}

struct target *pst_target_free(struct target *target)
{
    if (target) {
        pst_facts_free(target->facts);
        pst_memory_free(target->memory);
        pst_procref_done(&target->ref);
    }
    free(target);
    return NULL;
}

int pst_target_set(struct target *target, const struct pst_facts *facts)
{
    struct pst_facts *copy = pst_facts_copy(facts);

    if (!copy)
        return -ENOMEM;
    pst_facts_free(target->facts);
    target->facts = copy;
    target->changed = true;
    return 0;
}

int pst_target_state(struct target *target, enum pst_target_state state, const char *reason)
{
    struct pst_facts facts = *target->facts;

    if (facts.state == state && pst_str_eq(facts.reason, pst_str(reason)))
        return 0;
    facts.state = state;
    facts.reason = pst_str(reason);
    return pst_target_set(target, &facts);
}

static void read_text(pid_t pid, const char *name, struct pst_buf *out)
{
    enum { STEP = 4096 };
    pst_autofd int fd = pst_procfs_open(pid, name);

    while (fd >= 0 && out->len + STEP < out->max && pst_buf_reserve(out, STEP) == 0) {
        ssize_t got = read(fd, out->data + out->len, STEP);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return;
        out->len += (size_t)got;
    }
}

static struct pst_str link_text(pid_t pid, const char *name, char *dst, size_t size)
{
    ssize_t len = pst_procfs_link(pid, name, dst, size);

    return len > 0 ? (struct pst_str){dst, (size_t)len} : (struct pst_str){"", 0};
}

/* Title rewriters fill the rest of the block with blanks. */
static struct pst_str without_padding(struct pst_str text)
{
    while (text.len > 0 && text.ptr[text.len - 1] == ' ')
        text.len--;
    return text;
}

static void describe_status(pid_t pid, struct pst_facts *facts)
{
    char text[STATUS_BYTES];
    ssize_t len = pst_procfs_read(pid, "status", text, sizeof(text));

    facts->own_pid = pid;
    facts->uid = (uid_t)-1;
    if (len < 0)
        return;
    (void)pst_status_own_id(text, (size_t)len, &facts->own_pid);
    (void)pst_status_uid(text, (size_t)len, &facts->uid);
}

/* What may differ between a parent and its forked child. */
static void describe_process(struct pst_scan *scan, const struct pst_procref *ref,
                             const struct pst_stat *stat, struct texts *texts,
                             struct pst_facts *facts)
{
    pid_t pid = ref->pid;

    facts->pid = pid;
    facts->ppid = stat->ppid;
    facts->start_ticks = stat->start_ticks;
    facts->start_time_ns =
        scan->boot_realtime_ns + stat->start_ticks * PST_NS_PER_S / scan->ticks_per_second;
    facts->comm = pst_str(stat->comm);
    describe_status(pid, facts);
    facts->exe = link_text(pid, "exe", texts->exe, sizeof(texts->exe));
    facts->cwd = link_text(pid, "cwd", texts->cwd, sizeof(texts->cwd));
    read_text(pid, "cgroup", &texts->cgroup);
    facts->cgroup = pst_buf_view(&texts->cgroup);
    if (!pst_cgroup_container(facts->cgroup, &facts->container_id))
        return;
    read_text(pid, "mountinfo", &texts->mountinfo);
    pst_mountinfo_pod(pst_buf_view(&texts->mountinfo), &facts->pod_uid, &facts->pod_container);
}

/* The environment block, filtered; what is left of an overwritten one is kept for want of better.
 */
static int describe_environ(struct target *target, const struct pst_stat *stat, struct texts *texts,
                            struct pst_facts *facts)
{
    struct pst_buf block __attribute__((cleanup(pst_buf_done)));

    pst_buf_init(&block, PST_MAX_ENVIRON_BYTES);
    int status = pst_environ_read(stat, target->ref.pid, target->memory, &block);
    if (status < 0)
        return status == -ENOMEM ? status : 0;
    bool cut = stat->env_end - stat->env_start > block.len;
    target->wants_environ = !pst_environ_intact(pst_buf_view(&block), cut);
    status = pst_environ_filter(pst_buf_view(&block), &texts->env);
    facts->env = pst_buf_view(&texts->env);
    facts->env_source = facts->env.len > 0 ? PST_ENV_BLOCK : PST_ENV_NONE;
    return status;
}

static void describe_random(struct target *target, const struct pst_stat *stat,
                            struct pst_facts *facts)
{
    uint64_t address = pst_random_address(stat, target->memory);

    pst_memory_budget(target->memory, PST_MAX_SAMPLE_BYTES, PST_MAX_SAMPLE_READS);
    if (address != 0 &&
        pst_memory_read(target->memory, address, facts->random, sizeof(facts->random)) == 0)
        facts->random_address = address;
}

static void describe_runtime(const struct pst_detected *found, struct pst_facts *facts)
{
    facts->runtime = found->runtime;
    facts->second = found->second;
    facts->image = found->image.path;
    facts->debug_build = found->debug_build;
    /* The exe's link and the maps name the same file in the same words, unless it is deleted. */
    bool own = pst_str_starts(facts->exe, found->image.path);
    facts->build = facts->exe.len == 0 ? PST_BUILD_UNKNOWN
                   : own               ? PST_BUILD_STATIC
                                       : PST_BUILD_SHARED;
    facts->state = found->up ? PST_TARGET_READY : PST_TARGET_STARTING;
    facts->reason = found->up ? PST_STR("ok") : PST_STR("not_ready");
    if (found->refused) {
        facts->state = PST_TARGET_FAILED;
        facts->reason = PST_STR("eperm");
    }
}

/* maps is for the text, which what was found points into. */
static int look_at_maps(struct pst_scan *scan, struct target *target, struct pst_buf *maps,
                        struct pst_detected *ret)
{
    pid_t pid = target->ref.pid;

    scan->stats.maps_read++;
    int status = pst_maps_read(pid, maps);
    if (status == 0)
        status = pst_detect(scan->cache, pid, target->memory, pst_buf_view(maps), ret);
    if (status == 0)
        pst_runtimes_seen(target, &ret->waiting, ret->unsettled);
    return status;
}

static int describe(struct pst_scan *scan, struct target *target, const struct pst_stat *stat)
{
    struct pst_buf maps __attribute__((cleanup(pst_buf_done)));
    struct texts *texts __attribute__((cleanup(texts_free))) = texts_new();
    struct pst_facts facts = {0};
    struct pst_detected found;

    pst_buf_init(&maps, PST_MAX_MAPS_BYTES);
    if (!texts)
        return -ENOMEM;
    int status = look_at_maps(scan, target, &maps, &found);
    if (status < 0)
        return status;
    describe_process(scan, &target->ref, stat, texts, &facts);
    describe_runtime(&found, &facts);
    read_text(target->ref.pid, "cmdline", &texts->argv);
    facts.argv = without_padding(pst_buf_view(&texts->argv));
    describe_random(target, stat, &facts);
    status = describe_environ(target, stat, texts, &facts);
    return status < 0 ? status : pst_target_set(target, &facts);
}

/* A forked child that has not called exec: the same 16 random bytes in the same place. Program,
 * runtime, arguments and environment at exec are then its parent's, whatever a title rewriter has
 * made of them since. */
static bool is_fork_of(struct target *target, const struct target *parent)
{
    uint8_t random[sizeof(parent->facts->random)];

    if (!parent || parent->facts->random_address == 0)
        return false;
    pst_memory_budget(target->memory, PST_MAX_SAMPLE_BYTES, PST_MAX_SAMPLE_READS);
    return pst_memory_read(target->memory, parent->facts->random_address, random, sizeof(random)) ==
               0 &&
           memcmp(random, parent->facts->random, sizeof(random)) == 0;
}

static int describe_fork(struct pst_scan *scan, struct target *target, const struct pst_stat *stat,
                         const struct target *parent)
{
    struct texts *texts __attribute__((cleanup(texts_free))) = texts_new();
    struct pst_facts facts = *parent->facts;

    if (!texts)
        return -ENOMEM;
    facts.id = 0;
    facts.parent_id = 0;
    facts.container_id = facts.pod_uid = facts.pod_container = (struct pst_str){"", 0};
    describe_process(scan, &target->ref, stat, texts, &facts);
    int up = pst_detect_up(target->memory, &facts.runtime);
    if (up < 0)
        return up;
    facts.state = up ? PST_TARGET_READY : PST_TARGET_STARTING;
    facts.reason = up ? PST_STR("ok") : PST_STR("not_ready");
    target->wants_environ = parent->wants_environ;
    pst_runtimes_seen(target, &parent->mapped.waiting, parent->mapped.unsettled);
    return pst_target_set(target, &facts);
}

struct target *pst_target_detect(struct pst_scan *scan, pid_t pid, const struct pst_stat *stat,
                                 const struct target *parent, int *ret_status)
{
    struct target *target = calloc(1, sizeof(*target));
    int status = -ENOMEM;

    if (target) {
        target->ref.pidfd = -1;
        status = pst_procref_open(pid, &target->ref);
    }
    if (status == 0 && target->ref.start_ticks != stat->start_ticks)
        status = -ESRCH;
    if (status == 0 && !(target->memory = pst_memory_new(&target->ref)))
        status = -ENOMEM;
    if (status == 0 && is_fork_of(target, parent))
        status = describe_fork(scan, target, stat, parent);
    else if (status == 0)
        status = describe(scan, target, stat);
    if (status == 0)
        status = pst_procref_verify(&target->ref);
    if (status < 0)
        target = pst_target_free(target);
    *ret_status = status;
    return target;
}

static void schedule_retry(struct target *target)
{
    uint64_t wait_ms = FIRST_RETRY_MS;

    for (unsigned i = 0; i < target->tries && wait_ms < LAST_RETRY_MS; i++)
        wait_ms *= 2;
    target->tries++;
    target->next_try_ns = pst_clock_monotonic_ns() + wait_ms * PST_NS_PER_MS;
}

static bool same_runtime(const struct pst_runtime *a, const struct pst_runtime *b)
{
    return a->hexversion == b->hexversion && a->runtime == b->runtime &&
           a->interp_head == b->interp_head && a->tstate_current == b->tstate_current;
}

/* Of two that are up the one that was there first stays the first. */
static void take_runtimes(const struct pst_detected *found, struct pst_facts *facts)
{
    if (facts->state == PST_TARGET_READY && same_runtime(&found->runtime, &facts->runtime))
        facts->second = found->second;
    else if (facts->state == PST_TARGET_READY && same_runtime(&found->second, &facts->runtime))
        facts->second = found->runtime;
    else
        describe_runtime(found, facts);
}

/* The version may come from memory that the interpreter fills when it starts: all is read anew. */
int pst_target_look_again(struct pst_scan *scan, struct target *target)
{
    struct pst_buf maps __attribute__((cleanup(pst_buf_done)));
    struct pst_facts facts = *target->facts;
    struct pst_detected found;

    pst_buf_init(&maps, PST_MAX_MAPS_BYTES);
    int status = look_at_maps(scan, target, &maps, &found);
    if (status < 0)
        return status;
    if (!found.up)
        return -EAGAIN;
    take_runtimes(&found, &facts);
    if (facts.state == target->facts->state &&
        same_runtime(&facts.runtime, &target->facts->runtime) &&
        same_runtime(&facts.second, &target->facts->second))
        return -EAGAIN;
    return pst_target_set(target, &facts);
}

void pst_target_retry(struct pst_scan *scan, struct target *target)
{
    pst_scan_enter(scan, target->ref.pid, target->ref.start_ticks);
    const struct pst_runtime *runtime = &target->facts->runtime;
    int up = pst_detect_located(runtime) ? pst_detect_up(target->memory, runtime) : 1;
    if (up > 0 && pst_target_look_again(scan, target) == 0)
        target->tries = 0;
    else if (up == -EPERM || up == -EACCES)
        (void)pst_target_state(target, PST_TARGET_FAILED, "eperm");
    pst_scan_leave(scan);
    if (target->facts->state != PST_TARGET_READY)
        schedule_retry(target);
}

bool pst_target_replaced(const struct target *target)
{
    uint8_t random[sizeof(target->facts->random)];

    if (target->facts->random_address == 0)
        return false;
    pst_memory_budget(target->memory, PST_MAX_SAMPLE_BYTES, PST_MAX_SAMPLE_READS);
    int status =
        pst_memory_read(target->memory, target->facts->random_address, random, sizeof(random));
    if (status == -EFAULT)
        return true;
    /* /proc/PID/mem that was opened before the exec reads nothing after it. */
    if (status == -ESRCH && pst_memory_by_file(target->memory))
        return pst_procref_verify(&target->ref) == 0;
    return status == 0 && memcmp(random, target->facts->random, sizeof(random)) != 0;
}

/* Each allowed name from os.environ. -ENOENT is an answer too: it is not set. */
static int ask_interpreter(struct pst_scan *scan, struct target *target, struct pst_buf *out)
{
    static const struct pst_str names[] = {
#define PST_ENV(name) {name, sizeof(name) - 1},
#include "scan/env_allow.def"
#undef PST_ENV
    };
    char value[PST_MAX_STRING_BYTES];

    if (!scan->options.interpreter_environ || target->facts->state != PST_TARGET_READY)
        return -EAGAIN;
    for (size_t i = 0; i < PST_ARRAY_SIZE(names); i++) {
        int status = scan->options.interpreter_environ(scan->options.context, target->facts,
                                                       names[i].ptr, value, sizeof(value));
        if (status == 0)
            status = pst_environ_append(out, names[i], pst_str(value));
        if (status < 0 && status != -ENOENT)
            return status;
    }
    return 0;
}

static const struct target *lender(const struct pst_scan *scan, const struct target *target)
{
    enum { GENERATIONS = 8 };
    pid_t pid = target->facts->ppid;

    for (int i = 0; i < GENERATIONS; i++) {
        const struct target *ancestor = pst_target_of_pid(scan, pid);
        if (!ancestor || !pst_str_eq(ancestor->facts->exe, target->facts->exe))
            return NULL;
        if (!ancestor->wants_environ)
            return ancestor;
        pid = ancestor->facts->ppid;
    }
    return NULL;
}

/* Optional: without an answer the title is what there is. */
static void ask_arguments(struct pst_scan *scan, struct pst_facts *facts, struct pst_buf *out)
{
    if (scan->options.interpreter_arguments &&
        scan->options.interpreter_arguments(scan->options.context, facts, out) == 0)
        facts->started_as = pst_buf_view(out);
}

/* The interpreter knows best. An ancestor of the same program lends its own only when there is
 * nobody to ask, or the answer does not come. */
void pst_target_environ(struct pst_scan *scan, struct target *target)
{
    struct pst_buf env __attribute__((cleanup(pst_buf_done))) = {0};
    struct pst_buf arguments __attribute__((cleanup(pst_buf_done))) = {0};
    struct pst_facts facts = *target->facts;
    bool can_ask = scan->options.interpreter_environ != NULL;

    if (!target->wants_environ || (can_ask && facts.state == PST_TARGET_STARTING))
        return;
    pst_buf_init(&env, PST_MAX_ENVIRON_BYTES);
    pst_buf_init(&arguments, PST_MAX_LINK_TEXT_BYTES);
    pst_scan_enter(scan, target->ref.pid, target->ref.start_ticks);
    int status = ask_interpreter(scan, target, &env);
    if (status == 0)
        ask_arguments(scan, &facts, &arguments);
    pst_scan_leave(scan);
    facts.env_source = PST_ENV_INTERPRETER;
    facts.env = pst_buf_view(&env);
    if (status < 0) {
        schedule_retry(target);
        if (can_ask && target->tries < ENVIRON_TRIES)
            return;
        target->wants_environ = false;
        const struct target *ancestor = lender(scan, target);
        if (!ancestor)
            return;
        facts.env_source = PST_ENV_ANCESTOR;
        facts.env = ancestor->facts->env;
    }
    if (pst_target_set(target, &facts) == 0)
        target->wants_environ = false;
}
