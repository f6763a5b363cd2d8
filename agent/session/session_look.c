/* The thread that reads targets: looks for runtimes, plans whom to sample, samples. */
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "session_internal.h"
#include "target/procfs.h"

enum {
    LATEST_BACKOFF = 9, /* 2 ms doubled so often between two looks at what is no Python yet */
};
static const uint64_t look_ns = 50 * PST_NS_PER_MS;
static const uint64_t early_look_ns = 2 * PST_NS_PER_MS; /* while a program starts */
static const uint64_t early_ns = 3 * PST_NS_PER_S;
static const uint64_t window_ns = 5 * PST_NS_PER_S;

/* --- what the scan tells --- */

static enum pst_verdict verdict_of(struct pst_str word)
{
    for (int i = 0; i < PST_VERDICT_COUNT; i++)
        if (pst_str_eq(word, pst_str(pst_verdict_word((enum pst_verdict)i))))
            return (enum pst_verdict)i;
    return PST_V_NO_RUNTIME;
}

void pst_session_on_scan(void *context, enum pst_scan_event event, const struct pst_facts *facts)
{
    struct pst_session *session = context;
    bool root = pst_session_root(session, facts->pid) != NULL;

    session->changed = true;
    if (root || session->options.subprocesses) {
        if (event == PST_SCAN_NEW) {
            pst_programs_add(session->programs, facts);
            atomic_fetch_add(&session->runtimes, 1);
        }
        if (facts->state == PST_TARGET_FAILED)
            atomic_store(&session->refused, (int)verdict_of(facts->reason));
        return;
    }
    if (event == PST_SCAN_NEW)
        atomic_fetch_add(&session->unrecorded, 1);
    else if (event == PST_SCAN_GONE && pst_str_eq(facts->reason, PST_STR("exec")))
        atomic_fetch_sub(&session->unrecorded, 1);
}

/* --- who is there --- */

/* Whether it has become another program since the last look. A wrapper may take its time before it
 * starts the interpreter: that one is asked as often as if it were the first. */
static bool note_program(struct root *root, const struct pst_stat *stat, uint64_t now_ns)
{
    if (root->program_ns && root->start_stack == stat->start_stack &&
        strcmp(root->comm, stat->comm) == 0)
        return false;
    root->start_stack = stat->start_stack;
    memcpy(root->comm, stat->comm, sizeof(root->comm));
    root->program_ns = now_ns;
    root->next_ns = 0;
    root->tries = 0;
    return true;
}

/* A process that is no Python (yet) is asked again, soon at first. */
static void ask_root(struct pst_session *session, struct root *root, uint64_t now_ns)
{
    const struct pst_facts *facts;

    if (now_ns < root->next_ns)
        return;
    root->next_ns = now_ns + (early_look_ns << root->tries);
    if (now_ns - root->program_ns > early_ns / 10)
        root->tries += root->tries < LATEST_BACKOFF;
    root->runtime = pst_scan_one(session->scan, root->pid, &facts) == 0;
    if (root->runtime)
        root->tries = 0;
}

static bool look_at_roots(struct pst_session *session, uint64_t now_ns)
{
    bool news = pst_kin_news(session->kin), alive = false;

    for (size_t i = 0; i < session->root_count; i++) {
        struct root *root = &session->roots[i];
        struct pst_stat stat;

        if (root->ended)
            continue;
        root->ended = pst_stat_read(root->pid, &stat) < 0 || stat.state == 'Z' ||
                      stat.state == 'X' || stat.start_ticks != root->start_ticks;
        if (root->ended)
            continue;
        alive = true;
        if (!note_program(root, &stat, now_ns) && root->runtime)
            continue;
        ask_root(session, root, now_ns);
        if (!root->runtime && news)
            pst_kin_look(session->kin, root->pid);
    }
    return alive;
}

static void look_at_kin(struct pst_session *session, uint64_t now_ns)
{
    enum { AT_ONCE = 8 }; /* so that sampling is not kept waiting */
    const struct pst_facts *facts;
    pid_t pid;

    for (int i = 0; i < AT_ONCE && (pid = pst_kin_due(session->kin, now_ns)); i++)
        (void)pst_scan_one(session->scan, pid, &facts);
}

/* A process that began within the recording is accounted for from its beginning, but for its first
 * program only: the next one in the same process goes on where that ended. */
static bool born_observed(struct pst_session *session, const struct pst_facts *facts)
{
    const struct root *root = pst_session_root(session, facts->pid);

    return !pst_programs_earlier(session->programs, facts) &&
           ((root && root->started) ||
            (!root && facts->start_time_ns > session->begin_realtime_ns));
}

static bool has_no_gil(const struct pst_facts *facts)
{
    bool gil_off;

    return facts->runtime.free_threaded && pst_session_probe(facts, &gil_off) == PST_V_OK &&
           gil_off;
}

/* A GIL that is only looked at besides is left out where there is none. */
static unsigned modes_for(struct pst_session *session, const struct pst_facts *facts)
{
    unsigned modes = 1u << session->options.mode | session->options.more_modes;

    if (!(modes & 1u << PST_MODE_GIL) || !has_no_gil(facts))
        return modes;
    atomic_store(&session->without_gil, true);
    return modes & ~(1u << PST_MODE_GIL);
}

static struct pst_sampler_target target_of(struct pst_session *session,
                                           const struct pst_facts *facts)
{
    uint64_t words[2];

    memcpy(words, facts->random, sizeof(words));
    return (struct pst_sampler_target){
        .id = facts->id,
        .pid = facts->pid,
        .start_ticks = facts->start_ticks,
        .random_address = facts->random_address,
        .random_mix = words[0] ^ words[1] ^ facts->random_address,
        .runtime = facts->runtime,
        .second = facts->second,
        .born_observed = born_observed(session, facts),
        .hz = session->options.hz,
        .modes = modes_for(session, facts),
        .window_ns = session->options.interval ? session->options.window_ns : window_ns,
        .max_frames = PST_MAX_FRAMES_WALKED,
        .native = session->options.native,
        .class_names = session->options.class_names,
        .times = session->options.times,
        .full_frames = true,
    };
}

static void plan(struct pst_session *session)
{
    const struct pst_facts *facts;
    size_t cursor = 0, count = 0;

    for (size_t i = 0; i < session->root_count; i++)
        session->roots[i].runtime = false;
    while (count < PST_MAX_TARGETS && pst_scan_next(session->scan, &cursor, &facts)) {
        struct root *root = pst_session_root(session, facts->pid);

        if (root)
            root->runtime = true;
        if (facts->state != PST_TARGET_READY || (!root && !session->options.subprocesses))
            continue;
        if (session->options.mode == PST_MODE_GIL && has_no_gil(facts)) {
            atomic_store(&session->gil_of_free_threaded, true);
            continue;
        }
        session->plan[count++] = target_of(session, facts);
    }
    (void)pst_sampler_plan(session->sampler, session->plan, count);
    atomic_store(&session->planned, count);
    session->changed = false;
}

/* False when there is nobody left to look at. */
static bool look(struct pst_session *session, uint64_t now_ns)
{
    bool alive = look_at_roots(session, now_ns);

    look_at_kin(session, now_ns);
    (void)pst_scan_tick(session->scan);
    if (session->changed)
        plan(session);
    return alive && !atomic_load(&session->gil_of_free_threaded);
}

/* Whether a program that we started is still on its way to its interpreter. */
static bool early(const struct pst_session *session, uint64_t now_ns)
{
    bool waiting = false;

    for (size_t i = 0; i < session->root_count; i++) {
        const struct root *root = &session->roots[i];
        waiting =
            waiting || (root->started && !root->ended && now_ns - root->program_ns < early_ns);
    }
    return waiting && session->planned == 0;
}

static void sleep_until(const struct pst_session *session, uint64_t deadline_ns)
{
    struct pollfd wake = {session->wake, POLLIN, 0};
    uint64_t now = pst_clock_monotonic_ns(), left = deadline_ns > now ? deadline_ns - now : 0;
    struct timespec timeout = {(time_t)(left / PST_NS_PER_S), (long)(left % PST_NS_PER_S)};

    (void)ppoll(&wake, 1, &timeout, NULL);
}

void *pst_session_read_targets(void *context)
{
    struct pst_session *session = context;
    uint64_t next_look_ns = 0;

    atomic_store(&session->tid, gettid());
    (void)prctl(PR_SET_NAME, "pst-sample", 0, 0, 0);
    /* The default slack of 50 us would be a tenth of the jitter at 1000 Hz. */
    (void)prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
    while (!atomic_load(&session->stop)) {
        uint64_t now = pst_clock_monotonic_ns();

        if (now >= next_look_ns) {
            if (!look(session, now))
                break;
            next_look_ns = now + (early(session, now) ? early_look_ns : look_ns);
        }
        uint64_t deadline = pst_sampler_tick(session->sampler, pst_clock_monotonic_ns());
        sleep_until(session, deadline < next_look_ns ? deadline : next_look_ns);
    }
    pst_sampler_finish(session->sampler);
    atomic_store(&session->finished, true);
    return NULL;
}
