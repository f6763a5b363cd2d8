/* The loop of `top`: windows into the model, the model onto the screen, keys into the view. */
#include "top.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "render/text.h"

enum { STEP_MS = 50 };
static const uint64_t exec_shown_ns = 5 * PST_NS_PER_S;

/* --- numbers --- */

static int64_t total_ns(const struct pst_profile *profile)
{
    int64_t samples, value_ns = 0;

    if (profile)
        pst_profile_total(profile, &samples, &value_ns);
    return value_ns;
}

/* The first windows of programs that are there already are no news. */
static void look_for_exec(struct pst_top_run *top, uint64_t now_ns)
{
    uint64_t programs = pst_session_progress(top->session).programs;
    size_t named = top->program_argv ? 1 : top->args.pids.count;

    if (!top->args.subprocesses && programs > top->programs && top->programs >= named)
        top->exec_ns = now_ns;
    top->programs = programs;
}

void pst_top_interval(void *context, const struct pst_session_interval *interval)
{
    struct pst_top_run *top = context;
    uint64_t now_ns = pst_clock_monotonic_ns();
    struct pst_live_interval live = {
        .elapsed_ns =
            interval->elapsed_ns > 0 ? interval->elapsed_ns : (int64_t)(now_ns - top->last_ns),
        .profile = interval->profiles[top->mode],
        .active_ns = total_ns(interval->profiles[PST_MODE_CPU]),
        .gil_ns = total_ns(interval->profiles[PST_MODE_GIL]),
    };

    /* Ending closes what is open: often nothing, which is no interval to show. */
    if (interval->elapsed_ns == 0 && now_ns - top->last_ns < top->args.delay_ns / 2)
        return;
    top->last_ns = now_ns;
    look_for_exec(top, now_ns);
    if (top->view.paused || (top->args.once && top->intervals > 0 && top->had_programs))
        return;
    top->had_programs = top->programs > 0;
    top->last = *interval;
    for (int mode = 0; mode < PST_MODE_COUNT; mode++)
        top->last.profiles[mode] = NULL; /* they end with the call */
    top->intervals++;
    (void)pst_live_add(top->live, &live); /* what has no room is told by pst_live_state */
}

enum pst_top_state pst_top_state(const struct pst_top_run *top, uint64_t now_ns)
{
    struct pst_session_progress progress = pst_session_progress(top->session);
    struct pst_live_state live;

    pst_live_state(top->live, &live);
    if (top->ended)
        return top->stalled ? PST_TOP_STALLED : PST_TOP_ENDED;
    if (progress.processes == 0)
        return progress.refused != PST_V_OK ? PST_TOP_REFUSED
               : progress.programs          ? PST_TOP_GONE
                                            : PST_TOP_WAITING;
    if (top->exec_ns && now_ns - top->exec_ns < exec_shown_ns)
        return PST_TOP_EXEC;
    return top->intervals && live.active.last < 0.0005 ? PST_TOP_IDLE : PST_TOP_RUNNING;
}

/* --- words --- */

void pst_top_title(const struct pst_top_run *top, struct pst_buf *out)
{
    enum { SHOWN = 200 };
    pid_t pid = top->program_argv ? top->program.launch.pid : top->args.pids.items[0];
    struct pst_str command;

    if (top->args.pids.count > 1) {
        (void)pst_buf_printf(out, "%zu processes", top->args.pids.count);
        return;
    }
    (void)pst_buf_printf(out, "process %d", (int)pid);
    if (!pst_session_command(top->session, pid, &command) || command.len == 0)
        return;
    command.len = command.len > SHOWN ? SHOWN : command.len;
    command.len = pst_utf8_valid_prefix(command);
    (void)pst_buf_puts(out, " \"");
    (void)pst_text_plain(out, command);
    (void)pst_buf_puts(out, "\"");
}

static const char *program_end(const struct pst_top_run *top, char *text, size_t size)
{
    if (!top->program_argv || !top->program.ended)
        return "ended; q leaves";
    (void)snprintf(text, size, "ended with status %d; q leaves", top->program.exit_code);
    return text;
}

static const char *quality(const struct pst_top_run *top, char *text, size_t size)
{
    const struct pst_session_interval *last = &top->last;
    double ticks = last->ticks ? (double)last->ticks : 1;
    struct pst_live_state live;

    pst_live_state(top->live, &live);
    if (live.full)
        return "too many rows: new ones are left out until R";
    if (last->late > last->ticks / 10 && last->late > 5)
        (void)snprintf(text, size, "%.0f%% of the looks came too late to count: a lower --rate",
                       100 * (double)last->late / (ticks + (double)last->late));
    else if ((double)(last->torn + last->failed) > ticks / 100 && last->torn + last->failed > 5)
        (void)snprintf(text, size, "%" PRIu64 " torn and %" PRIu64 " failed of %" PRIu64 " looks",
                       last->torn, last->failed, last->ticks);
    else
        return "";
    return text;
}

static const char *notice(const struct pst_top_run *top, uint64_t now_ns, char *text, size_t size)
{
    enum pst_top_state state = pst_top_state(top, now_ns);

    if (top->view.paused && state != PST_TOP_ENDED)
        return "paused: nothing is counted; space goes on";
    switch (state) {
    case PST_TOP_ENDED:
        return program_end(top, text, size);
    case PST_TOP_STALLED:
        return "its memory does not answer; q leaves";
    case PST_TOP_WAITING:
        return "no Python runs in it yet";
    case PST_TOP_GONE:
        return "no Python runs in it any more";
    case PST_TOP_REFUSED:
        return pst_verdict_meaning(pst_session_progress(top->session).refused);
    case PST_TOP_EXEC:
        return "exec: another Python program runs in this process now";
    case PST_TOP_IDLE:
        return top->mode == PST_MODE_WALL ? "idle: no thread ran"
                                          : "idle: no thread ran; --idle shows where they wait";
    case PST_TOP_RUNNING:
        break;
    }
    return quality(top, text, size);
}

static void draw(struct pst_top_run *top)
{
    char text[160], status[160];
    struct pst_live_state live;
    struct pst_buf title;
    const struct pst_session_interval *last = &top->last;
    double seconds = last->elapsed_ns > 0 ? (double)last->elapsed_ns / 1e9 : 1;
    double looks = last->processes ? (double)last->ticks / (double)last->processes : 0;

    pst_buf_init(&title, 4096);
    (void)pst_buf_puts(&title, "pystrobe top · ");
    pst_top_title(top, &title);
    pst_live_state(top->live, &live);
    (void)snprintf(status, sizeof(status),
                   "%s time, %.0f of %" PRIu64 " Hz, %zu process%s, %" PRIu64 " thread%s, %.0f s",
                   pst_mode_word(top->mode), looks / seconds, top->args.rate, last->processes,
                   last->processes == 1 ? "" : "es", last->threads, last->threads == 1 ? "" : "s",
                   (double)live.elapsed_ns / 1e9);
    struct pst_screen_text words = {
        .title = title.data ? title.data : "",
        .status = status,
        .notice = notice(top, pst_clock_monotonic_ns(), text, sizeof(text)),
        .no_gil = pst_session_progress(top->session).free_threaded,
    };
    pst_screen_draw(top->screen, top->live, &top->view, &words);
    pst_buf_done(&title);
}

/* --- the loop --- */

/* False: leave. */
static bool take_keys(struct pst_top_run *top, bool *ret_redraw)
{
    uint32_t key;

    while (pst_screen_key(top->screen, &key, ret_redraw)) {
        enum pst_live_action action =
            pst_live_view_key(&top->view, key, pst_screen_page(top->screen));

        if (action == PST_LIVE_QUIT)
            return false;
        if (action == PST_LIVE_RESET)
            pst_live_reset(top->live);
        *ret_redraw = *ret_redraw || action != PST_LIVE_NOTHING;
    }
    return true;
}

/* One step; an ended session is waited for by the signals alone. */
static void step(struct pst_top_run *top)
{
    if (!top->ended && !pst_session_step(top->session, STEP_MS)) {
        top->ended = true;
        top->stalled = !pst_session_progress(top->session).ended;
        pst_session_stop(top->session);
    }
    pst_record_signals_take(&top->program, top->ended ? STEP_MS : 0);
}

void pst_top_watch(struct pst_top_run *top)
{
    uint64_t drawn_ns = 0, drawn_intervals = 0;
    bool redraw = true, was_ended = false;

    top->last_ns = pst_clock_monotonic_ns();
    while (take_keys(top, &redraw)) {
        uint64_t now_ns = pst_clock_monotonic_ns();

        if (redraw || top->intervals != drawn_intervals || now_ns - drawn_ns >= PST_NS_PER_S ||
            top->ended != was_ended) {
            draw(top);
            drawn_ns = now_ns;
            drawn_intervals = top->intervals;
            was_ended = top->ended;
            redraw = false;
        }
        step(top);
        if (top->program.asked)
            break;
    }
    pst_session_stop(top->session);
}

void pst_top_once(struct pst_top_run *top)
{
    top->last_ns = pst_clock_monotonic_ns();
    while (!top->ended && !top->program.asked && (top->intervals == 0 || top->programs == 0))
        step(top);
    pst_session_stop(top->session);
}
