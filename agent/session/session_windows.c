/* What windows add up to, for a recording and for somebody who watches. */
#include "base/clock.h"
#include "session_internal.h"

static void watch_window(struct pst_session *session, const struct pst_sampler_window *window,
                         struct pst_profile *const profiles[PST_MODE_COUNT])
{
    struct pst_session_interval *interval = &session->interval;

    interval->processes += window->verdict == PST_V_OK && !window->gone;
    interval->threads += window->gone ? 0 : window->threads;
    interval->ticks += window->ticks;
    interval->torn += window->torn;
    interval->failed += window->failed;
    interval->late += window->late;
    if (window->duration_ns > interval->elapsed_ns)
        interval->elapsed_ns = window->duration_ns;
    for (int mode = 0; mode < PST_MODE_COUNT; mode++) {
        if (!profiles[mode])
            continue;
        if (!session->window[mode])
            session->window[mode] = pst_profile_new((enum pst_mode)mode);
        if (!session->window[mode] ||
            pst_profile_merge(session->window[mode], profiles[mode], NULL, NULL) < 0)
            session->lost++;
    }
}

/* Past half of the room, samples go without their time, so that equal ones merge. */
static bool keep_label(void *context, struct pst_str key)
{
    const struct pst_session *session = context;

    return !pst_str_eq(key, PST_STR("start")) ||
           pst_profile_bytes(session->profile) < PST_MAX_PPROF_BYTES / 2;
}

void pst_session_on_window(void *context, const struct pst_sampler_window *window,
                           struct pst_profile *const profiles[PST_MODE_COUNT])
{
    struct pst_session *session = context;
    const struct pst_profile *profile = profiles[session->options.mode];

    session->ticks += window->ticks;
    session->torn += window->torn;
    session->failed += window->failed;
    session->late += window->late;
    session->sampled_ns += window->duration_ns;
    for (int i = 0; i < PST_VERDICT_COUNT; i++)
        session->verdicts[i] += window->verdicts[i];
    if (window->verdict != PST_V_OK && window->verdict != PST_V_GONE)
        session->verdict = window->verdict;
    if (session->options.interval)
        watch_window(session, window, profiles);
    else if (profile && pst_profile_merge(session->profile, profile, keep_label, session) < 0)
        session->lost++;
}

void pst_session_on_window_end(void *context, uint64_t sequence)
{
    struct pst_session *session = context;
    struct pst_session_interval *interval = &session->interval;

    if (!session->options.interval)
        return;
    for (int mode = 0; mode < PST_MODE_COUNT; mode++)
        interval->profiles[mode] = session->window[mode];
    session->options.interval(session->options.context, interval);
    for (int mode = 0; mode < PST_MODE_COUNT; mode++)
        session->window[mode] = pst_profile_free(session->window[mode]);
    *interval = (struct pst_session_interval){0};
}

/* The verdict of a process that could not be read at all. */
static enum pst_verdict refused(const struct pst_session *session)
{
    return session->verdict != PST_V_OK ? session->verdict
                                        : (enum pst_verdict)atomic_load(&session->refused);
}

/* Of each process, in the mean. One look and an end right behind it are no rate. */
static double achieved(const struct pst_session *session, uint64_t turns, uint64_t ns)
{
    double hz = ns > 0 ? (double)turns * (double)PST_NS_PER_S / (double)ns : 0;

    return hz > session->options.hz ? session->options.hz : hz;
}

struct pst_session_progress pst_session_progress(const struct pst_session *session)
{
    struct pst_sampler_progress now;

    pst_sampler_progress(session->sampler, session->options.mode, &now);
    return (struct pst_session_progress){
        .samples = now.samples,
        .achieved_hz = achieved(session, now.turns, now.turns_ns),
        .torn = now.torn,
        .failed = now.failed,
        .processes = atomic_load(&session->planned),
        .programs = atomic_load(&session->runtimes),
        .ended = atomic_load(&session->finished),
        .free_threaded = atomic_load(&session->without_gil),
        .refused = refused(session),
    };
}

static enum pst_verdict worst(const struct pst_session *session)
{
    enum pst_verdict found = PST_V_OK;
    uint64_t most = 0;

    for (int i = PST_V_OK + 1; i < PST_VERDICT_COUNT; i++)
        if (session->verdicts[i] > most) {
            most = session->verdicts[i];
            found = (enum pst_verdict)i;
        }
    return found;
}

void pst_session_result(const struct pst_session *session, struct pst_session_result *ret)
{
    *ret = (struct pst_session_result){
        .profile = session->profile,
        .ticks = session->ticks,
        .torn = session->torn,
        .failed = session->failed,
        .late = session->late,
        .lost = session->lost,
        .runtimes = atomic_load(&session->runtimes),
        .unrecorded = atomic_load(&session->unrecorded),
        .verdict = refused(session),
        .failure = worst(session),
        .stalled = atomic_load(&session->stalled),
        .gil_of_free_threaded = atomic_load(&session->gil_of_free_threaded),
    };
    if (!ret->stalled)
        pst_sampler_native_stats(session->sampler, &ret->native);
    ret->achieved_hz = achieved(session, session->ticks, (uint64_t)session->sampled_ns);
}
