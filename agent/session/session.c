/* Making, running and ending a session: the thread that reads targets, and the one that it is left
 * behind by when a target's memory does not answer. */
#include "session/session.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "session_internal.h"
#include "target/procfs.h"

static const uint64_t finish_patience_ns = 2 * PST_NS_PER_S;
static const uint64_t longest_patience_ns = 10 * PST_NS_PER_S;

struct pst_session *pst_session_new(const struct pst_session_options *options)
{
    struct pst_session *session = calloc(1, sizeof(*session));

    if (!session)
        return NULL;
    session->options = *options;
    session->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    session->programs = pst_programs_new();
    struct pst_scan_options scan = {
        .emit = pst_session_on_scan, .context = session, .watch = &session->watch};
    struct pst_sampler_hooks hooks = {.context = session,
                                      .window = pst_session_on_window,
                                      .window_end = pst_session_on_window_end};
    session->scan = pst_scan_new(&scan);
    session->sampler = pst_sampler_new(&hooks);
    session->kin = pst_kin_new();
    session->profile = pst_profile_new(options->mode);
    session->plan = calloc(PST_MAX_TARGETS, sizeof(*session->plan));
    if (session->wake < 0 || !session->programs || !session->scan || !session->sampler ||
        !session->kin || !session->profile || !session->plan)
        return pst_session_free(session);
    pst_profile_set_max_bytes(session->profile, PST_MAX_PPROF_BYTES);
    struct pst_profile_meta meta = {
        .mode = options->mode,
        .time_ns = (int64_t)pst_clock_realtime_ns(),
        .period_ns = (int64_t)((double)PST_NS_PER_S / options->hz),
    };
    pst_profile_set_meta(session->profile, &meta);
    return session;
}

struct pst_session *pst_session_free(struct pst_session *session)
{
    if (!session || atomic_load(&session->stalled))
        return NULL;
    pst_sampler_free(session->sampler);
    pst_scan_free(session->scan);
    pst_kin_free(session->kin);
    pst_profile_free(session->profile);
    for (int mode = 0; mode < PST_MODE_COUNT; mode++)
        pst_profile_free(session->window[mode]);
    pst_programs_free(session->programs);
    free(session->plan);
    if (session->wake >= 0)
        (void)close(session->wake);
    free(session);
    return NULL;
}

int pst_session_start(struct pst_session *session)
{
    session->begin_ns = pst_clock_monotonic_ns();
    session->begin_realtime_ns = pst_clock_realtime_ns();
    session->changed = true;
    sigset_t all, before;

    /* Signals are for the thread that asked for this one. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    int status = pthread_create(&session->thread, NULL, pst_session_read_targets, session);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    session->running = status == 0;
    return -status;
}

/* Who waits for a CPU only is not held up by a target. */
static bool is_runnable(const struct pst_session *session)
{
    struct pst_stat stat;

    return pst_stat_read(atomic_load(&session->tid), &stat) == 0 && stat.state == 'R';
}

/* The reading thread has been inside one look at one process for a second. */
static bool seems_stalled(struct pst_session *session)
{
    uint64_t now = pst_clock_monotonic_ns(), target;
    uint64_t sequence = atomic_load(&session->watch.sequence);

    if ((sequence & 1) == 0 || sequence != session->seen_sequence) {
        session->seen_sequence = sequence;
        session->seen_since_ns = now;
    } else if (now - session->seen_since_ns >= PST_NS_PER_S) {
        return true;
    }
    return pst_sampler_stalled(session->sampler, now, &target);
}

static void ship_all(struct pst_session *session)
{
    while (pst_sampler_ship(session->sampler, 0) > 0)
        continue;
}

static void abandon(struct pst_session *session)
{
    atomic_store(&session->stalled, true);
    (void)pthread_detach(session->thread);
    session->running = false;
    pst_sampler_take_over(session->sampler);
    ship_all(session);
}

bool pst_session_step(struct pst_session *session, int timeout_ms)
{
    if (!session->running)
        return false;
    (void)pst_sampler_ship(session->sampler, timeout_ms);
    if (seems_stalled(session) && !is_runnable(session)) {
        abandon(session);
        return false;
    }
    return !atomic_load(&session->finished);
}

/* For as long as the reading thread comes on, or would if it had a CPU. */
static void wait_finished(struct pst_session *session)
{
    uint64_t begin = pst_clock_monotonic_ns(), waited = 0;

    while (
        !atomic_load(&session->finished) &&
        (waited < finish_patience_ns || (waited < longest_patience_ns && is_runnable(session)))) {
        (void)pst_sampler_ship(session->sampler, 1);
        waited = pst_clock_monotonic_ns() - begin;
    }
}

void pst_session_stop(struct pst_session *session)
{
    atomic_store(&session->stop, true);
    (void)eventfd_write(session->wake, 1);
    if (!session->running)
        return;
    wait_finished(session);
    if (!atomic_load(&session->finished)) {
        abandon(session);
        return;
    }
    (void)pthread_join(session->thread, NULL);
    session->running = false;
    ship_all(session);
}

bool pst_session_command(const struct pst_session *session, pid_t pid, struct pst_str *ret)
{
    return pst_programs_command(session->programs, pid, ret);
}

pid_t pst_session_parent(const struct pst_session *session, pid_t pid)
{
    return pst_programs_parent(session->programs, pid);
}
